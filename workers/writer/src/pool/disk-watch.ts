/** Looks, twice a second, whether a pool's disk answers: what has come back since the last look, and what has not. */
import { performance } from 'node:perf_hooks';
import { PHASES } from '@penstock/contract';
import { type Control, type JobBlock, turnTime } from '@penstock/matrix';
import type { Session } from './session.ts';
import { Silence } from './silence.ts';

/** Factor of the phase in a number that holds it and the bytes written, which are fewer. */
const SEEN_PHASE = 2 ** 48;

export class DiskWatch {
  readonly #control: Control;
  /** By job slot. */
  readonly #blocks: readonly JobBlock[];
  /** By job slot: how far its write was at the last look. */
  readonly #seen: Float64Array;
  /** By thread slot: when it was looked at last, of turnTime(), and whether it was asked to turn. */
  readonly #lookedAt: Int32Array;
  readonly #asked: Uint8Array;
  readonly #silence = new Silence();

  /** @param blocks of `control`, by job slot, as they are made: those of writes that run are there */
  constructor(control: Control, blocks: readonly JobBlock[]) {
    this.#control = control;
    this.#blocks = blocks;
    this.#seen = new Float64Array(control.jobs);
    this.#lookedAt = new Int32Array(control.threads).fill(turnTime());
    this.#asked = new Uint8Array(control.threads);
  }

  /** Since when nothing has come back from the disk, in milliseconds of performance.now(); null while it answers. */
  get silentSinceMs(): number | null {
    return this.#silence.sinceMs;
  }

  look(sessions: Iterable<Session>): void {
    let progressed = false;
    let stuck = false;
    for (const session of sessions) {
      if (session.answered > 0) progressed = true;
      session.answered = 0;
      if (session.running === 0) continue;
      const { threadIndex } = session;
      // A flush may take its time: what is waited for is rows.
      const rowsInFlight = threadIndex !== -1 && this.#control.thread(threadIndex).inFlight > 0;
      if (this.#stands(session)) stuck = true;
      for (const slot of session.slots) {
        const { phase, bytesWritten } = this.#blocks[slot]!.read();
        const seen = PHASES.indexOf(phase) * SEEN_PHASE + bytesWritten;
        if (this.#seen[slot] !== seen) progressed = true;
        this.#seen[slot] = seen;
        if (rowsInFlight && phase === 'writing') stuck = true;
      }
    }
    this.#silence.take({ progressed, stuck }, performance.now());
  }

  /** True of a thread that was asked to turn at the last look, and has not. */
  #stands(session: Session): boolean {
    const { threadIndex } = session;
    if (threadIndex === -1) return false; // not up yet
    const turned = this.#control.thread(threadIndex).turnedSince(this.#lookedAt[threadIndex]!);
    this.#lookedAt[threadIndex] = turnTime();
    if (!turned && this.#asked[threadIndex] === 1) return true;
    this.#asked[threadIndex] = turned ? 0 : 1;
    if (!turned) session.wake(); // one with nothing in flight rests
    return false;
  }
}
