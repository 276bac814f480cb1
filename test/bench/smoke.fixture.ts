/** For tests: a case of the bench, run once and small, with its peer if it has one. */
import { expect, test } from '@jest/globals';
import type { BenchCase } from './case.ts';
import { type Outcome, runCase } from './outcome.ts';
import type { ProcessUsage } from './processes.ts';

export const SMOKE = { pairs: 1, warmups: 0, smoke: true };

/** One with a peer that is a program, one with a worker, and one without a peer; the others take minutes. */
export const QUICK_CASES: ReadonlySet<string> = new Set<BenchCase['name']>(['copy-cp', 'files-4k', 'idle-host']);

/** What became of the cases that ran. */
export const outcomes: Outcome[] = [];

function expectUsage(processes: ProcessUsage[]): void {
  expect(processes).not.toHaveLength(0);
  for (const { cpuSeconds } of processes) expect(cpuSeconds).toBeGreaterThanOrEqual(0);
  // Of several, one may have ended before it was looked at: a sync with nothing to flush.
  expect(Math.max(...processes.map(({ peakRssBytes }) => peakRssBytes))).toBeGreaterThan(0);
}

/** Declares a test of each of these cases. */
export function testCases(cases: readonly BenchCase[]): void {
  for (const bench of cases) {
    const missing = bench.missing(SMOKE);
    (missing === null ? test : test.skip)(
      `${bench.name} runs, and all its sides do work${missing === null ? '' : ` (${missing})`}`,
      async () => {
        const outcome = await runCase(bench, SMOKE);
        outcomes.push(outcome);
        if (outcome.kind === 'unmeasured') throw new Error(outcome.reason);
        if (outcome.kind === 'measured') {
          expect(outcome.result.value).toEqual(expect.any(Number));
          expectUsage(outcome.result.processes);
          return;
        }
        for (const { rate, processes } of [...outcome.result.subject, ...outcome.result.peer]) {
          expect(rate).toBeGreaterThan(0);
          expectUsage(processes);
        }
      },
    );
  }
}
