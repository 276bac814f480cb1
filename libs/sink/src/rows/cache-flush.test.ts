import { closeSync, openSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RingProducer, createRing } from '@penstock/matrix';
import type { DeviceFlow } from '../device/device-flow.ts';
import { statFd } from '@penstock/disk';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

const ARENA_BYTES = 2_097_152;

let bench: Bench;
beforeEach(() => {
  bench = openBench({ direct: 'off', arenaBytes: ARENA_BYTES });
});
afterEach(() => bench.end());

function flowOfRoot(): DeviceFlow {
  const fd = openSync(bench.directory, 'r');
  const { identity } = statFd(fd, bench.directory);
  closeSync(fd);
  return bench.thread.flows.of(identity);
}

/** Resolves once `holds`, with the loop turning. */
async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`not within 20 s: ${holds.toString()}`);
    bench.thread.loop.wake();
    await setTimeout(1);
  }
}

test('what a write has in the page cache is flushed for others also while it waits for rows that they have', async () => {
  const { rowMemory } = bench.thread;
  const flow = flowOfRoot();
  const { inlet, outlet } = createRing(bench.arenas);
  const block = bench.control.job(0);
  const matrix = { rows: 4, rowBytes: 65_536 };
  const request = { path: 'log', source: { kind: 'stream' }, mode: 'append', publish: 'in-place', matrix } as const;
  const done = bench.write(request, { ring: outlet, block });
  const producer = new RingProducer(inlet);
  const bytes = Buffer.alloc(4 * matrix.rowBytes, 'a');
  expect(await producer.pushAll(bytes)).toBe(true);
  await until(() => flow.inFlightBytes === bytes.length && block.read().inFlight === 0);
  // Another wants all rows, and has them once this one has brought nothing for a while.
  const other = {};
  rowMemory.join(other, ARENA_BYTES);
  let extent = rowMemory.take(other, ARENA_BYTES);
  await until(() => (extent ??= rowMemory.take(other, ARENA_BYTES)) !== null);
  const more = producer.pushAll(bytes);
  await until(() => block.read().phase === 'waiting');
  const others = flow.limitBytes;
  flow.begin(others); // and it cannot write one of them
  await until(() => flow.inFlightBytes === others);
  flow.end(others);
  rowMemory.release(extent!);
  bench.thread.loop.wake();
  expect(await more).toBe(true);
  producer.end();
  await until(() => block.read().phase === 'done');
  await done;
  expect(bench.read('log').equals(Buffer.concat([bytes, bytes]))).toBe(true);
});
