// Writes whose bytes arrive while they run, by a row ring.
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { WriteRequestInput, WriteResult } from '@penstock/contract';
import { RingProducer, STOP_CANCEL, createRing } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, type BenchOptions, type WriteOptions, openBench } from './thread.fixture.ts';

const SEED = 20_110_608;
const MIB = 1_048_576;
const EDGE_SIZES = [0, 1, 511, 4095, 4096, 4097, 65_537, MIB - 1, MIB + 1];

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => {
  expect(bench.fatal).toEqual([]);
  bench.close();
});

function reopen(options: BenchOptions): void {
  bench.close();
  bench = openBench(options);
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const stamp = (seed: number, size: number): Uint8Array => readSource(createPatternSource('stamp', seed), 0, size);
const fileOf = (path: string): Buffer => readFileSync(join(bench.directory, path));

interface Stream {
  producer: RingProducer;
  done: Promise<WriteResult>;
  closedTold: () => number;
}

function openStream(fields: Partial<WriteRequestInput> = {}, options: WriteOptions = {}): Stream {
  const { inlet, outlet } = createRing(bench.arenas);
  const done = bench.write({ path: 'stream.dat', source: { kind: 'stream' }, ...fields }, { ...options, ring: outlet });
  done.catch(() => {}); // awaited by the test, perhaps only after the producer has been told
  let closed = 0;
  const producer = new RingProducer(inlet, () => {
    closed += 1;
  });
  return { producer, done, closedTold: () => closed };
}

/** Pushes `bytes` in pieces of the given lengths, used again and again, and ends. */
async function feed({ producer }: Stream, bytes: Uint8Array, lengths: readonly number[]): Promise<void> {
  let at = 0;
  for (let index = 0; at < bytes.length; index += 1) {
    const length = lengths[index % lengths.length]!;
    if (!(await producer.pushAll(bytes.subarray(at, at + length)))) return; // oxlint-disable-line no-await-in-loop
    at += length;
  }
  producer.end();
}

/** Resolves once `holds`; the test's own time limit ends it otherwise. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate(); // oxlint-disable-line no-await-in-loop
}

test.each(['atomic', 'in-place'] as const)(
  'a stream of any size and any pieces is the file, published %s',
  async (publish) => {
    const lengths = fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...EDGE_SIZES), fc.boolean(), lengths, async (size, declared, pieces) => {
        const bytes = stamp(size % 97, size);
        const stream = openStream({ publish, ...(declared ? { size } : {}) });
        await feed(stream, bytes, size < 100_000 ? pieces : pieces.map((length) => length + 4000));
        expect((await stream.done).bytes).toBe(size);
        expect(sha256(fileOf('stream.dat'))).toBe(sha256(bytes));
      }),
      { seed: SEED, numRuns: 40 },
    );
  },
);

test.each(EDGE_SIZES)('a stream of %i bytes is the file, byte by byte the edge', async (size) => {
  const bytes = stamp(3, size);
  const stream = openStream();
  await feed(stream, bytes, [size < 5000 ? 7 : 65_537]);
  expect((await stream.done).bytes).toBe(size);
  expect(fileOf('stream.dat').equals(bytes)).toBe(true);
});

test('a stream that grows through several steps of its space ends with exactly its bytes, and keeps none beyond', async () => {
  const size = 50 * MIB + 12_345;
  const bytes = stamp(9, size);
  const stream = openStream();
  await feed(stream, bytes, [65_536, 1, 999_999, 131_072]);
  const result = await stream.done;
  expect(result.bytes).toBe(size);
  expect(sha256(fileOf('stream.dat'))).toBe(sha256(bytes));
  const { size: standing, blocks } = statSync(join(bench.directory, 'stream.dat'));
  expect(standing).toBe(size);
  expect(blocks * 512).toBeLessThan(size + MIB);
});
