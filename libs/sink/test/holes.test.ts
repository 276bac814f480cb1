// Copies that keep holes: the same bytes as the source, whatever its layout, in no more space than it takes.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { WriteRequestInput, WriteResult } from '@penstock/contract';
import { faultyPort } from '@penstock/aio';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

const SEED = 20_110_608;
const BLOCK = 4096;
const MIB = 1_048_576;

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => bench.end());

interface Extent {
  start: number;
  length: number;
}

/** A file of `size` bytes, all hole but for `extents` of a stamp that is different at every position. */
function writeSparse(path: string, size: number, extents: readonly Extent[]): void {
  const fd = openSync(path, 'w');
  const source = createPatternSource('stamp', 7);
  for (const { start, length } of extents) {
    const end = Math.min(size, start + length);
    if (end > start) writeSync(fd, readSource(source, start, end - start), 0, end - start, start);
  }
  ftruncateSync(fd, size);
  closeSync(fd);
}

function readAt(path: string, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const fd = openSync(path, 'r');
  readSync(fd, bytes, 0, length, position);
  closeSync(fd);
  return bytes;
}

const allocated = (path: string): number => statSync(path).blocks * 512;

async function copyKept(fields: Partial<WriteRequestInput> = {}): Promise<WriteResult> {
  const source = { kind: 'file', root: 'archive', path: 'in', holes: 'keep' } as const;
  return bench.write({ path: 'out', source, ...fields });
}

/** Copies the layout and compares; returns the result. */
async function expectKept(
  size: number,
  extents: readonly Extent[],
  fields: Partial<WriteRequestInput> = {},
): Promise<WriteResult> {
  const from = join(bench.archive, 'in');
  const to = join(bench.directory, 'out');
  writeSparse(from, size, extents);
  const result = await copyKept(fields);
  const bytes = typeof fields.size === 'number' ? fields.size : size;
  expect(result).toMatchObject({ bytes, copied: 'rows' });
  expect(Buffer.compare(readFileSync(to), readFileSync(from).subarray(0, bytes))).toBe(0);
  expect(statSync(to).size).toBe(bytes);
  // What else may be taken up: the part of a block at the end, and a block of the file system's own records.
  expect(allocated(to)).toBeLessThanOrEqual(allocated(from) + 2 * BLOCK);
  return result;
}

test(`any layout is copied with its bytes and its holes, at any size asked for (seed ${SEED})`, async () => {
  const layout = fc.record({
    size: fc.nat({ max: 3 * MIB }),
    extents: fc.array(fc.record({ start: fc.nat({ max: 3 * MIB }), length: fc.nat({ max: 200_000 }) }), {
      maxLength: 12,
    }),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
    whole: fc.boolean(),
    matrix: fc.constantFrom(undefined, { rows: 3, rowBytes: 1000 }, { rows: 2, rowBytes: 65_536 }),
  });
  const property = fc.asyncProperty(layout, async ({ size, extents, part, whole, matrix }) => {
    await expectKept(size, extents, { matrix, ...(whole ? {} : { size: Math.floor(size * part) }) });
  });
  await fc.assert(property, { seed: SEED, numRuns: 80 });
});

test.each<[string, number, Extent[], number]>([
  ['an empty file', 0, [], 0],
  ['all hole', 4 * MIB, [], 4 * MIB],
  ['all hole, of an odd size', 4 * MIB + 1, [], 4 * MIB + 1],
  ['a hole at the start', 2 * MIB, [{ start: MIB, length: MIB }], MIB],
  ['a hole at the end', 2 * MIB, [{ start: 0, length: MIB }], MIB],
  ['a hole at the end, of an odd size', 2 * MIB + 77, [{ start: 0, length: MIB }], MIB + 77],
  ['a hole between, and an odd end', 3 * MIB + 5, [0, 2 * MIB].map((start) => ({ start, length: 1.5 * MIB })), MIB / 2],
  ['no hole', MIB + 3, [{ start: 0, length: 2 * MIB }], 0],
])('%s: the result tells how much of it is hole', async (_, size, extents, holeBytes) => {
  const result = await expectKept(size, extents);
  expect(result.holeBytes).toBe(holeBytes);
  if (holeBytes === size) expect(result).toMatchObject({ writes: 0, reads: 0 });
});

test('a size asked for that ends inside a hole ends there', async () => {
  const extents = [0, 3 * MIB].map((start) => ({ start, length: MIB }));
  const result = await expectKept(4 * MIB, extents, { size: 2 * MIB + 13 });
  expect(result.holeBytes).toBe(MIB + 13);
});

test('progress counts holes as written, and reaches the total', async () => {
  writeSparse(join(bench.archive, 'in'), 64 * MIB, [{ start: 8 * MIB, length: MIB }]);
  const block = bench.control.job(63);
  block.reset();
  const source = { kind: 'file', root: 'archive', path: 'in', holes: 'keep' } as const;
  await bench.write({ path: 'out', source }, { block });
  expect(block.read()).toMatchObject({ bytesWritten: 64 * MIB, totalBytes: 64 * MIB });
});

/** True once `path`, an empty file, is kept without extents, as files of an ext3 are: on ext4 alone. */
function leaveExtents(path: string): boolean {
  writeFileSync(path, '');
  return (
    spawnSync('chattr', ['-e', path]).status === 0 &&
    !/^\S*e/.test(execFileSync('lsattr', [path], { encoding: 'utf8' }))
  );
}

test('what was written behind a hole a moment ago is copied, though the file system does not see it yet', async () => {
  const from = join(bench.archive, 'in');
  // Elsewhere than on ext4 the plain file must be right as well.
  for (const isPlain of [false, true]) {
    if (isPlain) writeFileSync(from, '');
    else if (!leaveExtents(from)) continue;
    const bytes = readSource(createPatternSource('stamp', 7), 0, 200_000);
    const fd = openSync(from, 'r+');
    ftruncateSync(fd, 4 * MIB);
    writeSync(fd, bytes, 0, bytes.length, MIB + 77);
    const result = await copyKept();
    closeSync(fd);
    expect(Buffer.compare(bench.read('out'), readFileSync(from))).toBe(0);
    expect(result.holeBytes).toBeGreaterThan(3 * MIB);
  }
});

test('in place, holes are holes where the old file had data', async () => {
  writeFileSync(join(bench.directory, 'out'), Buffer.alloc(3 * MIB, 1));
  const result = await expectKept(2 * MIB, [{ start: MIB, length: 5000 }], { publish: 'in-place' });
  expect(result.holeBytes).toBe(2 * MIB - 2 * BLOCK);
});

test('a file far larger than its disk is copied by what it takes up there', async () => {
  const size = 2 ** 42;
  writeSparse(join(bench.archive, 'in'), size, [{ start: 2 ** 41, length: 5000 }]);
  const result = await copyKept();
  expect(result).toMatchObject({ bytes: size, holeBytes: size - 2 * BLOCK });
  const expected = readSource(createPatternSource('stamp', 7), 2 ** 41, 5000);
  expect(Buffer.compare(readAt(join(bench.directory, 'out'), 2 ** 41, 5000), expected)).toBe(0);
});

test('without being asked holes are filled, and the result says nothing of them', async () => {
  writeSparse(join(bench.archive, 'in'), 2 * MIB, []);
  const result = await bench.write({ path: 'out', source: { kind: 'file', root: 'archive', path: 'in' } });
  expect(result.copied).toBe('rows');
  expect(result).not.toHaveProperty('holeBytes');
  expect(allocated(join(bench.directory, 'out'))).toBeGreaterThanOrEqual(2 * MIB);
});

test.each([1, 2, 3, 4])('holes are kept under short, late and reordered I/O (seed %i)', async (seed) => {
  bench.close();
  const faults = { partialSubmit: 0.3, delayed: 0.2, shortWrite: 0.2, shortRead: 0.2 };
  bench = openBench({ port: faultyPort({ seed, faults }), depth: 8 });
  const extents = Array.from({ length: 9 }, (_, index) => ({
    start: index * 300_000,
    length: 50_000 + index * 20_000,
  }));
  await expectKept(3 * MIB + seed, extents, { matrix: { rows: 4, rowBytes: 16_384 } });
});
