/** Runs one case on a fresh system, and judges what came of it by its target. */
import { System } from '../support/system.ts';
import type { BenchCase, Measurement, OpenedCase } from './case.ts';
import { type PairedResult, type Side, figureRatio, runPairs } from './pairs.ts';
import { settleDisk } from './peers/program.ts';
import { type CeilingTarget, type RatioTarget, ceilingTargets, ratioTargets } from './targets.ts';

/** A case without a result: this machine lacks what it needs, or it went wrong. */
export interface Unmeasured {
  kind: 'unmeasured';
  verdict: 'skipped' | 'failed';
  name: string;
  what: string;
  reason: string;
}

export interface Paired {
  kind: 'paired';
  name: string;
  what: string;
  peer: string;
  unit: string;
  target: RatioTarget;
  result: PairedResult;
}

export interface Measured {
  kind: 'measured';
  name: string;
  what: string;
  target: CeilingTarget;
  result: Measurement;
}

export type Outcome = Unmeasured | Paired | Measured;

/** How a case is run. */
export interface Plan {
  pairs: number;
  warmups: number;
  smoke: boolean;
}

export function unmeasured({ name, what }: BenchCase, verdict: Unmeasured['verdict'], reason: string): Unmeasured {
  return { kind: 'unmeasured', verdict, name, what, reason };
}

export async function runCase(bench: BenchCase, plan: Plan): Promise<Outcome> {
  const { name, what } = bench;
  const reason = bench.missing(plan);
  if (reason !== null) return unmeasured(bench, 'skipped', reason);
  const system = await System.open();
  try {
    if (bench.kind === 'measured') {
      const result = await bench.measure(system, plan);
      return { kind: 'measured', name, what, target: ceilingTargets[bench.name], result };
    }
    const { peer, unit, target = ratioTargets[bench.name] } = bench;
    const sides = await bench.open(system, plan);
    try {
      const peers = peersOf(sides.peer);
      const result = await runPairs(sides.subject, Object.values(peers), { ...plan, settle: settleDisk });
      const setting = Object.keys(peers)[result.peerIndex]!;
      return { kind: 'paired', name, what, peer: setting === '' ? peer : `${peer}, ${setting}`, unit, target, result };
    } finally {
      await sides.close();
    }
  } finally {
    await system.close();
  }
}

const isSide = (peer: OpenedCase['peer']): peer is Side => typeof peer.run === 'function';

/** By what sets each apart: nothing, where it is alone. */
const peersOf = (peer: OpenedCase['peer']): Readonly<Record<string, Side>> => (isSide(peer) ? { '': peer } : peer);

export type Verdict = 'met' | 'missed' | 'shown' | Unmeasured['verdict'];

/** 'shown' is what nothing is promised of. A figure that is no number has missed its target. */
export function verdictOn(outcome: Outcome): Verdict {
  if (outcome.kind === 'unmeasured') return outcome.verdict;
  if (outcome.kind === 'measured') return outcome.result.value <= outcome.target.max ? 'met' : 'missed';
  const { ratioMin, cpuRatioMax, figureRatioMax = {} } = outcome.target;
  const figures = Object.entries(figureRatioMax);
  if (ratioMin === null && cpuRatioMax === null && figures.length === 0) return 'shown';
  const fast = ratioMin === null || outcome.result.ratio >= ratioMin;
  const cheap = cpuRatioMax === null || outcome.result.cpuRatio <= cpuRatioMax;
  const prompt = figures.every(([name, max]) => (figureRatio(outcome.result, name) ?? NaN) <= max);
  return fast && cheap && prompt ? 'met' : 'missed';
}
