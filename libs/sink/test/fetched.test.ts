// Writes of what a server answers: what a second attempt goes on from, and what it writes anew.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteRequestInput, WriteResult } from '@penstock/contract';
import { RingProducer, STOP_CANCEL, STOP_SHUTDOWN, createRing } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;
const SIZE = 16 * MIB + 1001;

let bench: Bench;
beforeEach(() => {
  bench = openBench({ checkpoints: { bytes: 2 * MIB, ms: 60_000 } });
});
afterEach(() => bench.end());

const stamp = (seed: number): Uint8Array => readSource(createPatternSource('stamp', seed), 0, SIZE);
const written = (): Buffer => bench.read('a');

interface Attempt {
  producer: RingProducer;
  done: Promise<WriteResult>;
}

function attempt(token: string, fields: Partial<WriteRequestInput> = {}): Attempt {
  const { inlet, outlet } = createRing(bench.arenas);
  const block = bench.control.job(63);
  block.reset();
  const request = { path: 'a', source: { kind: 'url', url: 'http://example.org/' } as const, ...fields };
  const options = { block, jobKey: 'job', attemptToken: token, again: token !== '1', ring: outlet };
  const done = bench.write(request, options);
  done.catch(() => {}); // awaited by the test, perhaps only after the producer has been told
  return { producer: new RingProducer(inlet), done };
}

/** An attempt that is stopped amid its bytes, once some of them are durable. */
async function beginAndStop(
  fields: Partial<WriteRequestInput> = {},
  identity: string | null = 'etag "a"',
): Promise<void> {
  const { producer, done } = attempt('1', fields);
  expect(await producer.opened()).toBe(true);
  expect(producer.startAt).toEqual({ offset: 0, identity: null });
  producer.begin({ offset: 0, totalBytes: SIZE, identity });
  await producer.pushAll(stamp(1).subarray(0, 10 * MIB));
  const block = bench.control.job(63);
  const enough = (): boolean => (identity === null ? block.read().bytesWritten : block.read().bytesDurable) >= 4 * MIB;
  while (!enough()) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  await expect(done).rejects.toMatchObject({ code: 'ECANCELED' });
}

test.each(['atomic', 'in-place'] as const)(
  'goes on from its checkpoint where the server has the same bytes: %s',
  async (publish) => {
    await beginAndStop({ publish });
    const { producer, done } = attempt('2', { publish });
    expect(await producer.opened()).toBe(true);
    const { offset, identity } = producer.startAt;
    expect(identity).toBe('etag "a"');
    expect(offset).toBeGreaterThanOrEqual(4 * MIB);
    producer.begin({ offset, totalBytes: SIZE, identity });
    await producer.pushAll(stamp(1).subarray(offset));
    producer.end();
    expect(await done).toMatchObject({ bytes: SIZE, resumedFrom: offset });
    expect(written().equals(stamp(1))).toBe(true);
    expect(readdirSync(bench.directory)).toEqual(['a']);
  },
);

test.each(['atomic', 'in-place'] as const)(
  'writes all anew where the server has other bytes by now: %s',
  async (publish) => {
    await beginAndStop({ publish });
    const { producer, done } = attempt('2', { publish });
    expect(await producer.opened()).toBe(true);
    expect(producer.startAt.offset).toBeGreaterThan(0);
    const shorter = stamp(2).subarray(0, 3 * MIB + 5);
    producer.begin({ offset: 0, totalBytes: shorter.length, identity: 'etag "b"' });
    await producer.pushAll(shorter);
    producer.end();
    const result = await done;
    expect(result.bytes).toBe(shorter.length);
    expect(result.resumedFrom ?? 0).toBe(0);
    expect(written().equals(shorter)).toBe(true);
  },
);

test('nothing is gone on from that nothing tells apart, or that is to be summed up', async () => {
  await beginAndStop({}, null);
  const blind = attempt('2');
  expect(await blind.producer.opened()).toBe(true);
  expect(blind.producer.startAt).toEqual({ offset: 0, identity: null });
  blind.producer.fail(new Error('enough seen'));
  await expect(blind.done).rejects.toThrow('enough seen');

  await beginAndStop({ checksum: 'crc32c' });
  const { producer, done } = attempt('2', { checksum: 'crc32c' });
  expect(await producer.opened()).toBe(true);
  expect(producer.startAt.offset).toBe(0);
  producer.begin({ offset: 0, totalBytes: SIZE, identity: 'etag "a"' });
  await producer.pushAll(stamp(1));
  producer.end();
  expect((await done).bytes).toBe(SIZE);
  expect(written().equals(stamp(1))).toBe(true);
});

test('a write that is stopped while the server has not answered gives its rows back, and its producer hears of it', async () => {
  const { producer, done } = attempt('1');
  expect(await producer.opened()).toBe(true);
  bench.control.job(63).requestStop(STOP_CANCEL);
  await expect(done).rejects.toMatchObject({ code: 'ECANCELED' });
  while (!producer.closed) await setImmediate();
  expect(bench.names()).toEqual([]);
  expect(bench.thread.arena.freeBytes).toBe(bench.thread.arena.sizeBytes);
});

test('the size that the server tells is reserved at once, and all there is where it tells none', async () => {
  for (const totalBytes of [SIZE, null, 0]) {
    const { producer, done } = attempt('1');
    const bytes = stamp(3).subarray(0, totalBytes ?? SIZE);
    expect(await producer.opened()).toBe(true);
    producer.begin({ offset: 0, totalBytes, identity: null });
    await producer.pushAll(bytes);
    producer.end();
    expect((await done).bytes).toBe(bytes.length);
    expect(written().equals(bytes)).toBe(true);
  }
});

test('an append whose size only the server tells leaves nothing behind, and begins anew', async () => {
  const before = Buffer.alloc(4096, 'begin|');
  writeFileSync(join(bench.directory, 'a'), before);
  await beginAndStop({ mode: 'append' }, null);
  expect(written().equals(before)).toBe(true);
  const { producer, done } = attempt('2', { mode: 'append' });
  expect(await producer.opened()).toBe(true);
  expect(producer.startAt).toEqual({ offset: 0, identity: null });
  producer.begin({ offset: 0, totalBytes: SIZE, identity: 'etag "a"' });
  await producer.pushAll(stamp(1));
  producer.end();
  expect(await done).toMatchObject({ bytes: SIZE, offset: 4096, fileBytes: 4096 + SIZE });
  expect(written().equals(Buffer.concat([before, stamp(1)]))).toBe(true);
});

test.each([
  ['overwritten', { mode: 'overwrite', offset: 777 } as const, 20 * MIB],
  ['overwritten beyond its end', { mode: 'overwrite', offset: 4099 } as const, 5 * MIB + 1],
  ['appended to', { mode: 'append' } as const, 70_001],
])('a file that is %s inside a block goes on from its checkpoint too', async (_what, how, length) => {
  const before = Buffer.alloc(length, 'stood|');
  const fields = { ...how, size: SIZE };
  const offset = 'offset' in how ? how.offset : length;
  const right = Buffer.concat([before.subarray(0, offset), stamp(1), before.subarray(offset + SIZE)]);
  for (const goesOn of [true, false]) {
    writeFileSync(join(bench.directory, 'a'), before);
    await beginAndStop(fields);
    const { producer, done } = attempt('2', fields);
    expect(await producer.opened()).toBe(true);
    const asked = producer.startAt;
    expect(asked.offset).toBeGreaterThanOrEqual(4 * MIB);
    // Rows are whole blocks of the file, not of the source.
    expect((offset + asked.offset) % 512).toBe(0);
    const from = goesOn ? asked.offset : 0;
    producer.begin({ offset: from, totalBytes: SIZE, identity: asked.identity });
    await producer.pushAll(stamp(1).subarray(from));
    producer.end();
    const result = await done;
    expect(result).toMatchObject({ bytes: SIZE, offset });
    expect(result.resumedFrom ?? 0).toBe(from);
    expect(written().equals(right)).toBe(true);
  }
});
