/**
 * The bench: `npm run bench [-- name…]`. Every case runs next to its peer in the same run; the results go to
 * test/bench/results/<date>.json, .md and .svg, and a target that is missed fails the run.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { System } from '../support/system.ts';
import { againstBuild, loadBuild } from './against.ts';
import { besideBench } from './beside.ts';
import type { BenchCase } from './case.ts';
import { cases } from './cases/index.ts';
import { type Machine, describeMachine } from './report/machine.ts';
import { type Outcome, runCase, unmeasured, verdictOn } from './outcome.ts';
import type { Sample } from './pairs.ts';
import { writeResults } from './report/results.ts';
import { PAIRS_MIN, figuresOf, figuresText, machineText } from './report/table.ts';
import { ceilingTargets, ratioTargets } from './targets.ts';

const EXIT_MISSED = 1;
const EXIT_USAGE = 2;

/** Of a run against another build: noise takes more than a hundredth. */
const RATIO_MIN = 0.97;

const USAGE = `npm run bench -- [name…] [--pairs <n>] [--against <dir>] [--out <directory>] [--smoke] [--list]

Runs every bench, or those named, each next to its peer in turns. Exits with 1 where a target is missed or a bench fails.
  --pairs <n>        how often each side runs (default: ${PAIRS_MIN}; fewer are allowed, and the table says so)
  --against <dir>    each case against itself in another, built checkout; of all cases those that have a rate
  --at-least <ratio> what fails such a run, of the other's rate (default: ${RATIO_MIN})
  --out <directory>  where <date>.json, .md and .svg go (default: test/bench/results)
  --smoke            once and small, to see that it runs: judges nothing, writes nothing unless --out is given
  --list             says what there is, and what keeps it from running here
`;

interface Options {
  chosen: BenchCase[];
  pairs: number;
  smoke: boolean;
  list: boolean;
  help: boolean;
  /** Another checkout; null where each case has its own peer. */
  against: string | null;
  ratioMin: number;
  /** Null: nothing is written. */
  out: string | null;
}

/** @throws where they make no sense */
function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      pairs: { type: 'string', default: String(PAIRS_MIN) },
      out: { type: 'string' },
      against: { type: 'string' },
      'at-least': { type: 'string', default: String(RATIO_MIN) },
      smoke: { type: 'boolean', default: false },
      list: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const unknown = positionals.filter((name) => !cases.some((bench) => bench.name === name));
  if (unknown.length > 0) throw new Error(`No such bench: ${unknown.join(', ')}. --list says what there is.`);
  const isChosen = ({ name, kind }: BenchCase): boolean =>
    positionals.length > 0 ? positionals.includes(name) : values.against === undefined || kind === 'paired';
  const chosen = cases.filter(isChosen);
  const { smoke, list, help } = values;
  if (!/^[1-9]\d*$/.test(values.pairs)) throw new Error(`--pairs takes a whole number from 1, not "${values.pairs}".`);
  const pairs = smoke ? 1 : Number(values.pairs);
  // npm runs scripts in the package's directory, and tells where it was called.
  const given = (path: string | undefined): string | null =>
    path === undefined ? null : resolve(process.env['INIT_CWD'] ?? '.', path);
  const ratioMin = Number(values['at-least']);
  if (!(ratioMin > 0)) throw new Error(`--at-least takes a ratio like 0.97, not "${values['at-least']}".`);
  const out = given(values.out) ?? (smoke ? null : besideBench('results'));
  return { chosen, pairs, smoke, list, help, out, against: given(values.against), ratioMin };
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** The cases as they are to run. @throws (rejects) where the other build is none, or has no such case */
async function planned({ chosen, against, ratioMin }: Options): Promise<BenchCase[]> {
  if (against === null) return chosen;
  const other = await loadBuild(against);
  return chosen.map((bench) => againstBuild(bench, other, ratioMin));
}

const besideText = (bench: BenchCase): string => (bench.kind === 'paired' ? `against ${bench.peer}` : 'without a peer');

function targetText(bench: BenchCase): string {
  if (bench.kind === 'measured') {
    const { promise, max, unit } = ceilingTargets[bench.name];
    return `promised: ${promise}; at most ${max} ${unit}`;
  }
  const { promise, ratioMin, cpuRatioMax } = ratioTargets[bench.name];
  if (ratioMin === null) return `shown: ${promise}`;
  const cpu = cpuRatioMax === null ? '' : `, at most ${cpuRatioMax} of its CPU`;
  return `promised: ${promise}; at least ${ratioMin} times its rate${cpu}`;
}

function sayCases(chosen: BenchCase[]): void {
  for (const bench of chosen) {
    say(`${bench.name}: ${bench.what}\n  ${besideText(bench)}\n  ${targetText(bench)}`);
    const missing = bench.missing({ smoke: false });
    if (missing !== null) say(`  would be skipped: ${missing}`);
  }
}

function sayOutcome(outcome: Outcome): void {
  if (outcome.kind === 'unmeasured') {
    say(`  ${outcome.verdict}: ${outcome.reason}`);
    return;
  }
  const verdict = verdictOn(outcome);
  if (outcome.kind === 'measured') {
    const { target, result } = outcome;
    const { value, figures } = result;
    say(`  ${value.toFixed(2)} ${target.unit}${figuresText(figures)}, at most ${target.max}: ${verdict}`);
    return;
  }
  const { unit, target, result, peer } = outcome;
  const saySide = (who: string, rate: number, samples: Sample[]): void => {
    const all = samples.map((sample) => sample.rate.toFixed(0)).join(' ');
    say(`  ${who}  ${rate.toFixed(0)} ${unit} median of: ${all}${figuresText(figuresOf(samples))}`);
  };
  saySide('ours', result.subjectMedian, result.subject);
  saySide('peer', result.peerMedian, result.peer);
  const floor = target.ratioMin === null ? '' : `, at least ${target.ratioMin}`;
  const ceiling = target.cpuRatioMax === null ? '' : `, at most ${target.cpuRatioMax}`;
  say(
    `  ratio ${result.ratio.toFixed(2)} to ${peer}${floor}; CPU ${result.cpuRatio.toFixed(2)} of the peer's${ceiling}: ${verdict}`,
  );
}

/** What was asked for makes no sense. */
function refuse({ message }: Error): void {
  process.stderr.write(`${message}\n\n${USAGE}`);
  process.exitCode = EXIT_USAGE;
}

async function machine(): Promise<Machine> {
  const system = await System.open();
  try {
    return await describeMachine(system);
  } finally {
    await system.close();
  }
}

async function main(options: Options): Promise<void> {
  const { pairs, smoke, list, help, out } = options;
  if (help) return say(USAGE);
  if (list) return sayCases(options.chosen);
  const chosen = await planned(options).catch((error: Error) => refuse(error));
  if (chosen === undefined) return;
  const ranOn = await machine();
  say(machineText(ranOn));
  const outcomes: Outcome[] = [];
  for (const bench of chosen) {
    say(`${bench.name}: ${bench.what}\n  ${besideText(bench)}`);
    // One that goes wrong must not take the results of the others with it.
    const outcome = await runCase(bench, { pairs, warmups: smoke ? 0 : 1, smoke }).catch((error: Error) =>
      unmeasured(bench, 'failed', error.message),
    );
    sayOutcome(outcome);
    outcomes.push(outcome);
  }
  if (out !== null) {
    const date = new Date().toISOString().slice(0, 10);
    for (const file of writeResults(out, { date, machine: ranOn, pairs, smoke, outcomes })) say(`written: ${file}`);
  }
  const verdicts = new Set(outcomes.map(verdictOn));
  // The figures of a smoke run are too small to judge.
  if (verdicts.has('failed') || (!smoke && verdicts.has('missed'))) process.exitCode = EXIT_MISSED;
}

let options: Options | null = null;
try {
  options = readOptions();
} catch (error) {
  refuse(error as Error);
}
if (options !== null) await main(options);
