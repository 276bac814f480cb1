import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type ArenaMemory, createArenaMemory } from '../arena.ts';
import { RingConsumer } from './consumer.ts';
import { RingProducer } from './producer.ts';
import { type RingInlet, type RingOpening, type RingRows, closeRingOf, createRing } from './ring.ts';
import { COPYING, INLET_WAITS, OUTLET_WAITS, ringWords } from './words.ts';

type RingPlace = RingOpening & RingRows;

const SEED = 20_110_608;
const arena: ArenaMemory = createArenaMemory(2_097_152);
const bytes = new Uint8Array(arena.buffer, arena.start, arena.sizeBytes);

interface Ends {
  inlet: RingInlet;
  producer: RingProducer;
  consumer: RingConsumer;
  place: RingPlace;
  /** What the consumer's listener was told. */
  heard: { arrived: number; failed: unknown[] };
  /** How often the producer was told that the write is over. */
  closedTold: () => number;
}

let consumers: RingConsumer[] = [];
afterEach(() => {
  jest.restoreAllMocks();
  for (const consumer of consumers) consumer.close();
  consumers = [];
});

const placeOf = (fields: Partial<RingPlace> = {}): RingPlace => ({
  thread: 0,
  start: 8192,
  rowStride: 64,
  rowBytes: 16,
  rowCount: 3,
  head: 0,
  align: 4,
  ...fields,
});

function open(consumer: RingConsumer, place: RingPlace): void {
  consumer.begin(place);
  consumer.grant(place);
}

function openConsumer(outlet: ReturnType<typeof createRing>['outlet']): Pick<Ends, 'consumer' | 'heard'> {
  const heard: Ends['heard'] = { arrived: 0, failed: [] };
  const consumer = new RingConsumer(outlet, {
    arrived: () => {
      heard.arrived += 1;
    },
    failed: (error) => heard.failed.push(error),
    abandoned: () => heard.failed.push('abandoned'),
  });
  consumers.push(consumer);
  return { consumer, heard };
}

/** Both ends in this thread; the rows are there at once unless `opened` is false. */
function openBoth(fields: Partial<RingPlace> = {}, opened = true): Ends {
  const { inlet, outlet } = createRing([arena]);
  const place = placeOf(fields);
  let closed = 0;
  const producer = new RingProducer(inlet, () => {
    closed += 1;
  });
  const { consumer, heard } = openConsumer(outlet);
  if (opened) open(consumer, place);
  return { inlet, producer, consumer, place, heard, closedTold: () => closed };
}

const rowBytes = ({ place, consumer }: Pick<Ends, 'place' | 'consumer'>, row: number): Uint8Array =>
  bytes.slice(place.start + row * place.rowStride, place.start + row * place.rowStride + consumer.takenBytes);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}

describe('bytes', () => {
  type Step = { push: number } | { take: true } | { release: number };
  const steps = fc.array(
    fc.oneof(
      fc.record({ push: fc.integer({ min: 0, max: 100 }) }),
      fc.record({ take: fc.constant(true as const) }),
      fc.record({ release: fc.nat(9) }),
    ),
    { maxLength: 80 },
  );
  const shape = fc.record({ rowBytes: fc.integer({ min: 1, max: 40 }), rowCount: fc.integer({ min: 1, max: 5 }) });

  test('come out as they went in, whatever the pieces and the order in which rows are given back', () => {
    fc.assert(
      fc.property(shape, steps, fc.nat(12), (fields, script, headWanted) => {
        const head = Math.min(headWanted, fields.rowBytes - 1);
        const ends = openBoth({ ...fields, head });
        const { producer, consumer, place } = ends;
        const sent: number[] = [];
        const received: number[] = [];
        const held: { row: number; content: Uint8Array }[] = [];
        let first = true;
        const take = (): boolean => {
          const row = consumer.take();
          if (row === -1) return false;
          const content = rowBytes(ends, row);
          received.push(...content.subarray(first ? head : 0));
          first = false;
          held.push({ row, content });
          return true;
        };
        const release = (index: number): void => {
          const [one] = held.splice(index % held.length, 1);
          // Until it is given back nobody writes into it.
          expect(bytes.slice(place.start + one!.row * 64, place.start + one!.row * 64 + one!.content.length)).toEqual(
            one!.content,
          );
          consumer.release(one!.row);
        };
        for (const step of script as Step[]) {
          if ('push' in step) {
            const piece = Uint8Array.from({ length: step.push }, (_, index) => (sent.length + index) % 251);
            sent.push(...piece.subarray(0, producer.push(piece)));
          } else if ('take' in step) {
            take();
          } else if (held.length > 0) {
            release(step.release);
          }
        }
        producer.end();
        for (;;) {
          if (take()) continue;
          if (consumer.exhausted) break;
          expect(held.length).toBeGreaterThan(0);
          release(0);
        }
        expect(producer.bytesPushed).toBe(sent.length);
        expect(received).toEqual(sent);
        consumer.close();
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  test('a producer gets no further than the rows there are, until one is given back in the order of the ring', () => {
    const { producer, consumer } = openBoth({ rowBytes: 10, rowCount: 3 });
    expect(producer.push(new Uint8Array(100))).toBe(30);
    expect(producer.push(new Uint8Array(1))).toBe(0);
    const rows = [consumer.take(), consumer.take(), consumer.take()];
    expect(rows).toEqual([0, 1, 2]);
    consumer.release(1);
    expect(producer.push(new Uint8Array(1))).toBe(0);
    consumer.release(0);
    expect(producer.push(new Uint8Array(100))).toBe(20);
    expect(() => consumer.release(0)).not.toThrow();
    expect(() => consumer.release(0)).toThrow('given back twice');
  });

  test('a row that is not full is handed over by the end alone; an end without bytes hands over none', () => {
    const { producer, consumer } = openBoth();
    producer.push(new Uint8Array(5));
    expect([consumer.take(), consumer.exhausted]).toEqual([-1, false]);
    producer.end();
    expect([consumer.take(), consumer.takenBytes, consumer.exhausted]).toEqual([0, 5, true]);
    const empty = openBoth({ head: 7 });
    empty.producer.end();
    expect([empty.consumer.take(), empty.consumer.exhausted]).toEqual([-1, true]);
  });

  test('an end before there are rows is an empty stream', () => {
    const { producer, consumer, place } = openBoth({}, false);
    expect(producer.push(new Uint8Array(5))).toBe(0);
    producer.end();
    open(consumer, place);
    expect([consumer.take(), consumer.exhausted]).toEqual([-1, true]);
  });
});

describe('wake-ups', () => {
  /** Calls `act` once, just before or just after 1 is stored into the word `waits`. */
  function atDeclaration(waits: number, when: 'before' | 'after', act: () => void): void {
    const store = Atomics.store as (words: Int32Array, index: number, value: number) => number;
    let done = false;
    jest.spyOn(Atomics, 'store').mockImplementation(((words: Int32Array, index: number, value: number) => {
      const now = !done && index === waits && value === 1;
      done ||= now;
      if (now && when === 'before') act();
      store(words, index, value);
      if (now && when === 'after') act();
      return value;
    }) as typeof Atomics.store);
  }

  test.each(['before', 'after'] as const)(
    'a row that is filled just %s the consumer says that it waits is taken, or it is woken',
    async (when) => {
      const { producer, consumer, heard } = openBoth();
      atDeclaration(OUTLET_WAITS, when, () => producer.push(new Uint8Array(16)));
      const row = consumer.take();
      if (row === -1) await until(() => heard.arrived > 0);
      expect(row === -1 ? consumer.take() : row).toBe(0);
    },
  );

  test.each(['before', 'after'] as const)(
    'an end that comes just %s the consumer says that it waits is seen, or it is woken',
    async (when) => {
      const { producer, consumer, heard } = openBoth();
      atDeclaration(OUTLET_WAITS, when, () => producer.end());
      expect(consumer.take()).toBe(-1);
      await until(() => heard.arrived > 0 || consumer.exhausted);
      expect(consumer.exhausted).toBe(true);
    },
  );

  test.each(['before', 'after'] as const)(
    'a row that is given back just %s the producer says that it waits lets it go on',
    async (when) => {
      const { producer, consumer } = openBoth();
      producer.push(new Uint8Array(48));
      consumer.take();
      atDeclaration(INLET_WAITS, when, () => consumer.release(0));
      expect(await producer.writable()).toBe(true);
      expect(producer.push(new Uint8Array(100))).toBe(16);
    },
  );

  test('rows that are there at last, and an end of the write, wake a producer that waits', async () => {
    const { producer, consumer, place } = openBoth({}, false);
    const first = producer.writable();
    const second = producer.writable();
    open(consumer, place);
    expect(await Promise.all([first, second])).toEqual([true, true]);
    producer.push(new Uint8Array(48));
    const third = producer.writable();
    consumer.close();
    expect(await third).toBe(false);
  });

  test('nothing is posted to a side that does not wait, and one message to one that does, whatever comes', async () => {
    const { inlet, producer, consumer, heard } = openBoth({ rowCount: 100 });
    const posted = jest.spyOn(inlet.port, 'postMessage');
    producer.push(new Uint8Array(16 * 10));
    expect(posted).toHaveBeenCalledTimes(0);
    for (let row = 0; row < 10; row += 1) expect(consumer.take()).toBe(row);
    expect(consumer.take()).toBe(-1);
    expect(consumer.take()).toBe(-1);
    for (let row = 0; row < 20; row += 1) producer.push(new Uint8Array(16));
    expect(posted).toHaveBeenCalledTimes(1);
    await until(() => heard.arrived === 1);
  });

  test.each([1, 2, 5])('none is lost between two threads with %i rows, however they race', async (rowCount) => {
    const size = 400_000;
    const { inlet, outlet } = createRing([arena]);
    const place = placeOf({ rowCount, rowBytes: 61 });
    let wake = (): void => {};
    const consumer = new RingConsumer(outlet, {
      arrived: () => wake(),
      failed: (error) => expect(error).toBeUndefined(),
      abandoned: () => expect(consumer.exhausted).toBe(true),
    });
    consumers.push(consumer);
    const worker = startProducer(inlet, size, 'end');
    open(consumer, place);
    let position = 0;
    let turn = 0;
    while (!consumer.exhausted) {
      const arrival = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const row = consumer.take();
      if (row === -1) {
        if (!consumer.exhausted) await arrival;
        continue;
      }
      const start = place.start + row * place.rowStride;
      for (let index = 0; index < consumer.takenBytes; index += 1, position += 1)
        if (bytes[start + index] !== position % 251) throw new Error(`byte ${position} is not its own`);
      consumer.release(row);
      turn += 1;
      if (turn % 97 === 0) await setImmediate();
    }
    expect(position).toBe(size);
    await worker;
  });
});

/** Resolves when the thread has ended. */
function startProducer(inlet: RingInlet, size: number, end: 'end' | 'fail' | 'exit'): Promise<void> {
  const workerData = { inlet, size, end };
  const url = new URL('producer.fixture.mjs', import.meta.url);
  const worker = new Worker(url, { workerData, transferList: [inlet.port] });
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => resolve());
  });
}

describe('ends', () => {
  test('a producer that fails says why, and nothing is taken any more', async () => {
    const { producer, consumer, heard } = openBoth();
    producer.push(new Uint8Array(20));
    producer.fail(Object.assign(new Error('the server hung up'), { code: 'ECONNRESET' }));
    expect([consumer.take(), consumer.exhausted]).toEqual([-1, false]);
    await until(() => heard.failed.length > 0);
    expect(heard.failed).toEqual([expect.objectContaining({ code: 'ECONNRESET', message: 'the server hung up' })]);
    expect([producer.closed, producer.push(new Uint8Array(1)), await producer.writable()]).toEqual([true, 0, false]);
    producer.end();
    await setImmediate();
    expect([consumer.exhausted, heard.failed.length]).toEqual([false, 1]);
  });

  test.each(['fail', 'exit'] as const)('a producing thread that ends by "%s" is heard, once', async (end) => {
    const { inlet, outlet } = createRing([arena]);
    const { consumer, heard } = openConsumer(outlet);
    open(consumer, placeOf({ rowCount: 40 }));
    await startProducer(inlet, 30, end);
    await until(() => heard.failed.length > 0);
    await setImmediate();
    expect(heard.failed).toEqual([end === 'fail' ? expect.objectContaining({ code: 'ECONNRESET' }) : 'abandoned']);
    expect(consumer.close()).toBe(true);
  });

  test('a producer that has ended may go, before there are rows and after', async () => {
    const { producer, consumer, heard, place } = openBoth({}, false);
    producer.end();
    await until(() => producer.closed);
    open(consumer, place);
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
    expect([consumer.exhausted, heard.failed]).toEqual([true, []]);
  });

  test('a write that ends first is told to the producer once, though it waits for nothing', async () => {
    const { producer, consumer, closedTold } = openBoth();
    producer.push(new Uint8Array(5));
    consumer.close();
    expect([producer.closed, producer.push(new Uint8Array(5))]).toEqual([true, 0]);
    await until(() => closedTold() > 0);
    producer.end();
    await setImmediate();
    expect([closedTold(), await producer.writable()]).toEqual([1, false]);
  });

  test('a producer that ended is not told of the end that it asked for', async () => {
    const { producer, consumer, closedTold } = openBoth();
    producer.end();
    consumer.close();
    for (let turn = 0; turn < 5; turn += 1) await setImmediate();
    expect(closedTold()).toBe(0);
  });
});

describe("rows that are another write's", () => {
  test('are not touched once the ring is closed', () => {
    const { producer, consumer, place } = openBoth({ start: 65_536 });
    producer.push(Uint8Array.of(1, 2, 3));
    consumer.close();
    bytes.fill(9, place.start, place.start + 16);
    expect(producer.push(Uint8Array.of(4, 5, 6))).toBe(0);
    expect(bytes.slice(place.start, place.start + 16)).toEqual(new Uint8Array(16).fill(9));
  });

  test('are not given away while a copy into them has begun, unless its thread is gone', async () => {
    const { inlet, consumer, closedTold } = openBoth();
    const words = ringWords(inlet.control);
    Atomics.store(words, COPYING, 1); // as a producer on another thread does
    expect([consumer.close(), consumer.close()]).toEqual([false, false]);
    Atomics.store(words, COPYING, 0);
    expect(consumer.close()).toBe(true);
    await until(() => closedTold() === 1);
    const torn = openBoth();
    Atomics.store(ringWords(torn.inlet.control), COPYING, 1);
    expect(torn.consumer.close()).toBe(false);
    torn.inlet.port.close(); // as the end of its thread does
    await until(() => torn.consumer.close());
    expect(torn.heard.failed).toEqual([]);
  });

  test("nor once the main thread has closed a dead thread's ring; those of other threads it leaves alone", () => {
    const { inlet, producer } = openBoth({ thread: 0 });
    expect(closeRingOf(inlet.control, 1)).toBe(true);
    expect(producer.push(new Uint8Array(3))).toBe(3);
    Atomics.store(ringWords(inlet.control), COPYING, 1);
    expect(closeRingOf(inlet.control, 0)).toBe(false);
    Atomics.store(ringWords(inlet.control), COPYING, 0);
    expect(closeRingOf(inlet.control, 0)).toBe(true);
    expect([producer.closed, producer.push(new Uint8Array(3))]).toEqual([true, 0]);
  });
});

test('where the write wants the bytes to begin and where they do crosses over whole, with what tells them apart', () => {
  const { producer, consumer } = openBoth({ startAt: { offset: 2 ** 40 + 2 ** 31, identity: 'etag "é"' } });
  expect(producer.startAt).toEqual({ offset: 2 ** 40 + 2 ** 31, identity: 'etag "é"' });
  expect(consumer.beginning()).toBeNull();
  const beginning = { offset: 2 ** 32, totalBytes: 2 ** 52 + 2 ** 31 + 1, identity: 'x'.repeat(512) };
  producer.begin(beginning);
  expect(consumer.beginning()).toEqual(beginning);
  const other = openBoth();
  expect(other.producer.startAt).toEqual({ offset: 0, identity: null });
  other.producer.begin({ offset: 0, totalBytes: null, identity: 'x'.repeat(513) }); // one that is cut would tell nothing
  expect(other.consumer.beginning()).toEqual({ offset: 0, totalBytes: null, identity: null });
});

test('a write that waits for the beginning is woken by it', async () => {
  const { producer, consumer, heard } = openBoth();
  expect(consumer.beginning()).toBeNull();
  producer.begin({ offset: 0, totalBytes: 5, identity: null });
  await until(() => heard.arrived === 1);
});
