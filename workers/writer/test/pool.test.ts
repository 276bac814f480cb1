import {
  closeSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { setEnvironmentData } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type JobRequestInput, isBulkResult } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { STOP_CANCEL } from '@penstock/matrix';
import type { PoolOptions } from '../src/pool/options.ts';
import { WriterPool } from '../src/pool/pool.ts';
import { stopRunning } from '../src/pool/stop.ts';
import { deaf, makeDirectory, poolOptions, throwing } from './pool.fixture.ts';

let directory: string;
let pool: WriterPool | undefined;
let deaths: Error[];

/** Contexts of this process: each maps its ring. */
const contexts = (): number => readFileSync('/proc/self/maps', 'latin1').split('/[aio]').length - 1;
/** Of files in the directory. */
const mappingsOf = (path: string): number => readFileSync('/proc/self/maps', 'latin1').split(path).length - 1;
const descriptorsIn = (path: string): string[] =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path);
    } catch {
      return false; // the descriptor that listed the directory
    }
  });

beforeEach(() => {
  directory = makeDirectory('pool-');
  deaths = [];
  closeSync(openSync(directory, 'r'));
});
afterEach(async () => {
  await pool?.close();
  pool = undefined;
  expect(contexts()).toBe(0);
  expect(descriptorsIn(directory)).toEqual([]);
  expect(mappingsOf(directory)).toBe(0);
  rmSync(directory, { recursive: true, force: true });
});

const options = (): PoolOptions =>
  poolOptions(directory, { jobs: 3, shmDirectory: directory, onThreadDeath: (error) => deaths.push(error) });

function openPool(entry?: URL, more: Partial<PoolOptions> = {}): WriterPool {
  pool = new WriterPool({ ...options(), ...(entry === undefined ? {} : { entry }), ...more });
  return pool;
}

const request = (input: JobRequestInput) => parseJob(input);

test('spreads writes over its threads, and every file is right', async () => {
  const running = openPool();
  const sizes = [0, 1, 4097, 1_000_000, 5_000_000, 9_000_001];
  const results = await Promise.all(
    sizes.map((size, index) => running.run(request({ path: `${index}.dat`, size }), `${index}`, 1).done),
  );
  expect(results.map((result) => result.bytes)).toEqual(sizes);
  expect(new Set(results.map((result) => result.thread)).size).toBe(2);
  expect(contexts()).toBe(2);
  for (const [index, size] of sizes.entries()) expect(readFileSync(join(directory, `${index}.dat`)).length).toBe(size);
});

test('a stopped write drains, says why, and leaves nothing', async () => {
  const { block, done } = openPool().run(request({ path: 'a.dat', size: '8GiB' }), 'a', 1);
  const outcome = done.catch((error: unknown) => error);
  while (block.read().bytesWritten === 0) await setImmediate();
  block.requestStop(STOP_CANCEL);
  expect(await outcome).toMatchObject({ code: 'ECANCELED', message: 'the write was cancelled', retryable: false });
  expect(readdirSync(directory)).toEqual([]);
});

test('when a thread dies its writes fail as retryable, its context, descriptors and partial files go, and another takes its place', async () => {
  const running = openPool(throwing);
  const rootsOnly = descriptorsIn(directory);
  const dying = running
    .run(request({ path: 'die.dat', size: '4GiB' }), 'dying', 1)
    .done.catch((error: unknown) => error);
  expect(await dying).toMatchObject({ code: 'EWRITERDIED', retryable: true });
  expect(deaths.map(({ message }) => message)).toEqual(['the thread dies here']);
  expect(readdirSync(directory)).toEqual([]);
  expect(descriptorsIn(directory)).toEqual(rootsOnly);
  const after = await Promise.all(
    Array.from(
      { length: 6 },
      (_, index) => running.run(request({ path: `${index}`, size: 100_000 }), `${index}`, 1).done,
    ),
  );
  expect(after.map((result) => result.bytes)).toEqual(Array(6).fill(100_000));
  expect(running.threads).toBe(2);
});

test('when a thread dies amid a segment of shared memory, its mapping goes with its descriptors', async () => {
  const running = openPool(throwing);
  const rootsOnly = descriptorsIn(directory);
  writeFileSync(join(directory, 'segment'), '');
  truncateSync(join(directory, 'segment'), 256 * 1024 * 1024); // a hole: the disk that holds it needs no room
  const source = { kind: 'shm', name: 'segment' } as const;
  const { done } = running.run(request({ path: 'die.dat', source }), 'dying', 1);
  const thread = { isDead: false };
  const dying = done.catch((error: unknown) => error).finally(() => (thread.isDead = true));
  let mapped = 0;
  while (!thread.isDead) {
    mapped = Math.max(mapped, mappingsOf(directory));
    await setImmediate();
  }
  expect(mapped).toBe(1);
  expect(await dying).toMatchObject({ code: 'EWRITERDIED' });
  expect(mappingsOf(directory)).toBe(0);
  expect(descriptorsIn(directory)).toEqual(rootsOnly);
});

test('a bulk runs beside single writes, and every file is right', async () => {
  const running = openPool();
  const files = Array.from({ length: 200 }, (_, index) => ({ path: `bulk/${index}` }));
  const [bulk, single] = await Promise.all([
    running.run(request({ size: 4096, files }), 'bulk', 1).done,
    running.run(request({ path: 'single', size: 5000 }), 'single', 1).done,
  ]);
  expect(isBulkResult(bulk) && bulk.items).toEqual(files.map(({ path }) => ({ path, bytes: 4096 })));
  expect(single.bytes).toBe(5000);
  expect(readdirSync(join(directory, 'bulk')).length).toBe(200);
});

test('when a thread dies amid a bulk, every descriptor and partial file of its lanes goes', async () => {
  const running = openPool(throwing);
  const rootsOnly = descriptorsIn(directory);
  const files = Array.from({ length: 100 }, (_, index) => ({ path: index === 0 ? 'die' : `${index % 2}/${index}` }));
  const dying = running.run(request({ size: '64MiB', files }), 'dying', 1).done.catch((error: unknown) => error);
  expect(await dying).toMatchObject({ code: 'EWRITERDIED', retryable: true });
  expect(descriptorsIn(directory)).toEqual(rootsOnly);
  const left = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  expect(left.filter((name) => name.endsWith('.part'))).toEqual([]);
  const after = await running.run(request({ size: 10, files: files.slice(1) }), 'after', 1).done;
  expect(after).toMatchObject({ files: 99, failed: 0 });
});

test('a write that does not stop is left behind at once; its deaf thread is terminated, its other writes are retryable and blameless, another takes its place', async () => {
  pool = new WriterPool({ ...options(), threads: 1, entry: deaf });
  const rootsOnly = descriptorsIn(directory);
  const hung = pool.run(request({ path: 'deaf.dat', size: '4GiB' }), 'hung', 1);
  const beside = pool.run(request({ path: 'beside.dat', size: '4GiB' }), 'beside', 1);
  const [left, died] = [hung, beside].map(({ done }) => done.catch((error: unknown) => error));
  const seen = () => [hung, beside].map(({ block }) => block.read().bytesWritten).join();
  for (let last = ''; last !== seen() || hung.block.read().inFlight === 0; await delay(100)) last = seen();
  stopRunning(hung, STOP_CANCEL, 20, { awaited: false });
  expect(await left).toMatchObject({
    code: 'ECANCELED',
    cause: { message: expect.stringContaining('may still reach') },
  });
  expect(await died).toMatchObject({
    code: 'EWRITERDIED',
    retryable: true,
    blameless: true,
    message: expect.stringMatching(/did not stop/),
  });
  expect(readdirSync(directory)).toEqual([]);
  expect(descriptorsIn(directory)).toEqual(rootsOnly);
  expect(contexts()).toBe(0);
  const after = Array.from(
    { length: 3 },
    (_, index) => pool!.run(request({ path: `${index}`, size: 100_000 }), `${index}`, 1).done,
  );
  expect((await Promise.all(after)).map(({ bytes }) => bytes)).toEqual(Array(3).fill(100_000)); // no slot is lost
  expect(pool.threads).toBe(1);
});

test('a paused write of an otherwise idle thread goes on when it is resumed, and a limit holds for all threads', async () => {
  const running = openPool();
  running.rates.roots[0]!.set(8_388_608);
  const begunAt = performance.now();
  const writes = [0, 1].map((index) => running.run(request({ path: `${index}`, size: '4MiB' }), `${index}`, 1));
  const [first] = writes;
  while (first!.block.read().bytesWritten === 0) await setImmediate();
  first!.block.pause(true);
  first!.wake();
  await writes[1]!.done;
  while (first!.block.read().phase !== 'paused') await setImmediate();
  first!.block.pause(false);
  first!.wake();
  expect(await first!.done).toMatchObject({ bytes: 4_194_304, durationsMs: { paused: expect.any(Number) } });
  expect(performance.now() - begunAt).toBeGreaterThan(900);
});

/** The message ports that keep this process alive: an idle pool's are none of them. */
const portsInUse = (): number => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;

test('an idle pool lets its process end, and its next write wakes it', async () => {
  const before = portsInUse();
  const running = openPool(undefined, { idleMs: 20 });
  await running.ready();
  expect(portsInUse()).toBeGreaterThan(before);
  for (const name of ['first', 'second']) {
    const { done } = running.run(request({ path: name, size: 10_000 }), name, 1);
    expect(await done).toMatchObject({ bytes: 10_000 });
    while (portsInUse() > before) await setImmediate();
  }
  expect(running.threads).toBe(2);
  expect(contexts()).toBeGreaterThan(0); // kept for the next write
});

test('one thread starts ahead, and another when a write finds none free', async () => {
  const running = openPool();
  const write = (path: string) => running.run(request({ path, size: 10_000 }), path, 1).done;
  for (const path of ['first', 'second']) expect(await write(path)).toMatchObject({ bytes: 10_000 });
  expect(running.threads).toBe(1);
  await Promise.all(['third', 'fourth'].map(write));
  expect(running.threads).toBe(2);
});

test('if another thread cannot come up, its writes fail at once, and all later ones go to the first', async () => {
  const running = openPool(new URL('refusing-worker.fixture.mjs', import.meta.url));
  const write = (path: string) => running.run(request({ path, size: 10_000 }), path, 1).done;
  expect(await write('first')).toMatchObject({ bytes: 10_000 });
  setEnvironmentData('refuses', true);
  try {
    const [second, third] = await Promise.allSettled(['second', 'third'].map(write));
    expect(second).toMatchObject({ status: 'fulfilled' });
    expect(third).toMatchObject({
      reason: { code: 'EWRITERDIED', message: expect.stringContaining('no such library') },
    });
    expect(deaths.map(({ message }) => message)).toContain('no such library');
    await Promise.all(['fourth', 'fifth', 'sixth'].map(write));
    expect(running.threads).toBe(1);
  } finally {
    setEnvironmentData('refuses', undefined);
  }
});

test('a thread that cannot come up is told of, and not waited for', async () => {
  const running = openPool(new URL('broken-worker.fixture.mjs', import.meta.url));
  await expect(running.ready()).rejects.toThrow('ended as it started');
  expect(deaths.map(({ message }) => message)).toContain('no such library');
});
