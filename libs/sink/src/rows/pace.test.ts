import { performance } from 'node:perf_hooks';
import { expect, test } from '@jest/globals';
import { RateTable } from '@penstock/matrix';
import { Pace } from './pace.ts';

const MIB = 1_048_576;

function paceOf(rates: { job?: number; root?: number; host?: number }): { pace: Pace; wakes: number[] } {
  const table = new RateTable(2);
  const [job, root] = table.roots;
  job!.set(rates.job ?? 0);
  root!.set(rates.root ?? 0);
  table.host.set(rates.host ?? 0);
  const wakes: number[] = [];
  const loop = { wakeAt: (time: number) => void wakes.push(time) };
  return { pace: new Pace(loop, { job: job!, root: root!, host: table.host }, 4096), wakes };
}

test('without a limit every row goes as it is', () => {
  const { pace, wakes } = paceOf({});
  for (let row = 0; row < 100; row += 1) expect(pace.admit(MIB)).toBe(MIB);
  expect(wakes).toEqual([]);
});

test('a row takes no longer than a twentieth of a second, is aligned, and never shorter than a block', () => {
  expect(paceOf({ job: MIB }).pace.admit(MIB)).toBe(12 * 4096);
  expect(paceOf({ job: 100 }).pace.admit(MIB)).toBe(4096);
  expect(paceOf({ job: 100 }).pace.admit(777)).toBe(777); // the last one
  expect(paceOf({ job: 100 * MIB, root: 0, host: 2 * MIB }).pace.admit(MIB)).toBe(25 * 4096);
});

test.each(['job', 'root', 'host'] as const)(
  'the limit of the %s holds a row back, and tells when to ask again',
  (whose) => {
    const { pace, wakes } = paceOf({ [whose]: MIB });
    const before = performance.now();
    let sent = 0;
    for (let admitted = pace.admit(MIB); admitted > 0; admitted = pace.admit(MIB)) sent += admitted;
    // The first row, and what the slack of 20 ms lets through besides.
    expect(sent).toBeLessThanOrEqual(3 * 12 * 4096);
    const [wake] = wakes;
    expect(wake! - before).toBeGreaterThan(1);
    expect(wake! - before).toBeLessThan(400);
  },
);

test('with a limit of the job, its root and its host a row goes as soon as none of them holds it back', () => {
  const { pace, wakes } = paceOf({ job: 400 * MIB, root: 600 * MIB, host: 300 * MIB });
  expect(pace.isOpen()).toBe(true);
  expect(pace.admit(MIB)).toBe(MIB);
  const until = performance.now() + 100; // far longer than a mebibyte takes
  while (performance.now() < until);
  expect(pace.isOpen()).toBe(true);
  expect(pace.admit(MIB)).toBe(MIB);
  expect(wakes).toEqual([]);
});
