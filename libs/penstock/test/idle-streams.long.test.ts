// A thousand streams that wait for their programs, and 64 that do not, in the memory that a writer has by default.
import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench, bytesFor } from '../src/bench.fixture.ts';

const IDLE = 1000;
const BUSY = 64;
const MIB = 1_048_576;

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

test('1,000 streams that rest and 64 that are written do not wait for each other, and each file is whole', async () => {
  const writer = await bench.open({ threads: undefined, depth: undefined, jobs: undefined, memoryBytes: undefined });
  const bytes = bytesFor(9 * MIB + 11);
  const idle = Array.from({ length: IDLE }, (_, index) => {
    const stream = writer.createWriteStream(bench.path(`idle ${index}`));
    stream.write(bytes.subarray(0, index * 11));
    return stream;
  });
  const busy = Array.from({ length: BUSY }, async (_, index) => {
    const stream = writer.createWriteStream(bench.path(`busy ${index}`));
    const end = 2 * MIB + index * 100_003;
    for (let at = 0; at < end; at += 70_001) {
      // That is the backpressure.
      if (!stream.write(bytes.subarray(at, Math.min(end, at + 70_001)))) await once(stream, 'drain');
    }
    await finished(stream.end());
    expect(bench.read(`busy ${index}`).equals(bytes.subarray(0, end))).toBe(true);
  });
  await Promise.all([...busy, writer.writeFile(bench.path('whole'), bytes)]);
  expect(bench.read('whole').equals(bytes)).toBe(true);
  expect(idle.filter((stream) => stream.pending)).toEqual([]);
  await Promise.all(idle.map((stream, index) => finished(stream.end(bytes.subarray(index * 11, index * 11 + 5000)))));
  for (let index = 0; index < IDLE; index += 1) {
    const same = bench.read(`idle ${index}`).equals(bytes.subarray(0, index * 11 + 5000));
    expect([index, same]).toEqual([index, true]);
  }
}, 120_000);
