/** What the engine promises over every port: each prepared slot completes once, with the truth about its bytes. */
import { constants } from 'node:os';
import { afterEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { AioEngine, type AioPort, SLOT_IN_FLIGHT, faultyPort } from '@penstock/aio';
import { Arena, createArenaMemory } from '@penstock/matrix';
import { BLOCK, TestFile } from './bench.fixture.ts';
import { type Command, DEPTH, EngineModel, REGION_BLOCKS } from './model.fixture.ts';
import { type PortKind, describePorts, faultyKind } from './ports.fixture.ts';

const { EAGAIN } = constants.errno;

const SEED = 20_111_013;

const blocks = fc.integer({ min: 1, max: REGION_BLOCKS });
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('write' as const), blocks }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('read' as const), blocks }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('refused' as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('submit' as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('reap' as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('release' as const) }) },
);
const commands = fc.array(command, { minLength: 20, maxLength: 60, size: 'max' });

/** Runs the model; returns it closed, for its counts. */
function runModel(kind: PortKind, make: PortKind['make'], sequence: readonly Command[]): EngineModel {
  const model = new EngineModel(kind, make);
  try {
    model.run(sequence);
  } finally {
    model.close();
  }
  return model;
}

describePorts(
  'the engine',
  () => true,
  (kind) => {
    test(`completes every prepared slot once, for any order of prep, submit, reap and release (seed ${SEED})`, () => {
      const property = fc.property(commands, (sequence) => {
        runModel(kind, kind.make, sequence);
      });
      fc.assert(property, { seed: SEED, numRuns: 25 });
    });

    test('destroys its context once, however often it is asked, and never waits on it again', () => {
      const arena = new Arena(createArenaMemory(BLOCK));
      const file = new TestFile();
      const calls: string[] = [];
      const engine = new AioEngine((iocbs, address) => watched(kind, iocbs, address, calls), DEPTH);
      const slot = engine.acquireSlot();
      engine.prepWrite(slot, file.fd, arena.address, BLOCK, 0);
      engine.submit();
      expect(engine.stateOf(slot)).toBe(SLOT_IN_FLIGHT);
      engine.destroy();
      engine.destroy();
      engine.submit();
      expect(engine.reap(1000)).toBe(0);
      expect(() => engine.prepWrite(engine.acquireSlot(), file.fd, arena.address, BLOCK, 0)).toThrow('after destroy()');
      expect(calls).toEqual(['setup', 'submit', 'destroy']);
      expect(file.content().length).toBe(BLOCK); // destroy waited for it
    });
  },
);

/** The port of `kind`, with the names of the calls that reach it. */
function watched(kind: PortKind, iocbs: Int32Array, address: number, calls: string[]): AioPort {
  const made = kind.make();
  const port = typeof made === 'function' ? made(iocbs, address) : made;
  return {
    name: port.name,
    setup: (depth) => (calls.push('setup'), port.setup(depth)),
    submit: (context, count, pointers) => (calls.push('submit'), port.submit(context, count, pointers)),
    getevents: (context, min, max, events, timeoutMs) => (
      calls.push('getevents'),
      port.getevents(context, min, max, events, timeoutMs)
    ),
    destroy: (context) => (calls.push('destroy'), port.destroy(context)),
  };
}

describePorts(
  'the engine without a context',
  (kind) => kind.asynchronous,
  (kind) => {
    test('names io_setup and EAGAIN when the contexts of the machine are used up', () => {
      expect(() => new AioEngine(kind.make(), 4_000_000)).toThrow(
        expect.objectContaining({ syscall: 'io_setup', errno: -EAGAIN, code: 'EAGAIN' }),
      );
    });
  },
);

describe('the engine over the double on a bad day', () => {
  const faults = {
    partialSubmit: 0.4,
    submitBusy: 0.15,
    submitInterrupted: 0.15,
    refused: 0.05,
    waitInterrupted: 0.15,
    emptyWait: 0.15,
    delayed: 0.4,
    shortWrite: 0.15,
    shortRead: 0.15,
    failed: 0.1,
  };
  const fired = new Map<string, number>();
  afterEach(() => fired.clear());

  test(`loses no slot, doubles none, and its file is what its events said (seed ${SEED})`, () => {
    const property = fc.property(commands, fc.integer(), (sequence, seed) => {
      const double = faultyPort({ seed, faults, ringSlots: 5 });
      runModel(faultyKind, () => double, sequence);
      for (const [fault, count] of Object.entries(double.fired)) fired.set(fault, (fired.get(fault) ?? 0) + count);
    });
    fc.assert(property, { seed: SEED, numRuns: 60 });
    for (const fault of Object.keys(faults)) expect([fault, fired.get(fault)! > 0]).toEqual([fault, true]);
  });

  test('the same seed and the same commands give the same schedule', () => {
    const sequence = fc.sample(commands, { seed: SEED, numRuns: 1 })[0]!;
    const schedule = (seed: number): string => {
      const double = faultyPort({ seed, faults });
      const model = runModel(faultyKind, () => double, sequence);
      const { submitCalls, reapCalls, retries } = model.engine;
      return JSON.stringify([submitCalls, reapCalls, retries, [...model.engine.slotResult], double.fired]);
    };
    expect(schedule(4711)).toBe(schedule(4711));
    expect(schedule(4711)).not.toBe(schedule(4712));
  });
});
