// Writes whose bytes this thread, or one that is no writer, hands to a writer thread while they run.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteRequestInput } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { RingProducer, STOP_CANCEL } from '@penstock/matrix';
import { WriterPool } from '../src/pool/pool.ts';
import type { RunningStream } from '../src/pool/running.ts';
import { makeDirectory, poolOptions, throwing } from './pool.fixture.ts';

const MIB = 1_048_576;

let directory: string;
let pool: WriterPool;

beforeEach(() => {
  directory = makeDirectory('streams-');
  pool = openPool();
});
afterEach(async () => {
  await pool.close();
  rmSync(directory, { recursive: true, force: true });
});

function openPool(entry?: URL): WriterPool {
  const more = entry === undefined ? {} : { entry };
  return new WriterPool(poolOptions(directory, { memoryBytes: 134_217_728, ...more }));
}

let jobs = 0;
function run(fields: Partial<WriteRequestInput> = {}): RunningStream {
  jobs += 1;
  const request = parseRequest({ path: `${jobs}.dat`, source: { kind: 'stream' }, ...fields });
  const running = pool.runStream(request, `job${jobs}`, 1);
  running.done.catch(() => {}); // awaited by the test, perhaps only after the producer has been told
  return running;
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
/** Bytes that are different at every position and in every file. */
function bytesOf(seed: number, size: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4));
  for (let index = 0; index < words.length; index += 1) words[index] = Math.imul(index + seed, 2_654_435_761);
  return new Uint8Array(words.buffer, 0, size);
}

test('several streams at once, over both threads, are each their own bytes', async () => {
  const sizes = [0, 1, 4097, 300_000, 5 * MIB + 3, 21 * MIB];
  const results = await Promise.all(
    sizes.map(async (size, seed) => {
      const { inlet, done } = run({ path: `${seed}` });
      const producer = new RingProducer(inlet);
      const bytes = bytesOf(seed, size);
      for (let at = 0; at < size; at += 70_001) await producer.pushAll(bytes.subarray(at, at + 70_001));
      producer.end();
      return done;
    }),
  );
  expect(results.map((result) => result.bytes)).toEqual(sizes);
  expect(new Set(results.map((result) => result.thread)).size).toBe(2);
  for (const [seed, size] of sizes.entries())
    expect(sha256(readFileSync(join(directory, `${seed}`)))).toBe(sha256(bytesOf(seed, size)));
});

/** Another thread that pushes 4 MiB of sevens again and again, `count` times, and ends; says when it begins to push. */
function startProducer(inlet: RunningStream['inlet'], count: number): Worker {
  const url = new URL('producer.fixture.mjs', import.meta.url);
  return new Worker(url, { workerData: { inlet, count }, transferList: [inlet.port] });
}
const exitOf = (worker: Worker): Promise<void> => new Promise((resolve) => worker.once('exit', () => resolve()));

test('a thread that is no writer brings the bytes', async () => {
  const { inlet, done } = run({ path: 'sevens' });
  const worker = startProducer(inlet, 10);
  const gone = exitOf(worker);
  expect((await done).bytes).toBe(40 * MIB);
  await gone;
  expect(sha256(readFileSync(join(directory, 'sevens')))).toBe(sha256(new Uint8Array(40 * MIB).fill(7)));
});

test('a producing thread that is terminated fails its stream alone', async () => {
  const [{ inlet, done, block }, other] = [run({ path: 'torn' }), run({ path: 'other' })];
  const worker = startProducer(inlet, Number.POSITIVE_INFINITY);
  while (block.read().bytesWritten === 0) await setImmediate();
  await worker.terminate();
  await expect(done).rejects.toMatchObject({ code: 'EPIPE' });
  const producer = new RingProducer(other.inlet);
  await producer.pushAll(bytesOf(1, 100_000));
  producer.end();
  expect((await other.done).bytes).toBe(100_000);
  expect(readdirSync(directory)).toEqual(['other']);
});

test('a stream that is cancelled while it waits for bytes leaves nothing, and its producer hears of it', async () => {
  const { inlet, done, block } = run();
  let producer!: RingProducer;
  const closed = new Promise<void>((resolve) => {
    producer = new RingProducer(inlet, resolve);
  });
  await producer.pushAll(bytesOf(1, 3 * MIB));
  block.requestStop(STOP_CANCEL);
  await expect(done).rejects.toMatchObject({ code: 'ECANCELED', message: 'the write was cancelled' });
  await closed;
  expect([producer.push(bytesOf(1, 5)), await producer.writable()]).toEqual([0, false]);
  expect(readdirSync(directory)).toEqual([]);
});

test('a writer thread that dies takes its streams with it: they fail, their producers hear of it, and the rows serve others', async () => {
  await pool.close();
  pool = openPool(throwing);
  const { inlet, done } = run({ path: 'die.dat' });
  const producer = new RingProducer(inlet);
  const chunk = bytesOf(2, 1_000_000);
  while (await producer.pushAll(chunk)); // until nothing is taken any more
  await expect(done).rejects.toMatchObject({ code: 'EWRITERDIED', retryable: true });
  expect([producer.closed, producer.push(chunk)]).toEqual([true, 0]);
  const after = Array.from({ length: 6 }, (_, seed) => {
    const next = run({ path: `after${seed}` });
    return { ...next, seed };
  });
  const results = await Promise.all(
    after.map(async (next) => {
      const fresh = new RingProducer(next.inlet);
      await fresh.pushAll(bytesOf(next.seed, 2 * MIB));
      fresh.end();
      return next.done;
    }),
  );
  expect(results.map((result) => result.bytes)).toEqual(Array(6).fill(2 * MIB));
  for (const { seed } of after)
    expect(sha256(readFileSync(join(directory, `after${seed}`)))).toBe(sha256(bytesOf(seed, 2 * MIB)));
});
