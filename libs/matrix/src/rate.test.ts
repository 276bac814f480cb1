import { Worker } from 'node:worker_threads';
import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { RateCell, RateTable, rateTime } from './rate.ts';

const MIB = 1_048_576;
const UNITS_PER_SECOND = 62_500; // 16 us each
const seconds = (count: number): number => Math.floor(count * UNITS_PER_SECOND);

/** A cell over words that nobody else has, with its rate set, and the time from which its next byte is due. */
function cellOf(bytesPerSecond: number): { cell: RateCell; other: RateCell; start: number } {
  const buffer = new SharedArrayBuffer(16);
  const words = new Int32Array(buffer);
  const make = (): RateCell => new RateCell(words, new Float64Array(buffer), 0, 2);
  const cell = make();
  cell.set(bytesPerSecond);
  return { cell, other: make(), start: words[2]! }; // and not the time of now: on a busy machine that is later
}

/** Sends rows of `rowBytes` through `cells` in turns, each as early as it may, for `length` units; the bytes sent. */
function send(cells: RateCell[], rowBytes: number, start: number, length: number, lateUnits = 0): number {
  let bytes = 0;
  let now = start;
  let waited = false;
  for (let turn = 0; ; turn += 1) {
    const cell = cells[turn % cells.length]!;
    const waitMs = cell.waitMs(now | 0);
    if (waitMs > 0) {
      now += Math.ceil((waitMs / 1000) * UNITS_PER_SECOND) + lateUnits;
      waited = true;
    }
    if (now - start >= length) return bytes;
    cell.charge(rowBytes, now | 0, waited);
    waited = false;
    bytes += rowBytes;
  }
}

test.each([
  [MIB, 65_536, 3],
  [50 * MIB, MIB, 3],
  [500 * MIB, MIB, 3],
  [500 * MIB, 4096, 0.5], // shorter than a unit of time: what is left over is carried on
  [5000 * MIB, 4096, 0.1],
])('%d bytes a second are kept to in rows of %d', (rate, rowBytes, length) => {
  const { cell, start } = cellOf(rate);
  const sent = send([cell], rowBytes, start, seconds(length));
  expect(sent / length / rate).toBeGreaterThan(0.99);
  expect((sent - rowBytes) / length / rate).toBeLessThan(1.01);
});

test('threads that share a cell keep one limit together', () => {
  const { cell, other, start } = cellOf(50 * MIB);
  const sent = send([cell, other], 65_536, start, seconds(3));
  expect(sent / 3 / (50 * MIB)).toBeCloseTo(1, 1);
});

test('a thread that wakes late for its turn does not make the rate lower', () => {
  const { cell, start } = cellOf(50 * MIB);
  const sent = send([cell], MIB, start, seconds(3), seconds(0.015));
  expect(sent / 3 / (50 * MIB)).toBeGreaterThan(0.98);
});

test('who comes after a rest gets no more than the slack of a few rows at once', () => {
  const rate = 100 * MIB;
  const { cell, start } = cellOf(rate);
  const rest = start + seconds(10);
  let bytes = 0;
  while (cell.waitMs(rest) <= 0) {
    cell.charge(65_536, rest, false);
    bytes += 65_536;
  }
  expect(bytes).toBeLessThan(rate * 0.025);
});

test('a long wait is made up for by no more than a quarter of a second, and no more than a batch of rows', () => {
  for (const [rate, most] of [
    [10 * MIB, 2.6 * MIB],
    [1000 * MIB, 33 * MIB],
  ] as const) {
    const { cell, start } = cellOf(rate);
    const late = start + seconds(10);
    let bytes = 0;
    while (cell.waitMs(late) <= 0) {
      cell.charge(65_536, late, true);
      bytes += 65_536;
    }
    expect(bytes).toBeLessThanOrEqual(most);
  }
});

test('a new limit holds at once: nothing that was charged at a slower one is waited for', () => {
  const { cell } = cellOf(1024);
  cell.charge(MIB, rateTime(), false);
  expect(cell.waitMs(rateTime())).toBeGreaterThan(900_000);
  cell.set(MIB);
  expect(cell.waitMs(rateTime())).toBeLessThanOrEqual(0);
});

test('the word wraps without a hitch, and what was left behind long ago is not waited for', () => {
  const { cell, start } = cellOf(MIB);
  let now = start;
  for (let day = 0; day < 20; day += 1) {
    now += seconds(3 * 3600); // 20 steps of three hours pass each place of the word
    cell.refresh(now | 0);
    expect(cell.waitMs(now | 0)).toBeLessThanOrEqual(0);
    cell.charge(MIB, now | 0, false);
    expect(cell.waitMs(now | 0)).toBeGreaterThan(900);
    expect(cell.waitMs(now | 0)).toBeLessThanOrEqual(1000);
  }
});

test('two threads that charge at the same time lose nothing of each other', async () => {
  const table = new RateTable(1);
  table.roots[0]!.set(MIB);
  const begun = rateTime();
  const code = `
    const { workerData } = require('node:worker_threads');
    import(workerData.module).then(({ RateTable, rateTime }) => {
      const cell = new RateTable(1, workerData.buffer).roots[0];
      for (let row = 0; row < 20000; row += 1) cell.charge(1024, workerData.begun, false);
    });`;
  const module = new URL('../dist/rate.js', import.meta.url).href;
  const workers = [0, 1].map(
    () => new Worker(code, { eval: true, workerData: { module, buffer: table.buffer, begun } }),
  );
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  // 40,000 rows of a 1,024th of a second, less the slack that the first of them may have used.
  const dueMs = table.roots[0]!.waitMs(begun);
  expect(dueMs).toBeGreaterThan((40_000 * 1000) / 1024 - 25);
  expect(dueMs).toBeLessThan((40_000 * 1000) / 1024 + 5);
  expect(table.host.bytesPerSecond).toBe(0);
});
