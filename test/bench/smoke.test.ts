// No bench rots: one case of each kind runs here, and the others in smoke.long.test.ts; what is written of a run can be written.
import { expect, test } from '@jest/globals';
import { System } from '../support/system.ts';
import { besideBench } from './beside.ts';
import { cases } from './cases/index.ts';
import { renderChart } from './report/chart.ts';
import { describeMachine } from './report/machine.ts';
import { runProgram } from './peers/program.ts';
import { QUICK_CASES, SMOKE, outcomes, testCases } from './smoke.fixture.ts';
import { renderTable } from './report/table.ts';

testCases(cases.filter(({ name }) => QUICK_CASES.has(name)));

test('table, chart and machine can be told of what ran here', async () => {
  const system = await System.open();
  const machine = await describeMachine(system).finally(() => system.close());
  expect(machine.redis).toMatch(/^\d+\.\d+/);
  const table = renderTable({ against: null, date: '2026-01-31', machine, ...SMOKE, outcomes });
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
