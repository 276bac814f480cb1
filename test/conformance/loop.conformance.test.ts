/** What the loop promises over every port: lanes of any length share one context, and each file is exact. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { AioEngine, AioLoop, type AioPort, type Lane, type PortFactory, faultyPort } from '@penstock/aio';
import { Arena, createArenaMemory } from '@penstock/matrix';
import { BLOCK, TestFile, closeBenches } from './bench.fixture.ts';
import { describePorts } from './ports.fixture.ts';

const DEPTH = 8;

/** Writes `rows` rows of two blocks, each filled with a byte of its own. Goes on after a short write, ends at an error. */
class RowsLane implements Lane {
  finished = false;
  readonly file: TestFile = new TestFile();
  readonly done: Promise<void>;
  errno = 0;
  shortWrites = 0;
  readonly #engine: AioEngine;
  readonly #arena: Arena;
  readonly #rows: number;
  readonly #slotRow = new Int32Array(DEPTH);
  readonly #slotDone = new Int32Array(DEPTH);
  #next = 0;
  #inFlight = 0;
  #end: () => void = () => {};

  constructor(engine: AioEngine, arena: Arena, rows: number) {
    this.#engine = engine;
    this.#arena = arena;
    this.#rows = rows;
    this.done = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  static byteOf(row: number): number {
    return (row % 250) + 1;
  }

  prepare(slot: number): boolean {
    if (this.errno !== 0 || this.#next === this.#rows) return false;
    this.#slotRow[slot] = this.#next;
    this.#slotDone[slot] = 0;
    const start = slot * 2 * BLOCK;
    this.#arena.bytes.fill(RowsLane.byteOf(this.#next), start, start + 2 * BLOCK);
    this.#next += 1;
    this.#submitRest(slot);
    return true;
  }

  #submitRest(slot: number): void {
    const done = this.#slotDone[slot]!;
    const address = this.#arena.address + slot * 2 * BLOCK + done;
    this.#engine.prepWrite(slot, this.file.fd, address, 2 * BLOCK - done, this.#slotRow[slot]! * 2 * BLOCK + done);
    this.#inFlight += 1;
  }

  complete(slot: number, result: number): void {
    this.#inFlight -= 1;
    if (result < 0) {
      this.errno = result;
    } else if (this.#slotDone[slot]! + result < 2 * BLOCK) {
      this.shortWrites += 1;
      this.#slotDone[slot]! += result - (result % BLOCK); // direct I/O goes on at a block
      this.#submitRest(slot);
      return;
    }
    this.#engine.releaseSlot(slot);
    if (this.#inFlight > 0 || (this.#next < this.#rows && this.errno === 0)) return;
    this.finished = true;
    this.#end();
  }

  fail(error: unknown): void {
    throw error;
  }

  expected(): Uint8Array {
    const bytes = new Uint8Array(this.#rows * 2 * BLOCK);
    for (let row = 0; row < this.#rows; row += 1) {
      bytes.fill(RowsLane.byteOf(row), row * 2 * BLOCK, (row + 1) * 2 * BLOCK);
    }
    return bytes;
  }
}

/** Runs a lane for each count of rows to its end. */
async function runLanes(port: AioPort | PortFactory, rowCounts: readonly number[]): Promise<RowsLane[]> {
  const engine = new AioEngine(port, DEPTH);
  const arena = new Arena(createArenaMemory(DEPTH * 2 * BLOCK));
  let fatal: unknown;
  const loop = new AioLoop(engine, (error) => {
    fatal = error;
  });
  const lanes = rowCounts.map((rows) => new RowsLane(engine, arena, rows));
  for (const lane of lanes) loop.add(lane);
  await Promise.all(lanes.map((lane) => lane.done));
  expect(fatal).toBeUndefined();
  expect(engine.freeSlots).toBe(DEPTH);
  engine.destroy();
  return lanes;
}

describePorts(
  'the loop',
  () => true,
  (kind) => {
    test('writes long and short files at once through one context, and each has its bytes', async () => {
      const lanes = await runLanes(kind.make(), [1, 200, 3, 50, 1, 17, 2, 9]);
      for (const lane of lanes) {
        expect(lane.errno).toBe(0);
        expect(Buffer.compare(lane.file.content(), lane.expected())).toBe(0);
      }
    });
  },
);

describe('the loop over the double on a bad day', () => {
  afterEach(closeBenches);

  test("every lane ends, with its bytes or with an errno, and an error of one lane is no other lane's", async () => {
    const faults = { partialSubmit: 0.4, submitBusy: 0.1, waitInterrupted: 0.1, emptyWait: 0.1, delayed: 0.4 };
    const double = faultyPort({ seed: 77, faults: { ...faults, shortWrite: 0.2, failed: 0.01, refused: 0.005 } });
    const lanes = await runLanes(
      double,
      Array.from({ length: 30 }, (_, index) => ((index * 7) % 40) + 1),
    );
    let exact = 0;
    for (const lane of lanes) {
      if (lane.errno === 0) {
        expect(Buffer.compare(lane.file.content(), lane.expected())).toBe(0);
        exact += 1;
      }
    }
    const { fired } = double;
    for (const fault of Object.keys(faults) as (keyof typeof faults)[]) expect(fired[fault]).toBeGreaterThan(0);
    expect(lanes.reduce((sum, lane) => sum + lane.shortWrites, 0)).toBe(fired.shortWrite);
    // Each error struck one lane, and a lane dies once at most.
    expect(fired.failed + fired.refused).toBeGreaterThan(0);
    expect(30 - exact).toBeGreaterThan(0);
    expect(30 - exact).toBeLessThanOrEqual(fired.failed + fired.refused);
  });
});
