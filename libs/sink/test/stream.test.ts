// Writes whose bytes arrive while they run, by a row ring.
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { faultyPort } from '@penstock/aio';
import { PHASES, type WriteRequestInput, type WriteResult } from '@penstock/contract';
import { type RingInlet, RingProducer, STOP_CANCEL, createRing } from '@penstock/matrix';
import { returnWhenQuiet } from '../src/intake/intake.ts';
import {
  type Bench,
  type BenchOptions,
  type WriteOptions,
  openBench,
  sha256,
  stamp,
} from '../src/thread/thread.fixture.ts';

const SEED = 20_110_608;
const MIB = 1_048_576;
const EDGE_SIZES = [0, 1, 511, 4095, 4096, 4097, 65_537, MIB - 1, MIB + 1];

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => bench.end());

function reopen(options: BenchOptions): void {
  bench.close();
  bench = openBench(options);
}

interface Stream {
  producer: RingProducer;
  inlet: RingInlet;
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
  return { producer, inlet, done, closedTold: () => closed };
}

/** Pushes `bytes` in pieces of the given lengths, used again and again, and ends. */
async function feed({ producer }: Stream, bytes: Uint8Array, lengths: readonly number[]): Promise<void> {
  let at = 0;
  for (let index = 0; at < bytes.length; index += 1) {
    const length = lengths[index % lengths.length]!;
    if (!(await producer.pushAll(bytes.subarray(at, at + length)))) return;
    at += length;
  }
  producer.end();
}

/** Resolves once `holds`; the test's own time limit ends it otherwise. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}

test('the size of a stream is published once its bytes have ended, before they are flushed', async () => {
  const block = bench.control.job(0);
  const totals: number[] = [];
  const publish = block.publish.bind(block);
  block.publish = (phase, written, durable, total, inFlight) => {
    if (PHASES[phase] === 'syncing') totals.push(total);
    publish(phase, written, durable, total, inFlight);
  };
  const stream = openStream({}, { block });
  await feed(stream, stamp(1, 700_000), [100_000]);
  await stream.done;
  expect(totals.at(-1)).toBe(700_000);
});

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
        expect(sha256(bench.read('stream.dat'))).toBe(sha256(bytes));
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
  expect(bench.read('stream.dat').equals(bytes)).toBe(true);
});

test('a stream that grows through several steps of its space ends with exactly its bytes, and keeps none beyond', async () => {
  const size = 50 * MIB + 12_345;
  const bytes = stamp(9, size);
  const stream = openStream();
  await feed(stream, bytes, [65_536, 1, 999_999, 131_072]);
  const result = await stream.done;
  expect(result.bytes).toBe(size);
  expect(sha256(bench.read('stream.dat'))).toBe(sha256(bytes));
  const { size: standing, blocks } = statSync(join(bench.directory, 'stream.dat'));
  expect(standing).toBe(size);
  expect(blocks * 512).toBeLessThan(size + MIB);
});

test('a stream whose size is declared has to be that long: less and more name both figures, and leave nothing', async () => {
  for (const [size, arrives] of [
    [10, 9],
    [10, 11],
    [0, 1],
    [4096, 4095],
    [4096, 4097],
    [3 * MIB, 3 * MIB + 1],
    [20 * MIB, MIB],
  ] as const) {
    const stream = openStream({ size });
    await feed(stream, stamp(1, arrives), [65_536]);
    const failure: Error = await stream.done.then(
      () => new Error('the write was expected to fail'),
      (error: Error) => error,
    );
    expect(failure).toMatchObject({ name: 'RequestError', field: 'size', retryable: false });
    expect(failure.message).toContain(String(size));
    expect(failure.message).toMatch(arrives > size ? /it was \d+ or more bytes/ : `it was ${arrives} bytes`);
    expect(bench.names()).toEqual([]);
  }
});

test('a producer that fails midway fails the write with its own error, and the old file stays', async () => {
  writeFileSync(join(bench.directory, 'stream.dat'), 'old');
  const stream = openStream();
  await stream.producer.pushAll(stamp(1, 20 * MIB));
  stream.producer.fail(Object.assign(new Error('the server hung up'), { code: 'ECONNRESET' }));
  await expect(stream.done).rejects.toMatchObject({ code: 'ECONNRESET', message: 'the server hung up' });
  expect(bench.names()).toEqual(['stream.dat']);
  expect(bench.read('stream.dat').toString()).toBe('old');
});

test('a producer that goes without a word fails the write, and leaves nothing', async () => {
  for (const pushed of [0, 5, 9 * MIB]) {
    const { producer, inlet, done } = openStream();
    await producer.pushAll(stamp(1, pushed));
    inlet.port.close();
    await expect(done).rejects.toMatchObject({
      code: 'EPIPE',
      path: 'stream.dat',
      hint: expect.stringContaining('went'),
    });
    expect(bench.names()).toEqual([]);
  }
});

test('a producer that fails or goes before the write has begun fails it too', async () => {
  const failing = openStream();
  failing.producer.fail(new Error('no route'));
  await expect(failing.done).rejects.toThrow('no route');
  const going = openStream();
  going.inlet.port.close();
  await expect(going.done).rejects.toMatchObject({ code: 'EPIPE' });
  expect(bench.names()).toEqual([]);
});

test('a write that fails tells its producer, who pushes in vain from then on', async () => {
  const { producer, done, closedTold } = openStream({ size: 100, path: 'missing-root', root: 'archive' });
  await expect(done).rejects.toThrow(/archive/);
  await until(() => closedTold() === 1);
  expect([producer.closed, producer.push(stamp(1, 10)), await producer.writable()]).toEqual([true, 0, false]);
});

test('a write that waits for bytes is stopped all the same, and so is one that waits for the rows it holds', async () => {
  reopen({ arenaBytes: 2_097_152 });
  const [streamBlock, writeBlock] = [bench.control.job(60), bench.control.job(61)];
  const { producer, done, closedTold } = openStream({}, { block: streamBlock });
  await producer.pushAll(stamp(1, 100));
  const behind = bench.write({ path: 'behind', size: 5 * MIB }, { block: writeBlock });
  const stopped = behind.catch((error: unknown) => error);
  await until(() => writeBlock.read().phase === 'waiting' && writeBlock.read().totalBytes > 0);
  writeBlock.requestStop(STOP_CANCEL);
  expect(await stopped).toMatchObject({ code: 'ECANCELED', reason: 'cancel' });
  streamBlock.requestStop(STOP_CANCEL);
  await expect(done).rejects.toMatchObject({ code: 'ECANCELED', reason: 'cancel' });
  await until(() => closedTold() === 1);
  expect(producer.push(stamp(1, 10))).toBe(0);
  expect(bench.names()).toEqual([]);
});

test('a producer that trickles stops no other write of its thread', async () => {
  const slow = openStream({ path: 'slow' });
  const bytes = stamp(4, 3 * MIB);
  let at = 0;
  for (const size of [0, 100, 5000, 2 * MIB, 6 * MIB]) {
    await slow.producer.pushAll(bytes.subarray(at, at + 600_000));
    at += 600_000;
    const results = await Promise.all(['a', 'b', 'c'].map((path) => bench.write({ path, size })));
    expect(results.map((result) => result.bytes)).toEqual([size, size, size]);
  }
  await slow.producer.pushAll(bytes.subarray(at));
  slow.producer.end();
  expect((await slow.done).bytes).toBe(bytes.length);
  expect(bench.read('slow').equals(Buffer.from(bytes))).toBe(true);
});

test('many streams at once on one thread are each their own bytes', async () => {
  reopen({ arenaBytes: 128 * MIB });
  const streams = Array.from({ length: 12 }, (_, seed) => openStream({ path: `${seed}` }));
  const pieces = streams.map((_, seed) => stamp(seed, 400_000 + seed * 77_777));
  // In turns, a piece each, as one who copies to all of them does.
  for (let at = 0; at < 1_400_000; at += 50_000)
    for (const [seed, { producer }] of streams.entries())
      await producer.pushAll(pieces[seed]!.subarray(at, at + 50_000));
  for (const { producer } of streams) producer.end();
  await Promise.all(streams.map(({ done }) => done));
  for (const [seed, bytes] of pieces.entries()) expect(sha256(bench.read(`${seed}`))).toBe(sha256(bytes));
});

test('a fast producer is held back by the rows there are', async () => {
  const { producer, done } = openStream();
  expect(await producer.writable()).toBe(true);
  const bytes = stamp(2, 40 * MIB);
  const taken = producer.push(bytes);
  expect(producer.push(bytes)).toBe(0); // nothing is written before the event loop turns
  expect(taken).toBe(8 * MIB);
  await producer.pushAll(bytes.subarray(taken));
  producer.end();
  const result = await done;
  expect(result.matrix.rows * result.matrix.rowBytes).toBe(taken);
  expect(sha256(bench.read('stream.dat'))).toBe(sha256(bytes));
});

test('rows of any shape suit a stream: those that the disk cannot take are gathered', async () => {
  for (const matrix of [
    { rows: 1024, rowBytes: 1024 },
    { rows: 3, rowBytes: 1000 },
    { rows: 1, rowBytes: 1 },
    { rows: 2, rowBytes: 3_000_000 },
  ]) {
    const bytes = stamp(5, matrix.rowBytes === 1 ? 5000 : 4_000_003);
    const stream = openStream({ matrix });
    await feed(stream, bytes, [99_991]);
    await stream.done;
    expect(sha256(bench.read('stream.dat'))).toBe(sha256(bytes));
  }
});

test.each([1, 2, 3, 4])(
  'short, partial, late and reordered writes of a stream are the file all the same (seed %i)',
  async (seed) => {
    const faults = { partialSubmit: 0.3, delayed: 0.3, shortWrite: 0.2, submitBusy: 0.1, waitInterrupted: 0.1 };
    const port = faultyPort({ seed, faults });
    reopen({ port, depth: 8 });
    const bytes = stamp(seed, 3_000_001);
    const stream = openStream({ matrix: { rows: 6, rowBytes: 16_384 } });
    await feed(stream, bytes, [30_011, 5, 70_000]);
    await stream.done;
    expect(sha256(bench.read('stream.dat'))).toBe(sha256(bytes));
    expect(Math.min(port.fired.shortWrite, port.fired.delayed)).toBeGreaterThan(0);
  },
);

test('an error of the disk ends the stream, and its producer hears of it', async () => {
  const port = faultyPort({
    seed: 1,
    script: [{ fault: 'failed', errno: 5, when: (iocb) => iocb.offset === 2 * MIB }],
  });
  reopen({ port });
  const stream = openStream();
  await feed(stream, stamp(1, 60 * MIB), [65_536]);
  await expect(stream.done).rejects.toMatchObject({ code: 'EIO', syscall: 'pwrite', offset: 2 * MIB });
  expect(stream.producer.closed).toBe(true);
  expect(bench.names()).toEqual([]);
});

test('a stream that nobody feeds is refused: a job in a queue has no producer', async () => {
  const refused = bench.write({ path: 'a', source: { kind: 'stream' } });
  await expect(refused).rejects.toMatchObject({ name: 'RequestError', field: 'source.kind', retryable: false });
  expect(bench.names()).toEqual([]);
});

test('the bytes of the request itself are the file, at every size, alone and in a bulk', async () => {
  for (const size of EDGE_SIZES.filter((edge) => edge <= MIB)) {
    const bytes = stamp(6, size);
    const source = { kind: 'inline', data: Buffer.from(bytes).toString('base64') } as const;
    expect((await bench.write({ path: 'inline', source })).bytes).toBe(size);
    expect(bench.read('inline').equals(bytes)).toBe(true);
    const files = size * 2 > MIB ? [{ path: 'one' }] : [{ path: 'one' }, { path: 'two', size }]; // of 1 MiB together
    const bulk = await bench.bulk({ files: files.map((file) => ({ ...file, source })) });
    expect(bulk.items).toEqual(files.map(({ path }) => ({ path, bytes: size })));
    for (const { path } of files) expect(bench.read(path).equals(bytes)).toBe(true);
  }
});

test.each(['sha256', 'crc32c'] as const)(
  'the %s of a stream is that of its bytes, also read back, and is held to what is expected',
  async (checksum) => {
    for (const size of [0, 5, 4097, 3 * MIB + 1, 20 * MIB]) {
      const bytes = stamp(7, size);
      const first = openStream({ checksum, verify: 'readback' });
      await feed(first, bytes, [65_537, 11]);
      const { checksum: sum } = await first.done;
      if (checksum === 'sha256') expect(sum?.value).toBe(sha256(bytes));
      expect(bench.read('stream.dat').equals(bytes)).toBe(true);
      const right = openStream({ checksum, expect: sum!.value });
      await feed(right, bytes, [100_000]);
      expect((await right.done).bytes).toBe(size);
      const wrong = openStream({ checksum, expect: sum!.value, path: 'wrong' });
      await feed(wrong, stamp(8, size + 1), [100_000]);
      await expect(wrong.done).rejects.toMatchObject({ code: 'ECHECKSUM' });
      expect(bench.names()).toEqual(['stream.dat']);
    }
  },
);

test.each([true, false])(
  'a stream is appended and overwrites at any offset, its size declared: %s',
  async (declared) => {
    for (const [before, at, size] of [
      [0, 0, 10],
      [1000, 1, 0],
      [1000, 1, 10],
      [10_000, 511, 5000],
      [10_000, 4096, 4096],
      [10_000, 9999, 70_000],
      [MIB + 1, 4097, 20 * MIB],
    ] as const) {
      const old = stamp(1, before);
      const bytes = stamp(2, size);
      const fields = declared ? { size } : {};
      for (const mode of ['overwrite', 'append'] as const) {
        writeFileSync(join(bench.directory, 'stream.dat'), old);
        const stream = openStream({ mode, ...(mode === 'overwrite' ? { offset: at } : {}), ...fields });
        await feed(stream, bytes, [65_536, 999]);
        expect((await stream.done).bytes).toBe(size);
        const offset = mode === 'append' ? before : at;
        const expected = Buffer.alloc(Math.max(before, offset + size));
        expected.set(old);
        expected.set(bytes, offset);
        expect(bench.read('stream.dat').equals(expected)).toBe(true);
      }
    }
  },
);

test('a stream that fails while it is appended leaves the file as it was, though space was there for more', async () => {
  const old = stamp(1, 10_000);
  writeFileSync(join(bench.directory, 'stream.dat'), old);
  const stream = openStream({ mode: 'append' });
  await stream.producer.pushAll(stamp(2, 20 * MIB));
  stream.producer.fail(new Error('no more'));
  await expect(stream.done).rejects.toThrow('no more');
  expect(bench.read('stream.dat').equals(old)).toBe(true);
});

test('rows into which a producer still copies are given back only when it has done so', async () => {
  const { rowMemory, arena } = bench.thread;
  const write = {};
  rowMemory.join(write, 2 * MIB);
  const extent = rowMemory.take(write, 2 * MIB)!;
  const taken = arena.freeBytes;
  let copying = true;
  let asked = 0;
  const ring = {
    close: () => {
      asked += 1;
      return !copying;
    },
  };
  returnWhenQuiet(ring, extent, rowMemory, bench.thread.loop);
  await until(() => asked > 2);
  expect(arena.freeBytes).toBe(taken);
  copying = false;
  await until(() => arena.freeBytes > taken);
  expect(arena.freeBytes).toBe(arena.sizeBytes);
});
