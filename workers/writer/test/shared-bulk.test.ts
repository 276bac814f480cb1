import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { BulkRequest, BulkResult } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { STOP_CANCEL } from '@penstock/matrix';
import { WriterPool } from '../src/pool/pool.ts';
import { stopRunning } from '../src/pool/stop.ts';
import { makeDirectory, poolOptions, throwing } from './pool.fixture.ts';

let directory: string;
let pool: WriterPool;
beforeEach(() => {
  directory = makeDirectory('shared-bulk-');
});
afterEach(async () => {
  await pool.close();
  rmSync(directory, { recursive: true });
});

const SIZE = 600;
const bytesOf = (seed: number): Buffer => Buffer.alloc(SIZE, `file ${seed} `);
/** `count` files, each with bytes of its own. */
const bulk = (count: number): BulkRequest => {
  const files = Array.from({ length: count }, (_, seed) => ({
    path: `d/${seed}`,
    source: { kind: 'inline', data: bytesOf(seed).toString('base64') },
  }));
  return parseJob({ files }) as BulkRequest;
};
const partsLeft = (): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.part'));

test('two threads carry out a bulk: each file is written once, and the result and the progress are of all', async () => {
  pool = new WriterPool(poolOptions(directory));
  const { block, done } = pool.run(bulk(600), 'job', 1);
  const result = (await done) as BulkResult;
  expect(result).toMatchObject({ files: 600, failed: 0, bytes: 600 * SIZE, writes: 600 });
  expect(Object.values(result.modes).reduce((sum, count) => sum + count, 0)).toBe(600);
  expect(result.items).toEqual(Array.from({ length: 600 }, (_, seed) => ({ path: `d/${seed}`, bytes: SIZE })));
  for (const seed of [0, 1, 299, 598, 599]) {
    expect(readFileSync(join(directory, `d/${seed}`)).equals(bytesOf(seed))).toBe(true);
  }
  const total = 600 * SIZE;
  expect(block.read()).toMatchObject({ phase: 'done', bytesWritten: total, bytesDurable: total, totalBytes: total });
  const helped = block.helpers[0]!.read().bytesWritten;
  expect(helped).toBeGreaterThan(0);
  expect(helped).toBeLessThan(total);
  expect(pool.freeSlots).toBe(pool.jobSlots);
});

test('a file that fails is reported in its place, whichever thread has tried it, and the progress never says that all is done', async () => {
  pool = new WriterPool(poolOptions(directory));
  const failing = [3, 77, 198];
  for (const seed of failing) mkdirSync(join(directory, `d/${seed}`), { recursive: true });
  const { block, done } = pool.run(bulk(200), 'job', 1);
  const { failed, items } = (await done) as BulkResult;
  expect(failed).toBe(3);
  expect(items.flatMap((item, index) => ('error' in item ? [[index, item.error.code]] : []))).toEqual(
    failing.map((index) => [index, 'EISDIR']),
  );
  expect(block.read().phase).not.toBe('done');
});

test('a bulk that is cancelled ends on both threads, and leaves no partial file', async () => {
  pool = new WriterPool(poolOptions(directory));
  const running = pool.run(bulk(1000), 'job', 1);
  while (running.block.read().bytesWritten === 0) await setImmediate();
  const forget = stopRunning(running, STOP_CANCEL, 5000, { awaited: true });
  await expect(running.done).rejects.toMatchObject({ code: 'ECANCELED' });
  forget();
  expect(pool.freeSlots).toBe(pool.jobSlots);
  expect(partsLeft()).toEqual([]);
});

test('a bulk is paused once none of its threads has anything under way, and goes on from there', async () => {
  pool = new WriterPool(poolOptions(directory));
  const running = pool.run(bulk(1000), 'job', 1);
  const { block, done } = running;
  while (block.helpers[0]!.read().bytesWritten === 0) await setImmediate();
  block.pause(true);
  running.wake();
  while (block.read().phase !== 'paused') await setImmediate();
  const before = block.read();
  expect(before.inFlight).toBe(0);
  expect(before.bytesWritten).toBeLessThan(1000 * SIZE);
  block.pause(false);
  running.wake();
  expect(await done).toMatchObject({ failed: 0, bytes: 1000 * SIZE });
});

test('a bulk of which one thread has ended, with files that failed, is paused once the other has nothing under way', async () => {
  pool = new WriterPool(poolOptions(directory));
  const failing = Array.from({ length: 100 }, (_, index) => `d/${index}`);
  for (const path of failing) mkdirSync(join(directory, path), { recursive: true });
  const large = { path: 'large', size: '1GiB' };
  const files = [large, ...failing.map((path) => ({ path, size: SIZE }))];
  const running = pool.run(parseJob({ files, durability: 'none' }), 'job', 1);
  const { block, done } = running;
  while (![block, ...block.helpers].some(({ hasEnded }) => hasEnded)) await setImmediate();
  block.pause(true);
  running.wake();
  while (block.read().phase !== 'paused') await setImmediate();
  expect(block.read().inFlight).toBe(0);
  const forget = stopRunning(running, STOP_CANCEL, 5000, { awaited: true });
  await expect(done).rejects.toMatchObject({ code: 'ECANCELED' });
  forget();
});

test('if one of its threads dies, a bulk fails once the other has stopped: nothing of it is written after that', async () => {
  pool = new WriterPool(poolOptions(directory, { entry: throwing }));
  const { done } = pool.run(bulk(1000), 'job', 1);
  // On one of the two threads, beside the bulk.
  const dying = pool.run(parseJob({ path: 'die', size: '64MiB' }), 'dying', 1).done;
  const [failed] = await Promise.allSettled([done, dying]);
  expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'EWRITERDIED', retryable: true } });
  expect(pool.freeSlots).toBe(pool.jobSlots);
  expect(partsLeft()).toEqual([]);
});

test('few files, and what earlier attempts have begun, are one thread’s', async () => {
  pool = new WriterPool(poolOptions(directory));
  const few = pool.run(bulk(20), 'few', 1);
  const again = pool.run(bulk(200), 'again', 2);
  expect([few, again].map(({ block }) => block.helpers.length)).toEqual([0, 0]);
  expect(await Promise.all([few.done, again.done])).toMatchObject([{ failed: 0 }, { failed: 0 }]);
});
