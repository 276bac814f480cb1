import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderChart } from './chart.ts';
import { verdictOn } from '../outcome.ts';
import { outcomes, report } from './report.fixture.ts';
import { writeResults } from './results.ts';
import { renderTable } from './table.ts';
import { ceilingTargets, ratioTargets } from '../targets.ts';
import { cases } from '../cases/index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bench-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('every target has its case, and every case its target', () => {
  const names = (kind: 'paired' | 'measured'): string[] =>
    cases.filter((bench) => bench.kind === kind).map(({ name }) => name);
  expect(names('paired').toSorted()).toEqual(Object.keys(ratioTargets).toSorted());
  expect(names('measured').toSorted()).toEqual(Object.keys(ceilingTargets).toSorted());
});

test('a ratio below its floor, CPU above its ceiling and a figure above its own are missed; no target is only shown', () => {
  expect(outcomes.map(verdictOn)).toEqual(['met', 'missed', 'shown', 'missed', 'skipped']);
});

test('the table names machine, rates, ratio, targets and verdict of every case, and why one was skipped', () => {
  const table = renderTable(report);
  expect(table).toContain('2 cores, A CPU; 8 GiB; load 0.1 at the start');
  expect(table).toContain('ext4 (rw) on /dev/vda, scheduler [none]');
  expect(table).toContain('Redis 7.0.15, no fio, commit abc1234');
  expect(table).toContain(
    '| met-case | what met-case does | a \\| peer | 1500 MiB/s | 1000 MiB/s | 1.50 | at least 1 | 0.50 | none | met |',
  );
  expect(table).toContain('| 2.00 | at least 1.7 | 0.50 | at most 0.25 | **missed** |');
  expect(table).toContain('400 MiB/s (p99 41.0 ms)');
  expect(table).toContain('| measured-case | what is measured | 12.50 ms | at most 10 ms | **missed** |');
  expect(table).toContain('skipped-case skipped: fio is not installed');
  expect(table).toContain('| met-case | ours | host 0.50 s 120 MiB |');
});

test('a table of fewer pairs, or of a smoke run, says that it proves little', () => {
  expect(renderTable(report)).not.toContain('Only');
  expect(renderTable({ ...report, pairs: 2 })).toContain('Only 2 of at least 5 pairs');
  expect(renderTable({ ...report, smoke: true })).toContain('smoke run');
});

test('the chart shows each ratio by name, marks the targets, and leaves the ink to the page', () => {
  const svg = renderChart(outcomes, 'A title');
  expect(svg).toMatch(/^<svg [^>]*><style>/);
  for (const text of ['A title', 'met-case', '1.50x', 'cpu-missed-case', '2.00x', 'shown-case', '0.40x'])
    expect(svg).toContain(`>${text}</text>`);
  for (const verdict of ['met', 'missed', 'shown']) expect(svg).toContain(`>${verdict}</text>`);
  expect(svg).not.toContain('measured-case');
  expect(svg).toContain('prefers-color-scheme:dark');
  expect(svg).not.toMatch(/fill="(#000|#fff|#333)/);
});

test('a second run of a day takes nothing from the first', () => {
  const first = writeResults(directory, report.date, report);
  const second = writeResults(directory, report.date, { ...report, pairs: 7 });
  expect([...first, ...second].map((file) => file.slice(directory.length + 1))).toEqual([
    '2026-01-31.json',
    '2026-01-31.md',
    '2026-01-31.svg',
    '2026-01-31-2.json',
    '2026-01-31-2.md',
    '2026-01-31-2.svg',
  ]);
  expect(JSON.parse(readFileSync(first[0]!, 'utf8'))).toEqual(report);
  expect(JSON.parse(readFileSync(second[0]!, 'utf8'))).toMatchObject({ pairs: 7 });
  expect(readdirSync(directory)).toHaveLength(6);
});
