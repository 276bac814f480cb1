// Rows that are taken from a producer and given to it again: not a byte is lost, doubled or moved.
import { afterEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createArenaMemory } from '../arena.ts';
import { RingConsumer } from './consumer.ts';
import { RingProducer } from './producer.ts';
import { createRing } from './ring.ts';
import { COPYING, ringWords } from './words.ts';

const SEED = 20_110_608;
const STRIDE = 64;
const arena = createArenaMemory(2_097_152);
const bytes = new Uint8Array(arena.buffer, arena.start, arena.sizeBytes);

const consumers: RingConsumer[] = [];
afterEach(() => {
  for (const consumer of consumers.splice(0)) consumer.close();
});

/** The write's end: takes rows, keeps what they had, and carries over what a row had that was taken away. */
class Reader {
  readonly consumer: RingConsumer;
  readonly received: number[] = [];
  readonly #rows: { rowBytes: number; rowCount: number };
  readonly #head: number;
  #start = 0;
  #carry = new Uint8Array(0);
  #held: number[] = [];
  #first = true;
  #grants = 0;
  hasRows = false;

  constructor(
    outlet: ReturnType<typeof createRing>['outlet'],
    rows: { rowBytes: number; rowCount: number },
    head: number,
    align: number,
    arrived: () => void = () => {},
  ) {
    this.#rows = rows;
    this.#head = head;
    this.consumer = new RingConsumer(outlet, { arrived, failed: () => {}, abandoned: () => {} });
    consumers.push(this.consumer);
    this.consumer.begin({ thread: 0, head, align });
  }

  grant(): void {
    this.#grants += 1;
    this.#start = 8192 + (this.#grants % 7) * 4096; // elsewhere each time
    bytes.fill(0xee, this.#start, this.#start + 4096);
    bytes.set(this.#carry, this.#start);
    this.consumer.grant({ start: this.#start, rowStride: STRIDE, ...this.#rows });
    this.hasRows = true;
  }

  take(): boolean {
    const row = this.consumer.take();
    if (row === -1) return false;
    const start = this.#start + row * STRIDE;
    this.received.push(...bytes.subarray(start + (this.#first ? this.#head : 0), start + this.consumer.takenBytes));
    this.#first = false;
    this.#held.push(row);
    return true;
  }

  release(): void {
    const row = this.#held.shift();
    if (row !== undefined) this.consumer.release(row);
  }

  /** Takes all that is there, and the rows away with it; false where a copy is under way. `meanwhile` runs as they go. */
  leave(meanwhile: () => void = () => {}): boolean {
    while (this.take());
    while (this.#held.length > 0) this.release();
    if (!this.consumer.isEmptied) return false;
    const { carriedBytes, partialRow, cutBytes } = this.consumer;
    const start = this.#start + partialRow * STRIDE + cutBytes;
    this.#carry = bytes.slice(start, start + carriedBytes);
    meanwhile();
    this.consumer.leaveRows();
    this.hasRows = false;
    return true;
  }

  finish(): void {
    while (!this.consumer.exhausted) {
      if (!this.hasRows && this.consumer.wantsRows) this.grant();
      if (!this.take()) this.release();
    }
  }
}

type Step = { push: number } | { take: true } | { release: true } | { leave: true } | { grant: true };

test('bytes come out as they went in, however often rows are taken away in between', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 90 }) }),
      fc.record({ take: fc.constant(true as const) }),
      fc.record({ release: fc.constant(true as const) }),
      fc.record({ leave: fc.constant(true as const) }),
      fc.record({ grant: fc.constant(true as const) }),
    ),
    { maxLength: 80 },
  );
  const shape = fc.record({ rowBlocks: fc.integer({ min: 1, max: 9 }), rowCount: fc.integer({ min: 1, max: 5 }) });
  fc.assert(
    fc.property(shape, steps, fc.nat(3), fc.constantFrom(1, 4), (fields, script, headWanted, align) => {
      const head = align === 1 ? 0 : headWanted;
      const { inlet, outlet } = createRing([arena]);
      const producer = new RingProducer(inlet);
      const rows = { rowBytes: fields.rowBlocks * 4, rowCount: fields.rowCount };
      const reader = new Reader(outlet, rows, head, align);
      const sent: number[] = [];
      for (const step of script as Step[]) {
        if ('push' in step) {
          const piece = Uint8Array.from({ length: step.push }, (_, index) => (sent.length + index) % 251);
          sent.push(...piece.subarray(0, producer.push(piece)));
        } else if ('take' in step) {
          reader.take();
        } else if ('release' in step) {
          reader.release();
        } else if ('grant' in step) {
          if (!reader.hasRows) reader.grant();
        } else if (reader.hasRows) {
          reader.consumer.withdraw();
          expect(producer.push(Uint8Array.of(1))).toBe(0);
          expect(reader.leave()).toBe(true);
          expect(reader.consumer.carriedBytes).toBeLessThan(align);
        }
      }
      producer.end();
      reader.finish();
      expect(reader.received).toEqual(sent);
      reader.consumer.close();
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

test('a producer that finds its rows taken away asks for others, and gets them', async () => {
  const { inlet, outlet } = createRing([arena]);
  const producer = new RingProducer(inlet);
  const heard = { arrived: 0 };
  const reader = new Reader(outlet, { rowBytes: 16, rowCount: 2 }, 0, 4, () => {
    heard.arrived += 1;
  });
  expect(await producer.opened()).toBe(true);
  expect([producer.push(new Uint8Array(5)), reader.consumer.wantsRows]).toEqual([0, false]);
  const first = producer.writable();
  while (heard.arrived === 0) await setImmediate();
  expect(reader.consumer.wantsRows).toBe(true);
  reader.grant();
  expect([await first, producer.push(new Uint8Array(100))]).toEqual([true, 32]);
  const second = producer.writable(); // for a row to come free
  reader.consumer.withdraw();
  expect(reader.leave()).toBe(true);
  while (!reader.consumer.wantsRows) await setImmediate();
  reader.grant();
  expect([await second, producer.push(new Uint8Array(100))]).toEqual([true, 32]);
  expect(reader.consumer.isAsked).toBe(false);
});

test('rows are not taken away while a copy into them is under way, and what it brought is not lost', () => {
  const { inlet, outlet } = createRing([arena]);
  const producer = new RingProducer(inlet);
  const reader = new Reader(outlet, { rowBytes: 16, rowCount: 2 }, 0, 4);
  reader.grant();
  producer.push(Uint8Array.of(1, 2, 3, 4, 5));
  const words = ringWords(inlet.control);
  Atomics.store(words, COPYING, 1); // as a producer on another thread does
  reader.consumer.withdraw();
  expect(reader.leave()).toBe(false);
  Atomics.store(words, COPYING, 0);
  expect([reader.leave(), reader.received, reader.consumer.carriedBytes]).toEqual([true, [1, 2, 3, 4], 1]);
  producer.end();
  reader.finish();
  expect(reader.received).toEqual([1, 2, 3, 4, 5]);
});

test('a producer that ends at the moment in which its rows are taken away gets others for its last bytes', () => {
  const { inlet, outlet } = createRing([arena]);
  const producer = new RingProducer(inlet);
  const reader = new Reader(outlet, { rowBytes: 16, rowCount: 2 }, 0, 4);
  reader.grant();
  producer.push(Uint8Array.of(1, 2, 3)); // less than a block
  reader.consumer.withdraw();
  expect(reader.leave(() => producer.end())).toBe(true);
  expect([reader.received, reader.consumer.exhausted, reader.consumer.wantsRows]).toEqual([[], false, true]);
  reader.finish();
  expect(reader.received).toEqual([1, 2, 3]);
});

test('none is lost between two threads, whenever rows are taken away', async () => {
  const size = 300_000;
  const { inlet, outlet } = createRing([arena]);
  let wake = (): void => {};
  const reader = new Reader(outlet, { rowBytes: 60, rowCount: 3 }, 0, 4, () => wake());
  const url = new URL('producer.fixture.mjs', import.meta.url);
  const workerData = { inlet, size, end: 'end' };
  const worker = new Worker(url, { workerData, transferList: [inlet.port] });
  const gone = new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', resolve);
  });
  let turn = 0;
  while (!reader.consumer.exhausted) {
    const arrival = new Promise<void>((resolve) => {
      wake = resolve;
    });
    turn += 1;
    if (!reader.hasRows) {
      if (reader.consumer.wantsRows) reader.grant();
      else if (!reader.consumer.exhausted) await arrival;
    } else if (turn % 5 === 0 && !reader.consumer.isAsked) {
      // One that was given rows because it asked for them is let use them.
      reader.consumer.withdraw();
      while (!reader.leave()) await setImmediate();
    } else if (reader.take()) {
      reader.release();
    } else if (turn % 3 === 0) {
      await setImmediate();
    }
  }
  await gone;
  expect(reader.received.length).toBe(size);
  expect(reader.received.findIndex((byte, index) => byte !== index % 251)).toBe(-1);
});
