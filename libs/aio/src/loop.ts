/**
 * The loop of one writer thread: hands free slots round-robin to the running lanes, submits what they prepared in
 * one batch, reaps, and gives each event to the lane that owns its slot. Batches span lanes, so that a thousand
 * small files keep the device as busy as one large file, and no lane starves.
 *
 * The decision: libs/README.md#lanes-asked-before-a-batch.
 */
import { strict as assert } from 'node:assert';
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';
import { type AioEngine, SLOT_ACQUIRED, SLOT_COMPLETED, SLOT_FREE, SLOT_PREPARED } from './engine.ts';

const { ECANCELED } = constants.errno;

/** One write (or copy) that shares the context. All calls come from the loop, on the loop's thread. */
export interface Lane {
  /** Prepares at most one iocb into `slot`; false when there is nothing to prepare now, and the slot stays free. */
  prepare(slot: number): boolean;
  /**
   * The iocb of `slot` completed with `result` (bytes done or -errno); `refused` if io_submit itself returned that.
   * The lane prepares the slot again or releases it.
   */
  complete(slot: number, result: number, refused: boolean, latencyMs: number): void;
  /**
   * An exception in prepare or complete, or a slot not treated as they say: the lane must stop preparing and finish
   * once its slots are reaped. May be called more than once. Must not throw: that ends the thread.
   */
  fail(error: unknown): void;
  /**
   * Called before a batch is submitted, and before events are handled, if some time has passed since the last call: the
   * process may have been frozen in between, and the lane's lease have gone to another process. False: nothing that the
   * lane has prepared is submitted; each such slot completes as refused with -ECANCELED.
   */
  mayGoOn?(): boolean;
  /** True while the lane has nothing to prepare before an event of its own has come: it is not asked until then. */
  readonly awaitsEvent?: boolean;
  /** True when the lane has nothing in flight and will never prepare again: the loop forgets it. */
  readonly finished: boolean;
}

/**
 * The longest one wait in io_getevents may last. A thread that waits without a limit cannot be terminated; 100 ms
 * cost nothing measurable.
 */
const WAIT_SLICE_MS = 100;
/** Waits between two breaths of the event loop, in which messages and new tasks come in. */
const WAITS_PER_BREATH = 16;
/** No further wait begins after this time without a breath: a slow disk may take long over each. */
const BREATH_AFTER_MS = 20;

/** Lanes are asked whether they may go on once so long has passed: seldom enough to cost nothing. */
const ASK_AFTER_MS = 50;

/**
 * Bytes that lanes fill before what they have prepared is submitted: the device would run dry while they fill the next. It is
 * as much as the kernel merges into one request here.
 */
const FILLED_BYTES_MAX = 4_194_304;

export class AioLoop {
  readonly #engine: AioEngine;
  /** In the order of their turns, a ring; the next turn is that of `#nextLane`. */
  readonly #lanes: Lane[] = [];
  readonly #slotLane: (Lane | undefined)[];
  #nextLane = 0;
  /** When the lanes were asked last whether they may go on. */
  #askedAt = 0;
  /** The earliest time that a lane of this turn asked to be asked again, of performance.now(). */
  #deadline: number = Number.POSITIVE_INFINITY;
  /** Bytes that lanes have put into rows since the last submit. */
  #filledBytes = 0;
  /** Set while nothing is in flight and the deadline is waited for. */
  #alarm: NodeJS.Timeout | undefined;
  #running = false;
  /** wake() was called since the turn began: the turn may have passed that lane already. */
  #woken = false;
  #fatal: { error: unknown } | undefined;
  readonly #onFatal: (error: unknown) => void;
  readonly #onTurn: () => void;

  /**
   * @param onFatal called once when the context itself fails: nothing in flight can be reaped any more
   * @param onTurn called as each turn begins; while something is in flight and no call comes, the thread is inside a call
   */
  constructor(engine: AioEngine, onFatal: (error: unknown) => void, onTurn: () => void = () => {}) {
    this.#engine = engine;
    this.#onTurn = onTurn;
    this.#slotLane = Array.from({ length: engine.depth });
    this.#onFatal = onFatal;
  }

  /** Lanes that are not finished. */
  get laneCount(): number {
    return this.#lanes.length;
  }

  /**
   * Lets a lane take part from the next turn on.
   * @throws what onFatal was called with, if the context has failed
   */
  add(lane: Lane): void {
    if (this.#fatal !== undefined) throw this.#fatal.error;
    // Behind the lane whose turn was last, so that all others have their turn before it: were it appended, a lane at the
    // front would wait for as long as short ones keep coming.
    this.#lanes.splice(this.#nextLane, 0, lane);
    this.#nextLane += 1;
    this.wake();
  }

  /**
   * For a lane in prepare() that has something to prepare, but not before `time` (of performance.now()): every lane is
   * asked again then at the latest.
   */
  wakeAt(time: number): void {
    if (time < this.#deadline) this.#deadline = time;
  }

  /**
   * For a lane in prepare() that has computed or copied `bytes` into the row of its slot, which takes about as long as the
   * device needs for them: after FILLED_BYTES_MAX the batch is submitted before another slot is offered.
   */
  filled(bytes: number): void {
    this.#filledBytes += bytes;
  }

  /** Runs the loop again after every lane had nothing to prepare. */
  wake(): void {
    this.#woken = true;
    if (this.#running || this.#fatal !== undefined) return;
    this.#running = true;
    clearTimeout(this.#alarm);
    setImmediate(this.#pump);
  }

  // One closure for the loop's life: setImmediate takes it again and again.
  readonly #pump = (): void => {
    this.#woken = false;
    try {
      this.#running = this.#turns() || this.#woken;
    } catch (error) {
      this.#running = false;
      this.#fatal = { error };
      this.#onFatal(error);
      return;
    }
    if (this.#running) setImmediate(this.#pump);
    // Nothing is in flight whose event would come first.
    else if (this.#deadline < Number.POSITIVE_INFINITY)
      this.#alarm = setTimeout(this.#wake, this.#deadline - performance.now());
  };

  readonly #wake = (): void => this.wake();

  /** Turns of offer, submit, reap, dispatch, until the event loop should breathe. False when there is nothing to do. */
  #turns(): boolean {
    const engine = this.#engine;
    const breatheAt = performance.now() + BREATH_AFTER_MS;
    for (let waits = 1; ; waits += 1) {
      this.#deadline = Number.POSITIVE_INFINITY;
      this.#onTurn();
      let isCut: boolean;
      do {
        this.#filledBytes = 0;
        this.#offerSlots();
        isCut = this.#filledBytes >= FILLED_BYTES_MAX;
        this.#askLanes(performance.now());
        // A call may block for as long as the disk does: the rest of its batch is as old as that.
        while (!engine.submit(this.#askedAt + ASK_AFTER_MS)) this.#askLanes(performance.now());
      } while (isCut);
      const completed = engine.reap(this.#waitMs());
      const now = performance.now();
      this.#askLanes(now);
      this.#dispatch(completed, now);
      // A finished lane's promise resolves only on the event loop: breathe at once, so that its job ends now.
      const finished = this.#dropFinished();
      const due = completed > 0 || now >= this.#deadline;
      if (due && !finished && waits < WAITS_PER_BREATH && now < breatheAt) continue;
      return this.#lanes.length > 0 && (completed > 0 || finished || engine.inFlight > 0);
    }
  }

  /** Right before io_submit: a process frozen anywhere else re-checks its leases here before it submits. */
  #askLanes(now: number): void {
    if (now - this.#askedAt < ASK_AFTER_MS) return;
    this.#askedAt = now;
    for (const lane of this.#lanes) {
      if (lane.mayGoOn?.() !== false) continue;
      this.#engine.withdraw((slot) => this.#slotLane[slot] === lane, -ECANCELED);
    }
  }

  #waitMs(): number {
    if (this.#deadline === Number.POSITIVE_INFINITY) return WAIT_SLICE_MS;
    return Math.min(WAIT_SLICE_MS, Math.max(0, this.#deadline - performance.now()));
  }

  #offerSlots(): void {
    const lanes = this.#lanes;
    let refusals = 0; // lanes in a row that wanted nothing: a full round of them ends the turn
    while (refusals < lanes.length && this.#engine.freeSlots > 0 && this.#filledBytes < FILLED_BYTES_MAX) {
      if (this.#nextLane >= lanes.length) this.#nextLane = 0;
      const lane = lanes[this.#nextLane]!;
      this.#nextLane += 1;
      if (this.#offer(lane)) refusals = 0;
      else refusals += 1;
    }
  }

  /** True if the lane took a slot. What became of the slot is read from the engine: a lane may throw at any point. */
  #offer(lane: Lane): boolean {
    // A finished one did so since its last reap, and is dropped at the end of this turn.
    if (lane.finished || lane.awaitsEvent === true) return false;
    const engine = this.#engine;
    const slot = engine.acquireSlot();
    this.#slotLane[slot] = lane; // before the call: what it prepares is its own, even if it throws afterwards
    try {
      const wanted = lane.prepare(slot);
      assert(engine.stateOf(slot) === (wanted ? SLOT_PREPARED : SLOT_ACQUIRED), 'a lane said it prepared and did not');
    } catch (error) {
      lane.fail(error); // a source that throws ends its own write, not the thread
    }
    if (engine.stateOf(slot) === SLOT_PREPARED) return true;
    this.#slotLane[slot] = undefined;
    if (engine.stateOf(slot) === SLOT_ACQUIRED) engine.releaseSlot(slot);
    return false;
  }

  #dispatch(completed: number, now: number): void {
    const engine = this.#engine;
    for (let index = 0; index < completed; index += 1) {
      const slot = engine.completedSlots[index]!;
      const lane = this.#slotLane[slot]!;
      const latencyMs = now - engine.slotSubmittedAt[slot]!;
      try {
        lane.complete(slot, engine.slotResult[slot]!, engine.slotRefused[slot] === 1, latencyMs);
        assert(engine.stateOf(slot) !== SLOT_COMPLETED, 'a lane kept a completed slot, which no event would return');
      } catch (error) {
        lane.fail(error); // the other events of this batch still go to their lanes
      }
      if (engine.stateOf(slot) === SLOT_COMPLETED) engine.releaseSlot(slot);
      if (engine.stateOf(slot) === SLOT_FREE) this.#slotLane[slot] = undefined;
    }
  }

  #dropFinished(): boolean {
    let dropped = false;
    for (let index = this.#lanes.length - 1; index >= 0; index -= 1) {
      if (!this.#lanes[index]!.finished) continue;
      this.#lanes.splice(index, 1);
      if (index < this.#nextLane) this.#nextLane -= 1; // or the lane whose turn it is would lose it
      dropped = true;
    }
    return dropped;
  }
}
