import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type Reservation, type Snapshot, SpaceLedger } from './ledger.ts';

const gib = 2 ** 30;

test('what a write has allocated is counted by the file system from the next question on, and by the ledger until then', () => {
  const ledger = new SpaceLedger();
  let allocated = 0;
  const write = ledger.reserve(gib, () => allocated);
  const before = ledger.beginReading();
  allocated = gib; // after the question was asked: the answer cannot know of it
  ledger.endReading(before);
  expect(ledger.promisedBytes).toBe(gib);
  ledger.endReading(ledger.beginReading());
  expect(ledger.promisedBytes).toBe(0);
  ledger.release(write);
  ledger.endReading(ledger.beginReading());
  expect(ledger.promisedBytes).toBe(0);
});

test('a write that begins and ends between two questions counts until the second', () => {
  const ledger = new SpaceLedger();
  ledger.release(ledger.reserve(gib, () => gib));
  expect(ledger).toMatchObject({ promisedBytes: gib, holders: 0 });
  ledger.endReading(ledger.beginReading());
  expect(ledger.promisedBytes).toBe(0);
});

test('a write that ends while the file system is asked counts until it is asked again', () => {
  const ledger = new SpaceLedger();
  const write = ledger.reserve(gib, () => gib);
  const snapshot = ledger.beginReading();
  ledger.release(write);
  ledger.endReading(snapshot);
  expect(ledger.promisedBytes).toBe(gib);
  ledger.endReading(ledger.beginReading());
  expect(ledger.promisedBytes).toBe(0);
});

/** A write on a disk of the model: what it has allocated, and what the ledger holds for it. */
interface Write {
  bytes: number;
  allocated: number;
  reservation: Reservation;
}

test('for any interleaving every byte of a running write is in the last answer or in the ledger, none is negative, and all are given back (seed 4)', () => {
  const step = fc.record({
    kind: fc.constantFrom('reserve', 'allocate', 'release', 'release again', 'ask', 'answer'),
    bytes: fc.integer({ min: 0, max: 1000 }),
    which: fc.nat(20),
  });
  const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const ledger = new SpaceLedger();
    const running: Write[] = [];
    const over: Write[] = [];
    let usedOnDisk = 0; // by files that are there and by those that are being written
    let lastAnswer = 0;
    let asked: { snapshot: Snapshot; used: number } | null = null;
    for (const { kind, bytes, which } of steps) {
      const write = running[which % Math.max(1, running.length)];
      if (kind === 'reserve') {
        const made: Write = { bytes, allocated: 0, reservation: null as unknown as Reservation };
        made.reservation = ledger.reserve(bytes, () => made.allocated);
        running.push(made);
      } else if (kind === 'allocate' && write !== undefined) {
        const more = Math.min(bytes, write.bytes - write.allocated);
        write.allocated += more;
        usedOnDisk += more;
      } else if (kind === 'release' && write !== undefined) {
        running.splice(running.indexOf(write), 1);
        over.push(write);
        ledger.release(write.reservation);
      } else if (kind === 'release again' && over.length > 0) {
        ledger.release(over[which % over.length]!.reservation);
      } else if (kind === 'ask' && asked === null) {
        asked = { snapshot: ledger.beginReading(), used: usedOnDisk };
      } else if (kind === 'answer' && asked !== null) {
        ledger.endReading(asked.snapshot);
        lastAnswer = asked.used;
        asked = null;
      }
      const toCome = running.reduce((sum, { bytes: all, allocated }) => sum + all - allocated, 0);
      expect(ledger.promisedBytes).toBeGreaterThanOrEqual(0);
      // Never promised twice: what the disk will hold is within what the answer and the ledger say together.
      expect(lastAnswer + ledger.promisedBytes).toBeGreaterThanOrEqual(usedOnDisk + toCome);
    }
    for (const { reservation } of running) ledger.release(reservation);
    if (asked !== null) ledger.endReading(asked.snapshot);
    ledger.endReading(ledger.beginReading());
    expect(ledger).toMatchObject({ promisedBytes: 0, holders: 0 });
  });
  fc.assert(property, { seed: 4, numRuns: 500 });
});
