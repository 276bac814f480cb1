/**
 * The bench: `npm run bench [-- name…]`. Every case runs next to its peer in the same run; the results go to
 * test/bench/results/<date>.json, and a ratio below its floor fails the run.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { System } from '../system.ts';
import type { BenchCase } from './case.ts';
import { copies } from './cases/copy.ts';
import { largeWrites } from './cases/large-write.ts';
import { smallFiles } from './cases/small-files.ts';
import { type PairedResult, runPairs } from './pairs.ts';

export const cases: BenchCase[] = [...largeWrites, ...copies, smallFiles];

export type CaseOutcome =
  | { name: string; skipped: string }
  | ({ name: string; floor: number; cpuCeiling?: number } & PairedResult);

export async function runCase(
  bench: BenchCase,
  options: { pairs: number; warmups: number; smoke: boolean },
): Promise<CaseOutcome> {
  const missing = bench.missing();
  if (missing !== null) return { name: bench.name, skipped: missing };
  const system = await System.open();
  try {
    const sides = await bench.open(system, options);
    try {
      const result = await runPairs(sides.subject, sides.peer, options.pairs, options.warmups);
      return { name: bench.name, floor: bench.floor, ...result };
    } finally {
      await sides.close();
    }
  } finally {
    await system.close();
  }
}

function describeMachine(): Record<string, unknown> {
  return {
    cpu: cpus()[0]?.model,
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
  };
}

const USAGE = `npm run bench -- [name…] [--pairs <n>] [--smoke]

Runs every bench, or those named, each next to its peer in turns; fails where a ratio is below its floor.
  --pairs <n>  how often each side runs (default: 5)
  --smoke      once and small, to see that it runs

${cases.map((bench) => `  ${bench.name.padEnd(13)} against ${bench.peer}`).join('\n')}
`;

function readArguments(): { values: { pairs: string; smoke: boolean; help: boolean }; positionals: string[] } {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        pairs: { type: 'string', default: '5' },
        smoke: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return process.exit(2);
  }
}

async function main(): Promise<void> {
  const { values, positionals } = readArguments();
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const unknown = positionals.filter((name) => !cases.some((bench) => bench.name === name));
  if (unknown.length > 0) {
    throw new Error(`no such bench: ${unknown.join(', ')}; there are: ${cases.map((bench) => bench.name).join(', ')}`);
  }
  const chosen = cases.filter((bench) => positionals.length === 0 || positionals.includes(bench.name));
  const { smoke } = values;
  const pairs = smoke ? 1 : Number(values.pairs);
  const outcomes: CaseOutcome[] = [];
  let failed = false;
  for (const bench of chosen) {
    process.stdout.write(`${bench.name}: ${bench.what}\n  against ${bench.peer}\n`);
    const outcome = await runCase(bench, { pairs, warmups: smoke ? 0 : 1, smoke });
    outcomes.push(outcome);
    if ('skipped' in outcome) {
      process.stdout.write(`  skipped: ${outcome.skipped}\n`);
      continue;
    }
    const list = (samples: PairedResult['subject']): string =>
      samples.map((sample) => sample.rate.toFixed(0)).join(' ');
    process.stdout.write(
      `  ours  ${outcome.subjectMedian.toFixed(0)} ${bench.unit} median of: ${list(outcome.subject)}\n`,
    );
    process.stdout.write(`  peer  ${outcome.peerMedian.toFixed(0)} ${bench.unit} median of: ${list(outcome.peer)}\n`);
    const below = !smoke && outcome.ratio < bench.floor;
    failed ||= below;
    const verdict = below ? `BELOW its floor ${bench.floor}` : `floor ${bench.floor}`;
    process.stdout.write(
      `  ratio ${outcome.ratio.toFixed(2)} (${verdict}), CPU ${outcome.cpuRatio.toFixed(2)} of the peer's\n`,
    );
  }
  if (!smoke) {
    const results = fileURLToPath(new URL('../../bench/results/', import.meta.url));
    mkdirSync(results, { recursive: true });
    const date = new Date().toISOString().slice(0, 10);
    const file = join(results, `${date}.json`);
    writeFileSync(file, `${JSON.stringify({ date, machine: describeMachine(), pairs, outcomes }, null, 2)}\n`);
    process.stdout.write(`written: ${file}\n`);
  }
  process.exitCode = failed ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
