import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AioEngine } from './engine.ts';
import { type FaultyFactory, type FaultyOptions, faultyPort } from './faulty.ts';
import { native } from '@penstock/native';

const { EBADF, ENOSPC } = constants.errno;
const DEPTH = 8;
const ROW = 2048;

let directory: string;
let fd: number;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'penstock-faulty-'));
  fd = openSync(join(directory, 'file'), 'w+');
});
afterEach(() => {
  closeSync(fd);
  rmSync(directory, { recursive: true });
});

const rows = new Uint8Array(new ArrayBuffer(DEPTH * ROW));
const address = native.addressOf(rows);
const content = (): Buffer => readFileSync(join(directory, 'file'));

function open(options: Omit<FaultyOptions, 'seed'>, seed = 1): { engine: AioEngine; double: FaultyFactory } {
  const double = faultyPort({ seed, ...options });
  return { engine: new AioEngine(double, DEPTH), double };
}

/** Prepares `count` writes, each of its own byte to its own place. */
function prepareWrites(engine: AioEngine, count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const slot = engine.acquireSlot();
    rows.fill(index + 1, slot * ROW, (slot + 1) * ROW);
    engine.prepWrite(slot, fd, address + slot * ROW, ROW, index * ROW);
    return slot;
  });
}

/** The results in the order of completion, as [slot, result]. */
function finish(engine: AioEngine): [number, number][] {
  const results: [number, number][] = [];
  for (let turns = 0; engine.prepared > 0 || engine.inFlight > 0 || turns === 0; turns += 1) {
    if (turns > 1000) throw new Error('it never ends');
    engine.submit();
    const count = engine.reap(0);
    for (const slot of engine.completedSlots.subarray(0, count)) results.push([slot, engine.slotResult[slot]!]);
  }
  return results;
}

test('without faults carries out everything, in an order of its own', () => {
  const { engine, double } = open({}, 3);
  const slots = prepareWrites(engine, DEPTH);
  const results = finish(engine);
  expect(new Map(results)).toEqual(new Map(slots.map((slot) => [slot, ROW])));
  expect(results.map(([slot]) => slot)).not.toEqual(slots);
  expect(slots.map((_, index) => content()[index * ROW])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(Object.values(double.fired).every((count) => count === 0)).toBe(true);
});

test('a script aims at an iocb by its fields and says what its event shall say', () => {
  const { engine, double } = open({
    script: [
      { fault: 'failed', when: (iocb) => iocb.offset === 2 * ROW, errno: ENOSPC },
      { fault: 'shortWrite', when: (iocb) => iocb.offset === 4 * ROW, amount: 700 },
    ],
  });
  const slots = prepareWrites(engine, 5);
  expect(new Map(finish(engine))).toEqual(
    new Map([
      [slots[0], ROW],
      [slots[1], ROW],
      [slots[2], -ENOSPC],
      [slots[3], ROW],
      [slots[4], 700],
    ]),
  );
  expect(content().length).toBe(4 * ROW + 700); // not one byte more than the event says
  expect(
    content()
      .subarray(2 * ROW, 3 * ROW)
      .every((byte) => byte === 0),
  ).toBe(true);
  expect(double.fired).toMatchObject({ failed: 1, shortWrite: 1 });
});

test('a script counts opportunities and strikes as often as it is told', () => {
  const { engine, double } = open({ script: [{ fault: 'delayed', nth: 1, times: 4 }] });
  prepareWrites(engine, 3);
  engine.submit();
  expect([engine.reap(0), engine.reap(0), engine.reap(0), engine.reap(0)]).toEqual([1, 0, 2, 0]);
  expect(double.fired.delayed).toBe(4);
});

test('a refusal behind others strikes once, when its iocb is the head', () => {
  const { engine, double } = open({ script: [{ fault: 'refused', nth: 2 }] });
  const slots = prepareWrites(engine, 5);
  engine.submit();
  expect([engine.submitCalls, engine.inFlight]).toEqual([3, 4]);
  expect(new Map(finish(engine)).get(slots[2]!)).toBe(-EBADF);
  expect(slots.map((slot) => engine.slotRefused[slot])).toEqual([0, 0, 1, 0, 0]);
  expect(double.fired.refused).toBe(1);
});

test('a ring smaller than the depth is full: the rest waits its turn, nothing is lost', () => {
  const { engine } = open({ ringSlots: 3 });
  prepareWrites(engine, DEPTH);
  engine.submit();
  expect([engine.inFlight, engine.prepared]).toEqual([3, 5]);
  expect(finish(engine).length).toBe(DEPTH);
});

test('destroy carries out what is in flight and throws its events away', () => {
  const { engine } = open({});
  prepareWrites(engine, 4);
  engine.submit();
  expect(content().length).toBe(0);
  engine.destroy();
  expect(content().length).toBe(4 * ROW);
});

test('setup is refused by chance or past the limit', () => {
  expect(() => open({ script: [{ fault: 'setupRefused' }] })).toThrow('EAGAIN');
  expect(() => open({ aioMax: DEPTH - 1 })).toThrow('EAGAIN');
});

test('the seed alone decides: schedules are the same with it and differ without', () => {
  const faults = { shortWrite: 0.3, delayed: 0.5, partialSubmit: 0.5, failed: 0.2, emptyWait: 0.2 };
  const schedule = (seed: number): [number, number][] => {
    const { engine } = open({ faults }, seed);
    prepareWrites(engine, DEPTH);
    const results = finish(engine);
    engine.destroy();
    return results;
  };
  expect(schedule(11)).toEqual(schedule(11));
  expect(schedule(11)).not.toEqual(schedule(12));
});
