import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { chooseMatrix, planRows } from './plan.ts';

const MIB = 1_048_576;
const align = fc.constantFrom(1, 512, 4096);
const anyPlan = fc.record({
  size: fc.oneof(fc.nat({ max: 100_000 }), fc.maxSafeNat()),
  rows: fc.integer({ min: 1, max: 65_536 }),
  rowBytes: fc.oneof(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 1, max: 2 ** 30 })),
  memory: align,
  offset: align,
  depth: fc.integer({ min: 1, max: 1024 }),
  budget: fc.integer({ min: 0, max: 2 ** 31 }),
});

test('every plan can be submitted, fits its budget and its depth, and is no larger than its file (seed 9)', () => {
  const property = fc.property(anyPlan, ({ size, rows, rowBytes, memory, offset, depth, budget }) => {
    const plan = planRows(size, { rows, rowBytes }, memory, offset, depth, budget);
    if (plan === null) {
      // Only where one row is too large.
      expect(Math.ceil((Math.ceil(rowBytes / offset) * offset) / memory) * memory).toBeGreaterThan(budget);
      return;
    }
    const { ioBytes, rowStride, bufferRows } = plan;
    expect(ioBytes % offset).toBe(0);
    expect(rowStride % memory).toBe(0);
    expect(ioBytes).toBeGreaterThanOrEqual(rowBytes);
    // Either one row as it is, or as many as fit half a mebibyte (the last one in part); and up to the alignment.
    expect(ioBytes - Math.max(rowBytes, 524_288 + rowBytes)).toBeLessThan(offset);
    expect(ioBytes - rowBytes * rows).toBeLessThan(offset);
    expect(rowStride - ioBytes).toBeLessThan(memory);
    expect(bufferRows).toBeGreaterThanOrEqual(1);
    expect(bufferRows * rowStride).toBeLessThanOrEqual(budget);
    expect(bufferRows).toBeLessThanOrEqual(Math.min(depth, rows));
    expect((bufferRows - 1) * ioBytes).toBeLessThan(Math.max(1, size)); // no row that nothing would go through
  });
  fc.assert(property, { seed: 9, numRuns: 1000 });
});

test('takes rows as they are where the disk can write them', () => {
  const plan = planRows(64 * MIB, { rows: 8, rowBytes: MIB }, 512, 512, 32, 64 * MIB);
  expect(plan).toEqual({ ioBytes: MIB, rowStride: MIB, bufferRows: 8 });
});

test('gathers rows that are too small for the disk', () => {
  // Three rows of 1000 bytes are less than the smallest block: one iocb carries them all, padded.
  const plan = planRows(MIB, { rows: 3, rowBytes: 1000 }, 512, 4096, 32, 64 * MIB);
  expect(plan).toEqual({ ioBytes: 4096, rowStride: 4096, bufferRows: 1 });
});

test('gathers small rows up to half a mebibyte, with four iocbs left to be in flight', () => {
  const gathered = (rows: number, rowBytes: number) => planRows(64 * MIB, { rows, rowBytes }, 512, 512, 32, 64 * MIB);
  expect(gathered(1024, 1024)).toEqual({ ioBytes: MIB / 4, rowStride: MIB / 4, bufferRows: 4 });
  expect(gathered(32, 4096)).toEqual({ ioBytes: 32_768, rowStride: 32_768, bufferRows: 4 });
  expect(gathered(32, 65_536)).toEqual({ ioBytes: MIB / 2, rowStride: MIB / 2, bufferRows: 4 });
  expect(gathered(256, 65_536)).toEqual({ ioBytes: MIB / 2, rowStride: MIB / 2, bufferRows: 32 });
});

test('a file of up to half a mebibyte whose rows fit the matrix is one iocb', () => {
  const plan = planRows(300_000, { rows: 128, rowBytes: 4096 }, 512, 512, 32, 64 * MIB);
  expect(plan).toEqual({ ioBytes: 74 * 4096, rowStride: 74 * 4096, bufferRows: 1 });
});

test('an empty file still has a plan', () => {
  expect(planRows(0, { rows: 4, rowBytes: 4096 }, 512, 512, 32, MIB)?.bufferRows).toBe(1);
});

test('a row larger than the memory there is has no plan', () => {
  expect(planRows(MIB, { rows: 1, rowBytes: 2 * MIB }, 512, 512, 32, MIB)).toBeNull();
});

test('chooses a matrix that is as small as the file, and never more than 32 MiB (seed 10)', () => {
  const property = fc.property(fc.oneof(fc.nat({ max: 5 * MIB }), fc.maxSafeNat()), (size) => {
    const { rows, rowBytes } = chooseMatrix(size);
    expect(rowBytes % 4096).toBe(0);
    expect(rows * rowBytes).toBeLessThanOrEqual(32 * MIB);
    expect(rows * rowBytes).toBeLessThan(Math.max(size, 1) + rowBytes);
  });
  fc.assert(property, { seed: 10 });
  expect(chooseMatrix(0)).toEqual({ rows: 1, rowBytes: 4096 });
  expect(chooseMatrix(2 ** 30)).toEqual({ rows: 32, rowBytes: MIB });
});

test('takes the preferred matrix as far as the file can use it: small files still get one row', () => {
  const preferred = { rows: 8, rowBytes: 4 * MIB };
  expect(chooseMatrix(2 ** 30, preferred)).toEqual(preferred);
  expect(chooseMatrix(9 * MIB, preferred)).toEqual({ rows: 3, rowBytes: 4 * MIB });
  expect(chooseMatrix(100_000, preferred)).toEqual({ rows: 1, rowBytes: 102_400 });
  expect(chooseMatrix(0, preferred)).toEqual({ rows: 1, rowBytes: 4096 });
});
