// Writes whose bytes this thread, or one that is no writer, hands to a writer thread while they run.
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type WriteRequestInput, parseRequest } from '@penstock/contract';
import { RingProducer, STOP_CANCEL } from '@penstock/matrix';
import { type RunningStream, WriterPool } from './pool.ts';

const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));
const throwing = new URL('throwing-worker.fixture.mjs', import.meta.url);
const MIB = 1_048_576;

let directory: string;
let pool: WriterPool;

beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  directory = mkdtempSync(join(scratch, 'streams-'));
  pool = openPool();
});
afterEach(async () => {
  await pool.close();
  rmSync(directory, { recursive: true, force: true });
});

function openPool(entry?: URL): WriterPool {
  return new WriterPool({
    threads: 2,
    depth: 32,
    jobs: 8,
    memoryBytes: 134_217_728,
    roots: [{ name: 'data', path: directory, writable: true }],
    engine: 'auto',
    ...(entry === undefined ? {} : { entry }),
  });
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
      for (let at = 0; at < size; at += 70_001) await producer.pushAll(bytes.subarray(at, at + 70_001)); // oxlint-disable-line no-await-in-loop
      producer.end();
      return done;
    }),
  );
  expect(results.map((result) => result.bytes)).toEqual(sizes);
  expect(new Set(results.map((result) => result.thread)).size).toBe(2);
  for (const [seed, size] of sizes.entries())
    expect(sha256(readFileSync(join(directory, `${seed}`)))).toBe(sha256(bytesOf(seed, size)));
});
