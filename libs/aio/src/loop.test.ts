import { constants } from 'node:os';
import { setImmediate as breathe } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AioEngine } from './engine.ts';
import { AioLoop, type Lane } from './loop.ts';
import { type StubPort, stubPort } from './stub.fixture.ts';

const { EBADF, ECANCELED, EIO } = constants.errno;
const DEPTH = 4;

let port: StubPort;
let engine: AioEngine;
let loop: AioLoop;
let fatal: unknown[];
let turned: number[];
const lanes: CountingLane[] = [];

function start(depth: number): void {
  port = stubPort();
  engine = new AioEngine(port, depth);
  fatal = [];
  turned = [];
  loop = new AioLoop(
    engine,
    (error) => fatal.push(error),
    () => {
      turned.push(port.calls.length);
    },
  );
}

beforeEach(() => start(DEPTH));
afterEach(async () => {
  for (const lane of lanes.splice(0)) lane.left = 0; // saturated lanes of a failed test would keep the process alive
  while (loop.laneCount > 0 && fatal.length === 0) await breathe();
});

/** Prepares `left` iocbs and counts what it is told. */
class CountingLane implements Lane {
  finished = false;
  left: number;
  prepared = 0;
  inFlight = 0;
  readonly results: number[] = [];
  readonly refused: boolean[] = [];
  readonly errors: unknown[] = [];
  readonly ended: Promise<void>;
  mayGoOn: () => boolean = () => true;
  onPrepare: (slot: number) => void = () => {};
  afterPrepare: (slot: number) => void = () => {};
  onComplete: (slot: number) => void = () => {};
  #end: () => void = () => {};

  constructor(left: number) {
    this.left = left;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    lanes.push(this);
  }

  prepare(slot: number): boolean {
    this.onPrepare(slot);
    if (this.left === 0) return this.#settle();
    this.left -= 1;
    this.prepared += 1;
    this.inFlight += 1;
    engine.prepWrite(slot, 3, 4096, 512, 0);
    this.afterPrepare(slot);
    return true;
  }

  complete(slot: number, result: number, refused: boolean): void {
    this.inFlight -= 1;
    this.results.push(result);
    this.refused.push(refused);
    this.onComplete(slot);
    engine.releaseSlot(slot);
    this.#settle();
  }

  fail(error: unknown): void {
    this.errors.push(error);
    this.left = 0;
    this.#settle();
  }

  #settle(): boolean {
    if (this.left === 0 && this.inFlight === 0) {
      this.finished = true;
      this.#end();
    }
    return false;
  }
}

function run(left: number): CountingLane {
  const lane = new CountingLane(left);
  loop.add(lane);
  return lane;
}

test('what a lane has filled is submitted before the next slots are offered, and without waiting for events', async () => {
  const lane = new CountingLane(8);
  lane.afterPrepare = () => loop.filled(2_097_152);
  loop.add(lane);
  await lane.ended;
  // Two at a time, until no slot is free: only then an event is waited for.
  expect(port.offered.slice(0, 2)).toEqual([
    [0, 1],
    [2, 3],
  ]);
  expect(port.calls.slice(0, 4)).toEqual(['setup', 'submit', 'submit', 'getevents']);
});

test('a lane with endless work does not starve another', async () => {
  const endless = run(Number.POSITIVE_INFINITY);
  const short = [run(20), run(20), run(20)];
  await Promise.all(short.map((lane) => lane.ended));
  // A fair share is 20 each; what else it has is the slots of turns in which the others ended.
  expect(endless.prepared).toBeGreaterThanOrEqual(20);
  expect(endless.prepared).toBeLessThanOrEqual(20 + 4 * DEPTH);
});

test('short lanes that come and go for ever do not starve a long one, even with a single slot', async () => {
  start(1);
  const endless = run(Number.POSITIVE_INFINITY);
  let ended = 0;
  // Each lane that ends is replaced before the next turn: there are always three.
  const replace = async (): Promise<void> => {
    while (ended < 60) {
      await run(1).ended;
      ended += 1;
    }
  };
  await Promise.all([replace(), replace(), replace()]);
  // One turn in four is its own.
  expect(endless.prepared).toBeGreaterThanOrEqual(15);
  expect(endless.prepared).toBeLessThanOrEqual(40);
});

test('turns come in the order in which the lanes came, also when each ends with its turn', async () => {
  start(1);
  const order: number[] = [];
  const four = [0, 1, 2, 3].map((index) => {
    const lane = run(1);
    lane.afterPrepare = () => order.push(index);
    return lane;
  });
  await Promise.all(four.map((lane) => lane.ended));
  expect(order).toEqual([0, 1, 2, 3]);
});

test('lanes of one turn share a batch', async () => {
  const both = [run(2), run(2)];
  await Promise.all(both.map((lane) => lane.ended));
  expect(port.offered.map((slots) => slots.length)).toEqual([4]);
});

test('a lane that may not go on after a while has nothing more submitted, whenever the process was stopped', async () => {
  for (const call of ['prepare', 'getevents']) {
    start(DEPTH);
    const [stale, other] = [run(50), run(50)];
    let stopped = false;
    const stop = (): void => {
      if (stopped) return;
      stopped = true;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60); // as long as a stop is felt: the thread stands
    };
    if (call === 'prepare') stale.afterPrepare = stop;
    else port.onCall = (name) => name === call && stop();
    stale.mayGoOn = () => {
      if (!stopped) return true;
      stale.left = 0;
      return false;
    };
    await Promise.all([stale.ended, other.ended]);
    // Before the stop each had its half of one batch.
    expect(stale.results.filter((result) => result !== -ECANCELED)).toHaveLength(call === 'prepare' ? 0 : DEPTH / 2);
    expect(stale.results).toHaveLength(DEPTH / 2);
    expect(other.results.every((result) => result === 0)).toBe(true);
    expect(other.results).toHaveLength(50);
  }
});

test('a process that is stopped between two calls of one batch does not submit the rest of a lane that may not go on', async () => {
  start(DEPTH);
  const [stale, other] = [run(50), run(50)];
  let stopped = false;
  port.submitResults.push(1); // the head alone, which is the stale lane's
  port.onCall = (name) => {
    if (name !== 'submit' || stopped) return;
    stopped = true;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60);
  };
  stale.mayGoOn = () => {
    if (!stopped) return true;
    stale.left = 0;
    return false;
  };
  await Promise.all([stale.ended, other.ended]);
  expect(stale.results.filter((result) => result !== -ECANCELED)).toHaveLength(1);
  expect(stale.results).toHaveLength(DEPTH / 2);
  expect(other.results.every((result) => result === 0)).toBe(true);
  expect(other.results).toHaveLength(50);
});

test('a lane that throws in prepare fails alone', async () => {
  const other = run(50);
  const bad = run(50);
  bad.onPrepare = () => {
    if (bad.prepared === 3) throw new Error('the source ran dry');
  };
  await Promise.all([bad.ended, other.ended]);
  expect(bad.errors).toEqual([new Error('the source ran dry')]);
  expect(bad.results.length).toBe(3);
  expect(other.results.length).toBe(50);
  expect([fatal, engine.freeSlots]).toEqual([[], DEPTH]);
});

test('a lane that throws after it prepared still gets that completion', async () => {
  const bad = run(50);
  bad.afterPrepare = () => {
    if (bad.prepared === 2) throw new Error('late');
  };
  await bad.ended;
  expect(bad.results.length).toBe(2);
  expect([fatal, engine.freeSlots]).toEqual([[], DEPTH]);
});

test('a lane that throws in complete fails alone, and the other events of that batch arrive', async () => {
  const bad = run(50);
  const other = run(50);
  bad.onComplete = () => {
    throw new Error('the disk is haunted');
  };
  await Promise.all([bad.ended, other.ended]);
  expect(bad.errors.length).toBe(2); // both of its slots of that batch
  expect(other.results.length).toBe(50);
  expect([fatal, engine.freeSlots]).toEqual([[], DEPTH]);
});

test('a lane that keeps a completed slot, or says it prepared and did not, fails, and the slot is not lost', async () => {
  const idle: Lane & { errors: string[] } = {
    finished: false,
    errors: [],
    prepare: () => true,
    complete: () => {},
    fail(error) {
      this.errors.push((error as Error).message);
      Object.assign(this, { finished: true });
    },
  };
  const keeping = {
    ...idle,
    errors: [] as string[],
    prepare(slot: number) {
      engine.prepWrite(slot, 3, 4096, 512, 0);
      return true;
    },
  };
  loop.add(idle);
  loop.add(keeping);
  await run(20).ended;
  expect(idle.errors).toEqual(['a lane said it prepared and did not']);
  expect(keeping.errors[0]).toBe('a lane kept a completed slot, which no event would return');
  expect([fatal, engine.freeSlots]).toEqual([[], DEPTH]);
});

test('an errno and a refusal reach the lane that owns the slot', async () => {
  port.submitResults.push(-EBADF);
  port.resultOf = () => -EIO;
  const first = run(1);
  const second = run(1);
  await Promise.all([first.ended, second.ended]);
  expect([first.results, first.refused]).toEqual([[-EBADF], [true]]);
  expect([second.results, second.refused]).toEqual([[-EIO], [false]]);
});

test('stops when no lanes remain, and starts again with the next', async () => {
  await run(10).ended;
  await breathe();
  await breathe();
  const { length } = port.calls;
  for (let turn = 0; turn < 20; turn += 1) await breathe();
  expect([loop.laneCount, port.calls.length]).toEqual([0, length]);
  const next = run(10);
  await next.ended;
  expect(next.results.length).toBe(10);
});

test('an idle lane is asked again only when it is woken', async () => {
  const idle = new CountingLane(0);
  let asked = 0;
  let ready = false;
  idle.prepare = () => {
    asked += 1;
    idle.finished = ready;
    return false;
  };
  loop.add(idle);
  for (let turn = 0; turn < 20; turn += 1) await breathe();
  expect(asked).toBe(1);
  ready = true;
  loop.wake();
  await breathe();
  await breathe();
  expect([asked, loop.laneCount]).toEqual([2, 0]);
});

test('a lane that awaits an event of its own is not asked before that has come', async () => {
  const waiting = new CountingLane(3);
  Object.defineProperty(waiting, 'awaitsEvent', { get: () => waiting.inFlight > 0 });
  waiting.onPrepare = () => expect(waiting.inFlight).toBe(0);
  const busy = new CountingLane(20);
  loop.add(waiting);
  loop.add(busy);
  await Promise.all([waiting.ended, busy.ended]);
  expect(waiting.results).toHaveLength(3);
  expect(waiting.errors).toEqual([]);
});

test('a lane added by another in the middle of a turn is run', async () => {
  let added: CountingLane | undefined;
  const idle = new CountingLane(0);
  idle.prepare = () => {
    added ??= run(3); // behind the loop's back, and then there is nothing to do
    return false;
  };
  loop.add(idle);
  await breathe();
  await breathe();
  await added!.ended;
  expect(added!.results.length).toBe(3);
  idle.finished = true;
  loop.wake();
});

test('an error of the context itself reaches onFatal once, and later lanes are told at once', async () => {
  port.waitResults.push(-EIO);
  run(5);
  await breathe();
  await breathe();
  expect(fatal).toEqual([expect.objectContaining({ syscall: 'io_getevents', code: 'EIO' })]);
  expect(() => loop.add(new CountingLane(1))).toThrow(expect.objectContaining({ syscall: 'io_getevents' }));
  loop.wake();
  await breathe();
  expect(fatal.length).toBe(1);
});

test('the event loop breathes while a lane is saturated', async () => {
  const endless = run(Number.POSITIVE_INFINITY);
  const before = endless.prepared;
  let longest = 0;
  for (let turn = 0; turn < 50; turn += 1) {
    const began = port.calls.filter((call) => call === 'getevents').length;
    await breathe();
    longest = Math.max(longest, port.calls.filter((call) => call === 'getevents').length - began);
  }
  expect(endless.prepared).toBeGreaterThan(before);
  expect(longest).toBeLessThanOrEqual(16);
  await new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
});

test('the event loop breathes in time on a disk where every wait is long', async () => {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  port.onCall = (name) => {
    if (name === 'getevents') Atomics.wait(cell, 0, 0, 15);
  };
  run(Number.POSITIVE_INFINITY);
  await breathe();
  const began = port.calls.filter((call) => call === 'getevents').length;
  await breathe();
  expect(port.calls.filter((call) => call === 'getevents').length - began).toBeLessThanOrEqual(2);
});

test('a lane that may not begin yet is asked again when it said, with nothing in flight', async () => {
  const lane = new CountingLane(1);
  const begunAt = performance.now();
  const allow = lane.prepare.bind(lane);
  lane.prepare = (slot) => {
    if (performance.now() - begunAt >= 40) return allow(slot);
    loop.wakeAt(begunAt + 40);
    return false;
  };
  loop.add(lane);
  await lane.ended;
  expect(lane.prepared).toBe(1);
  expect(performance.now() - begunAt).toBeGreaterThanOrEqual(40);
});

test('a wait for events ends when a lane wants to be asked again', async () => {
  const waits: number[] = [];
  const getevents = engine.port.getevents.bind(engine.port);
  engine.port.getevents = (context, min, max, events, timeoutMs) => {
    waits.push(timeoutMs);
    return getevents(context, min, max, events, timeoutMs);
  };
  const busy = new CountingLane(1);
  const paced = new CountingLane(0);
  paced.onPrepare = () => loop.wakeAt(performance.now() + 5);
  loop.add(busy);
  loop.add(paced);
  await busy.ended;
  expect(waits[0]).toBeGreaterThanOrEqual(0);
  expect(waits[0]).toBeLessThanOrEqual(5);
});

test('a loop begins turn after turn while what is in flight never ends, and an idle one turns when it is woken', async () => {
  loop.wake();
  await breathe();
  expect(turned).toHaveLength(1);
  port.automatic = false;
  const stuck = run(1);
  while (turned.length < 50) await breathe();
  expect(stuck.inFlight).toBe(1);
  port.automatic = true;
  await stuck.ended;
});
