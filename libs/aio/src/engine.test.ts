import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { AioEngine, SLOT_COMPLETED, SLOT_FREE, SLOT_IN_FLIGHT } from './engine.ts';
import { type StubPort, stubPort } from './stub.fixture.ts';

const { EAGAIN, EBADF, ECANCELED, EINTR, EINVAL, EIO } = constants.errno;
const DEPTH = 8;

let port: StubPort;
let engine: AioEngine;
beforeEach(() => {
  port = stubPort();
  engine = new AioEngine(port, DEPTH);
});

/** Acquires and prepares `count` slots. */
function prepare(count: number): number[] {
  return Array.from({ length: count }, () => {
    const slot = engine.acquireSlot();
    engine.prepWrite(slot, 3, 4096, 512, 0);
    return slot;
  });
}

/** The slots of one reap. */
const reap = (): number[] => [...engine.completedSlots.subarray(0, engine.reap(0))];

describe('slots', () => {
  test('are handed out once each, then -1', () => {
    const slots = Array.from({ length: DEPTH }, () => engine.acquireSlot());
    expect(new Set(slots).size).toBe(DEPTH);
    expect(engine.acquireSlot()).toBe(-1);
    expect(engine.freeSlots).toBe(0);
  });

  test('are not released twice, or two writes would share one', () => {
    const slot = engine.acquireSlot();
    engine.releaseSlot(slot);
    expect(() => engine.releaseSlot(slot)).toThrow("not the caller's");
    expect(engine.freeSlots).toBe(DEPTH);
  });

  test('are not released while prepared or in flight', () => {
    port.automatic = false;
    const [slot] = prepare(1);
    expect(() => engine.releaseSlot(slot!)).toThrow("not the caller's");
    engine.submit();
    expect(() => engine.releaseSlot(slot!)).toThrow("not the caller's");
    port.completing.push(slot!);
    reap();
    engine.releaseSlot(slot!);
    expect(engine.stateOf(slot!)).toBe(SLOT_FREE);
  });

  test('are not prepared unless acquired, nor twice', () => {
    expect(() => engine.prepWrite(0, 3, 4096, 512, 0)).toThrow("not the caller's");
    const [slot] = prepare(1);
    expect(() => engine.prepWrite(slot!, 3, 4096, 512, 0)).toThrow("not the caller's");
    expect(() => engine.prepWrite(DEPTH, 3, 4096, 512, 0)).toThrow("not the caller's");
  });

  test('take no length that the kernel would read as another', () => {
    const slot = engine.acquireSlot();
    expect(() => engine.prepWrite(slot, 3, 4096, -512, 0)).toThrow('0 to 0x7ffff000');
    expect(() => engine.prepWrite(slot, 3, 4096, 0x7fff_f001, 0)).toThrow('0 to 0x7ffff000');
    expect(() => engine.prepWrite(slot, 3, 4096, Number.NaN, 0)).toThrow('0 to 0x7ffff000');
    engine.prepWrite(slot, 3, 4096, 0x7fff_f000, 0);
  });
});

describe('submit', () => {
  test('goes on behind a partial submit, in the order of preparation', () => {
    const slots = prepare(5);
    port.submitResults.push(2, 1);
    engine.submit();
    expect(port.offered).toEqual([slots, slots.slice(2), slots.slice(3)]);
    expect([engine.inFlight, engine.prepared, engine.submitCalls]).toEqual([5, 0, 3]);
  });

  test('keeps the order at EAGAIN: the same head comes first again, before what is prepared later', () => {
    port.automatic = false;
    const first = prepare(4);
    port.submitResults.push(2, -EAGAIN);
    engine.submit();
    expect([engine.inFlight, engine.prepared, engine.retries]).toEqual([2, 2, 1]);
    const later = prepare(2);
    port.completing.push(first[1]!);
    expect(reap()).toEqual([first[1]]);
    engine.submit();
    expect(port.offered.at(-1)).toEqual([first[2], first[3], ...later]);
  });

  test('repeats after EINTR at once', () => {
    prepare(2);
    port.submitResults.push(-EINTR, -EINTR);
    engine.submit();
    expect([engine.inFlight, engine.retries, engine.submitCalls]).toEqual([2, 2, 3]);
  });

  test('a refusal fails the head alone and is a completion of the next reap', () => {
    const slots = prepare(4);
    port.submitResults.push(1, -EBADF, -EINVAL);
    engine.submit();
    expect([engine.inFlight, engine.prepared]).toEqual([2, 0]);
    expect(engine.stateOf(slots[1]!)).toBe(SLOT_IN_FLIGHT);
    expect(() => engine.releaseSlot(slots[1]!)).toThrow("not the caller's");
    expect(reap()).toEqual([slots[1], slots[2], slots[0], slots[3]]);
    expect(slots.map((slot) => engine.slotRefused[slot])).toEqual([0, 1, 1, 0]);
    expect(slots.map((slot) => engine.slotResult[slot])).toEqual([0, -EBADF, -EINVAL, 0]);
    expect(slots.map((slot) => engine.stateOf(slot))).toEqual(slots.map(() => SLOT_COMPLETED));
    engine.prepWrite(slots[1]!, 3, 4096, 512, 0);
    expect(engine.slotRefused[slots[1]!]).toBe(0);
  });

  test('what is withdrawn is never submitted, and is a refusal of the next reap; the rest goes out in its order', () => {
    const slots = prepare(5);
    engine.withdraw((slot) => slot === slots[1] || slot === slots[4], -ECANCELED);
    expect(engine.prepared).toBe(3);
    engine.submit();
    expect(port.offered).toEqual([[slots[0], slots[2], slots[3]]]);
    expect(reap()).toEqual([slots[1], slots[4], slots[0], slots[2], slots[3]]);
    expect(slots.map((slot) => engine.slotResult[slot])).toEqual([0, -ECANCELED, 0, 0, -ECANCELED]);
    expect(slots.map((slot) => engine.slotRefused[slot])).toEqual([0, 1, 0, 0, 1]);
  });

  test('all of a batch refused leaves nothing to wait for', () => {
    const slots = prepare(DEPTH);
    port.submitResults.push(...slots.map(() => -EBADF));
    engine.submit();
    expect(engine.reap(60_000)).toBe(DEPTH);
    expect(port.calls).not.toContain('getevents');
  });

  test('a refusal leaves the completions of the last reap readable', () => {
    prepare(2);
    engine.submit();
    const [one, other] = reap();
    engine.prepWrite(one!, 3, 4096, 512, 0);
    port.submitResults.push(-EBADF);
    engine.submit();
    expect([...engine.completedSlots.subarray(0, 2)]).toEqual([one, other]);
  });

  test('with nothing in flight waits and tries again, then gives up and names io_submit', () => {
    prepare(1);
    port.submitResults.push(-EAGAIN, -EAGAIN);
    const began = performance.now();
    engine.submit();
    expect(engine.inFlight).toBe(1);
    expect(performance.now() - began).toBeGreaterThanOrEqual(5);
    reap();

    prepare(1);
    port.submitResults.push(...Array.from({ length: 100 }, () => -EAGAIN));
    const again = performance.now();
    expect(() => engine.submit()).toThrow(expect.objectContaining({ syscall: 'io_submit', code: 'EAGAIN' }));
    expect(performance.now() - again).toBeLessThan(5000);
    // Nothing is lost by that: the slot is still prepared.
    port.submitResults.splice(0);
    engine.submit();
    expect(engine.inFlight).toBe(1);
  });

  test('does not wait at EAGAIN while a refusal is due: the reap that brings it comes first', () => {
    prepare(2);
    port.submitResults.push(-EBADF, -EAGAIN);
    engine.submit();
    expect([engine.inFlight, engine.prepared, engine.retries]).toEqual([0, 1, 1]);
    expect(reap().length).toBe(1);
    engine.submit();
    expect(engine.inFlight).toBe(1);
  });

  test('counts the time that io_submit itself takes: on some files that is all of it', () => {
    const [slot] = prepare(1);
    let called = 0;
    port.onCall = () => {
      called = performance.now();
    };
    engine.submit();
    expect(engine.slotSubmittedAt[slot!]).toBeLessThanOrEqual(called);
  });
});

describe('reap', () => {
  test('returns nothing when nothing is in flight, without a call', () => {
    expect(engine.reap(60_000)).toBe(0);
    expect(port.calls).toEqual(['setup']);
  });

  test('takes EINTR for no event', () => {
    prepare(1);
    engine.submit();
    port.waitResults.push(-EINTR);
    expect(engine.reap(10)).toBe(0);
    expect(engine.inFlight).toBe(1);
    expect(engine.reap(10)).toBe(1);
  });

  test('an error of io_getevents is thrown by its name and loses neither refusals nor what is in flight', () => {
    const slots = prepare(2);
    port.submitResults.push(-EBADF);
    engine.submit();
    port.waitResults.push(-EINVAL);
    expect(() => engine.reap(10)).toThrow(expect.objectContaining({ syscall: 'io_getevents', code: 'EINVAL' }));
    expect(reap()).toEqual(slots);
  });

  test('an event that comes twice is an error, not two completions', () => {
    const [slot] = prepare(1);
    engine.submit();
    port.automatic = false;
    port.completing.push(slot!, slot!);
    expect(() => engine.reap(10)).toThrow('not in flight');
  });

  test('hands the results over by slot, in the order of completion', () => {
    port.automatic = false;
    const slots = prepare(3);
    engine.submit();
    port.resultOf = (slot) => (slot === slots[1] ? -EIO : 512);
    port.completing.push(slots[2]!, slots[1]!);
    expect(reap()).toEqual([slots[2], slots[1]]);
    expect(slots.map((slot) => engine.slotResult[slot])).toEqual([0, -EIO, 512]);
    expect(engine.inFlight).toBe(1);
  });
});

describe('the witness', () => {
  test('knows the context before it is used, is told of its end before it ends, and follows what is in flight', () => {
    const seen: string[] = [];
    port = stubPort();
    port.setupResult = 4242;
    engine = new AioEngine(port, DEPTH, {
      onContext: (context) => seen.push(`context ${context} after ${port.calls.at(-1)}`),
      onInFlight: (inFlight) => seen.push(`${inFlight} in flight`),
    });
    prepare(3);
    port.submitResults.push(2);
    engine.submit();
    reap();
    engine.destroy();
    expect(seen).toEqual([
      'context 4242 after setup',
      '2 in flight',
      '3 in flight',
      '0 in flight',
      'context 0 after getevents',
      '0 in flight',
    ]);
  });
});

describe('destroy', () => {
  test('happens once, and afterwards nothing can be prepared', () => {
    prepare(2);
    engine.submit();
    engine.destroy();
    engine.destroy();
    expect(engine.reap(10)).toBe(0);
    expect(port.calls).toEqual(['setup', 'submit', 'destroy']);
    expect(() => engine.prepWrite(engine.acquireSlot(), 3, 4096, 512, 0)).toThrow('after destroy()');
  });

  test('forgets what was prepared and refused', () => {
    prepare(3);
    port.submitResults.push(-EBADF, 1, -EAGAIN);
    engine.submit();
    engine.destroy();
    engine.submit();
    expect([engine.reap(10), engine.prepared, engine.inFlight]).toEqual([0, 0, 0]);
    expect(port.calls.filter((call) => call === 'submit').length).toBe(3);
  });

  test('an error is thrown by its name, and is the last of it', () => {
    port.destroyResult = -EINVAL;
    expect(() => engine.destroy()).toThrow(expect.objectContaining({ syscall: 'io_destroy', code: 'EINVAL' }));
    engine.destroy();
    expect(port.calls).toEqual(['setup', 'destroy']);
  });
});

test('a refused setup is an IoError, and nothing is left to destroy', () => {
  port = stubPort();
  port.setupResult = -EAGAIN;
  expect(() => new AioEngine(port, DEPTH)).toThrow(expect.objectContaining({ syscall: 'io_setup', code: 'EAGAIN' }));
  expect(port.calls).toEqual(['setup']);
});
