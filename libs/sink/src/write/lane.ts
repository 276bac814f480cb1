/**
 * One write as a lane of its thread's loop, from its order to its result. The lane alone changes phases: each phase is a
 * file, and answers whether it has prepared something, has nothing to prepare now, or is over, and which phase is next.
 *
 *   opening -> waiting (for rows) -> opening (space) -> writing -> syncing -> verifying (if asked for) -> publishing -> done
 *
 * The first failure stops the preparing. When the last slot is reaped everything is closed, and the failure handed on.
 */
import {
  completeResult,
  IoError,
  type ShortWriteResult,
  toWire,
  WriteAbortedError,
  type WriteResult,
} from '@penstock/contract';
import type { Lane } from '@penstock/aio';
import { STOP_CANCEL, STOP_LOST, STOP_NONE, STOP_REASONS } from '@penstock/matrix';
import { Intake } from '../intake/intake.ts';
import type { WriterThread } from '../thread/thread.ts';
import { closeWrite, sweepEarlier } from './ended.ts';
import { prepareOpening } from './opening.ts';
import type { WriteControl, WriteOrder } from './order.ts';
import { drain, preparePaused } from './paused.ts';
import {
  DONE,
  NOTHING,
  OPENING,
  PAUSED,
  PREPARED,
  PUBLISHING,
  SYNCING,
  type Step,
  VERIFYING,
  WAITING,
  WRITING,
} from './phases.ts';
import { afterNameFlush, beginPublishing, completePublishing, preparePublishing } from './publishing.ts';
import { resultOf } from './result.ts';
import { type LaneEvents, WriteState } from './state.ts';
import { beginSyncing, completeSyncing, prepareSyncing } from './syncing.ts';
import { beginVerifying, completeVerifying, prepareVerifying } from './verifying.ts';
import { beginWaiting, completeWaiting, prepareWaiting } from './waiting.ts';
import { completeWriting, prepareWriting } from './writing.ts';

/**
 * Carries out `order` on `thread`; progress goes to `control`, and its stop flag is obeyed.
 * @throws (rejects with) IoError, RequestError for what only this host can judge, WriteAbortedError when stopped
 */
export async function runWrite(thread: WriterThread, order: WriteOrder, control: WriteControl): Promise<WriteResult> {
  return completeResult(await runTask(thread, order, control));
}

/** The same with the result in its short form: for who passes it on. */
export function runTask(thread: WriterThread, order: WriteOrder, control: WriteControl): Promise<ShortWriteResult> {
  return new Promise((resolve, reject) => {
    thread.loop.add(new WriteLane(thread, order, control, resolve, reject));
  });
}

class WriteLane implements Lane, LaneEvents {
  readonly #state: WriteState;
  readonly #resolve: (result: ShortWriteResult) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    thread: WriterThread,
    order: WriteOrder,
    control: WriteControl,
    resolve: (result: ShortWriteResult) => void,
    reject: (error: unknown) => void,
  ) {
    const { ring, request } = order;
    const intake =
      ring === undefined
        ? null
        : new Intake(ring, thread.loop, thread.stopClock, request.path, (error) => this.#failSource(error));
    this.#state = new WriteState(thread, order, control, this, intake);
    this.#resolve = resolve;
    this.#reject = reject;
  }

  get finished(): boolean {
    return this.#state.finished;
  }

  /**
   * A small file has one iocb in flight at a time, and every step of it begins when that is reaped; a stop too could end it
   * no sooner.
   */
  get awaitsEvent(): boolean {
    const { inFlight, io } = this.#state;
    return inFlight > 0 && io.row !== null;
  }

  // ----------------------------------------------------------------------------------------------- the loop's calls

  prepare(slot: number): boolean {
    const state = this.#state;
    if (state.finished || state.failed || this.#isStopped()) return false;
    state.io.digest?.advance();
    // A file that is being emptied is emptied first.
    const isEmptying = state.files.reserving?.isEmptying === true;
    const drains = state.control.paused && state.clock.phase <= WRITING && !isEmptying;
    let step = drains ? drain(state, slot) : this.#prepareInPhase(slot);
    while (step >= 0) {
      this.#goOn(step);
      if (state.finished) return false;
      step = this.#prepareInPhase(slot);
    }
    if (step === NOTHING) return false;
    state.inFlight += 1;
    return true;
  }

  complete(slot: number, result: number, refused: boolean, latencyMs: number): void {
    const state = this.#state;
    state.inFlight -= 1;
    try {
      const step = this.#completeInPhase(slot, result, refused, latencyMs);
      if (step === PREPARED) state.inFlight += 1;
      if (step >= 0 && !state.failed) this.#goOn(step);
      else if (!state.finished) state.publishProgress();
    } catch (error) {
      this.fail(error);
    }
    if (state.failed && state.inFlight === 0) this.#end();
  }

  fail(error: unknown): void {
    const state = this.#state;
    if (!state.failed) {
      state.failed = true;
      state.failure = error;
      state.io.rows?.stop();
      state.io.readback?.stop();
    }
    if (state.inFlight === 0) this.#end();
  }

  mayGoOn(): boolean {
    const { control, mayHaveRows } = this.#state;
    if (!mayHaveRows || !control.lapsed) return true;
    this.fail(new WriteAbortedError('lost'));
    return false;
  }

  // ------------------------------------------------------------------------------------------- reported from outside

  /** The flush of the write's name has ended, with 0 or -errno. */
  flushed(result: number): void {
    if (result < 0) {
      const { path } = this.#state.files.target!;
      this.fail(new IoError({ syscall: 'fsync', errno: result, path }));
    } else if (afterNameFlush(this.#state) === DONE) {
      this.#end();
    }
  }

  /** The source has failed, not the disk: if it may succeed later, what is written is valid for the next attempt. */
  #failSource(error: unknown): void {
    const state = this.#state;
    state.sourceFailed = !state.failed && toWire(error).retryable;
    this.fail(error);
  }

  /** Asked before each row: a write that has lost its lock must not submit another. */
  #isStopped(): boolean {
    const state = this.#state;
    const { control, clock } = state;
    if (clock.phase >= PUBLISHING && clock.phase !== PAUSED) return false;
    const stop = control.lapsed ? STOP_LOST : control.stop;
    if (stop === STOP_NONE) return false;
    if (stop === STOP_CANCEL) sweepEarlier(state);
    this.fail(new WriteAbortedError(STOP_REASONS[stop]!));
    return true;
  }

  // ------------------------------------------------------------------------------------------------------ the phases

  #prepareInPhase(slot: number): Step {
    const state = this.#state;
    switch (state.clock.phase) {
      case WRITING:
        return prepareWriting(state, slot);
      case OPENING:
        return prepareOpening(state);
      case WAITING:
        return prepareWaiting(state, slot);
      case SYNCING:
        return prepareSyncing(state, slot);
      case VERIFYING:
        return prepareVerifying(state, slot);
      case PUBLISHING:
        return preparePublishing(state, slot);
      default:
        return preparePaused(state);
    }
  }

  #completeInPhase(slot: number, result: number, refused: boolean, latencyMs: number): Step {
    const state = this.#state;
    switch (state.clock.phase) {
      case WRITING:
        return completeWriting(state, slot, result, refused, latencyMs);
      case WAITING:
        return completeWaiting(state, slot, result, refused, latencyMs);
      case SYNCING:
        return completeSyncing(state, slot, result, refused);
      case VERIFYING:
        return completeVerifying(state, slot, result, refused, latencyMs);
      default:
        return completePublishing(state, slot, result, refused);
    }
  }

  /** Enters `phase`, and those after it for as long as each is over as soon as it has begun. */
  #goOn(phase: number): void {
    let step: Step = phase;
    while (step >= 0 && step !== DONE) {
      this.#enter(step);
      step = this.#begin(step);
    }
    if (step === DONE) this.#end();
  }

  #enter(phase: number): void {
    this.#state.clock.enter(phase);
    this.#state.publishProgress();
  }

  #begin(phase: number): Step {
    const state = this.#state;
    switch (phase) {
      case WAITING:
        return beginWaiting(state);
      case SYNCING:
        return beginSyncing(state);
      case VERIFYING:
        return beginVerifying(state);
      case PUBLISHING:
        return beginPublishing(state);
      default:
        return NOTHING;
    }
  }

  /** Called with nothing in flight: closes everything, and resolves or rejects the promise, once. */
  #end(): void {
    const state = this.#state;
    if (state.finished) return;
    state.finished = true;
    closeWrite(state);
    if (state.failed) {
      this.#reject(state.failure);
    } else {
      this.#enter(DONE);
      this.#resolve(resultOf(state));
    }
    state.latencies.end();
  }
}
