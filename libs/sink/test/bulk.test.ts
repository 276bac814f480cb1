import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { BulkItemResult } from '@penstock/contract';
import { STOP_SHUTDOWN } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { BULK_LANES } from '../src/bulk/bulk.ts';
import { jobKeyOf, partName } from '../src/attempt/parts.ts';
import { type Bench, openBench, stamp } from '../src/thread/thread.fixture.ts';

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => bench.end());

const expectStamped = (path: string, seed: number, size: number): void => {
  expect(Buffer.compare(bench.read(path), stamp(seed, size))).toBe(0);
};
const codeOf = (item: BulkItemResult | undefined): string | undefined =>
  item !== undefined && 'error' in item ? item.error.code : undefined;

/** `count` files of as many seeds, in three directories. */
const manyFiles = (count: number) =>
  Array.from({ length: count }, (_, seed) => ({
    path: `many/${seed % 3}/${seed}.dat`,
    size: (seed * 997) % 20_000,
    source: { kind: 'pattern' as const, pattern: 'stamp' as const, seed },
  }));

test('every file of a bulk has its own bytes, and the result tells of each in the order of the request', async () => {
  const files = manyFiles(300);
  const result = await bench.bulk({ files });
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  expect(result).toMatchObject({ files: 300, failed: 0, bytes, writes: expect.any(Number), thread: 0 });
  expect(result.items).toEqual(files.map(({ path, size }) => ({ path, bytes: size })));
  expect(Object.values(result.modes).reduce((sum, count) => sum + count, 0)).toBe(300);
  for (const [seed, { path, size }] of files.entries()) expectStamped(path, seed, size);
});

test('files of one directory share its flushes', async () => {
  let flushes = 0;
  const prepFsync = bench.engine.prepFsync.bind(bench.engine);
  bench.engine.prepFsync = (slot, fd) => {
    flushes += 1;
    prepFsync(slot, fd);
  };
  await bench.bulk({ size: 4096, files: Array.from({ length: 320 }, (_, index) => ({ path: `${index}` })) });
  expect(flushes).toBeLessThan(160);
});

test('no more files are open at once than there are lanes', async () => {
  let open = 0;
  const before = readdirSync('/proc/self/fd').length;
  const prepWrite = bench.engine.prepWrite.bind(bench.engine);
  bench.engine.prepWrite = (...args) => {
    open = Math.max(open, readdirSync('/proc/self/fd').length - before);
    prepWrite(...args);
  };
  await bench.bulk({ size: 4096, files: Array.from({ length: 200 }, (_, index) => ({ path: `${index}` })) });
  expect(open).toBeLessThanOrEqual(2 * BULK_LANES + 1); // each has its directory open too, and all the root
  expect(open).toBeGreaterThan(BULK_LANES);
});

test('an item that fails has its own error, and the others are written', async () => {
  writeFileSync(join(bench.directory, '7'), 'mine');
  mkdirSync(join(bench.directory, '9'));
  const files = Array.from({ length: 50 }, (_, index) => ({ path: `${index}` }));
  const block = bench.control.job(0);
  const result = await bench.bulk(
    { size: 4096, mode: 'create', files: [...files, { path: 'x', root: 'nowhere' }, { path: 'y', root: 'archive' }] },
    { block },
  );
  expect(result).toMatchObject({ files: 52, failed: 4, bytes: 48 * 4096 });
  expect(codeOf(result.items[7])).toBe('EEXIST');
  expect(codeOf(result.items[9])).toBe('EISDIR');
  expect(result.items[50]).toMatchObject({ path: 'x', error: { code: 'EBADREQUEST', field: 'root' } });
  expect(codeOf(result.items[51])).toBe('EBADREQUEST');
  expect(bench.read('7').toString()).toBe('mine');
  expect(bench.parts()).toEqual([]);
  // What failed is not written: the progress says so to the end.
  expect(block.read()).toMatchObject({
    phase: 'writing',
    bytesWritten: 48 * 4096,
    bytesDurable: 48 * 4096,
    inFlight: 0,
  });
});

test('of a thousand that fail, a hundred errors are told in full and the rest by their code', async () => {
  const files = Array.from({ length: 1000 }, (_, index) => ({ path: `in/no/${'x'.repeat(200)}/${index}` }));
  const result = await bench.bulk({ size: 1, root: 'archive', files });
  expect(result.failed).toBe(1000);
  expect(result.items[5]).toMatchObject({ error: { code: 'EBADREQUEST', field: 'root', retryable: false } });
  const errors = result.items.map((item) => JSON.stringify('error' in item ? item.error : null).length);
  expect(errors.filter((length) => length > 150).length).toBe(100);
});

test('progress adds up over the files, copies of unknown size included, and ends at all of it', async () => {
  writeFileSync(join(bench.archive, 'in.dat'), stamp(1, 100_000));
  const block = bench.control.job(0);
  const source = { kind: 'file' as const, root: 'archive', path: 'in.dat' };
  await bench.bulk(
    {
      files: [
        { path: 'a', size: 5000 },
        { path: 'b', source },
        { path: 'c', size: 0 },
      ],
    },
    { block },
  );
  expectStamped('b', 1, 100_000);
  expect(block.read()).toEqual({
    phase: 'done',
    bytesWritten: 105_000,
    bytesDurable: 105_000,
    totalBytes: 105_000,
    inFlight: 0,
  });
});

test('a stop ends all that run, begins no more, and leaves no partial file', async () => {
  const block = bench.control.job(0);
  const files = Array.from({ length: 500 }, (_, index) => ({ path: `${index}` }));
  const outcome = bench.bulk({ size: '8MiB', files }, { block }).catch((error: unknown) => error);
  while (block.read().bytesWritten === 0) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  expect(await outcome).toMatchObject({ code: 'ECANCELED', reason: 'shutdown', retryable: true });
  expect(bench.parts()).toEqual([]);
  expect(bench.names().length).toBeLessThan(500);
});

test('a bulk that is stopped before it begins writes nothing', async () => {
  const block = bench.control.job(0);
  block.requestStop(STOP_SHUTDOWN);
  await expect(bench.bulk({ size: 1, files: [{ path: 'a' }] }, { block })).rejects.toMatchObject({ code: 'ECANCELED' });
  expect(bench.names()).toEqual([]);
});

test('a bulk whose lock has run out is not taken for a cancelled one, and begins no more', async () => {
  const block = bench.control.job(0);
  block.holdFor(0);
  const files = Array.from({ length: 100 }, (_, index) => ({ path: `${index}` }));
  const outcome = bench.bulk({ size: 1, files }, { block });
  await expect(outcome).rejects.toMatchObject({ code: 'ECANCELED', reason: 'lost', retryable: true });
  expect(bench.names()).toEqual([]);
});

test('the next attempt removes what a killed one left, through links too, and nothing of another job', async () => {
  mkdirSync(join(bench.directory, 'a'));
  symlinkSync('a', join(bench.directory, 'b'));
  const files = Array.from({ length: 40 }, (_, index) => ({ path: `${index % 2 === 0 ? 'a' : 'b'}/${index}` }));
  const left = (jobName: string, path: string): string => {
    const name = partName(jobKeyOf(jobName, { root: 'data', path }), '1');
    writeFileSync(join(bench.directory, 'a', name), 'half');
    return name;
  };
  for (const { path } of files) left('mine', path);
  const anothers = left('yours', 'a/0');
  const result = await bench.bulk({ size: 100, files }, { jobKey: 'mine', attemptToken: '2', again: true });
  expect(result.failed).toBe(0);
  expect(readdirSync(join(bench.directory, 'a')).filter((name) => name.endsWith('.part'))).toEqual([anothers]);
});

test('with mode create a file of an earlier attempt is the job’s own, and anybody else’s is not', async () => {
  const request = { size: 4096, mode: 'create' as const, files: [{ path: 'a' }, { path: 'b' }] };
  await bench.bulk(request, { jobKey: 'mine' });
  expect((await bench.bulk(request, { jobKey: 'mine', attemptToken: '2', again: true })).failed).toBe(0);
  expect((await bench.bulk(request, { jobKey: 'yours', attemptToken: '2', again: true })).failed).toBe(2);
});

test('files of extents are written whole, with zeros between', async () => {
  const source = {
    kind: 'extents' as const,
    extents: [
      { offset: 9000, size: 700_000, source: { kind: 'pattern' as const, pattern: 'stamp' as const, seed: 3 } },
      { offset: 100, size: 50, source: { kind: 'pattern' as const, pattern: 'text' as const, seed: 2 } },
    ],
  };
  const single = await bench.write({ path: 'single', source, matrix: { rows: 3, rowBytes: 5000 } });
  expect(single).toMatchObject({ bytes: 709_000, extentEnds: [709_000, 150] });
  const bulk = await bench.bulk({ source, files: [{ path: 'exact' }, { path: 'longer', size: 800_000 }] });
  expect(bulk.items).toEqual([
    { path: 'exact', bytes: 709_000 },
    { path: 'longer', bytes: 800_000 },
  ]);
  const expected = Buffer.alloc(800_000);
  expected.set(stamp(3, 700_000), 9000);
  expected.set(readSource(createPatternSource('text', 2), 0, 50), 100);
  expect(bench.read('longer').equals(expected)).toBe(true);
  for (const name of ['single', 'exact']) expect(bench.read(name).equals(expected.subarray(0, 709_000))).toBe(true);
});

test('a single write beside a bulk is not held up until the bulk has ended', async () => {
  const files = Array.from({ length: 600 }, (_, index) => ({ path: `${index}` }));
  const bulk = bench.bulk({ size: 4096, files });
  const beside = bench.write({ path: 'beside', size: 4_000_000 });
  expect(await Promise.race([bulk.then(() => 'the bulk'), beside.then(() => 'the write')])).toBe('the write');
  await bulk;
});
