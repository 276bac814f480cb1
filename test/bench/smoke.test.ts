// No bench rots: each case runs once, small, with its peer if it has one; and what is written of a run can be written.
import { expect, test } from '@jest/globals';
import { System } from '../system.ts';
import { besideBench } from './beside.ts';
import { cases } from './cases/index.ts';
import { renderChart } from './chart.ts';
import { describeMachine } from './machine.ts';
import { type Outcome, runCase } from './outcome.ts';
import type { ProcessUsage } from './processes.ts';
import { runProgram } from './program.ts';
import { renderTable } from './table.ts';

const SMOKE = { pairs: 1, warmups: 0, smoke: true };
const outcomes: Outcome[] = [];

function expectUsage(processes: ProcessUsage[]): void {
  expect(processes).not.toHaveLength(0);
  for (const { cpuSeconds, peakRssBytes } of processes) {
    expect(cpuSeconds).toBeGreaterThanOrEqual(0);
    expect(peakRssBytes).toBeGreaterThan(0);
  }
}

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
    60_000,
  );
}

test('table, chart and machine can be told of what ran here', async () => {
  const system = await System.open();
  const machine = await describeMachine(system).finally(() => system.close());
  expect(machine.redis).toMatch(/^\d+\.\d+/);
  const table = renderTable({ date: '2026-01-31', machine, ...SMOKE, outcomes });
  const chart = renderChart(outcomes, 'smoke');
  expect(outcomes.length).toBeGreaterThan(0);
  for (const { name, kind } of outcomes) {
    expect(table).toContain(`| ${name} |`);
    if (kind === 'paired') expect(chart).toContain(`>${name}</text>`);
  }
});

test('the ways of a small file run, each of them', async () => {
  const system = await System.open();
  try {
    const { stdout } = await runProgram(process.execPath, [besideBench('small-file-ways.mjs'), system.data, '32']);
    expect(stdout.match(/files\/s; us a file: create \d+/g)).toHaveLength(12);
    expect(system.names()).toEqual([]);
  } finally {
    await system.close();
  }
});
