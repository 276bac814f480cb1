/**
 * The pace of one write: no row is prepared before the limits of its job, its root and its host all let it go. Limits
 * are read anew for each row, so that a change holds from the next one on.
 */
import { performance } from 'node:perf_hooks';
import type { AioLoop } from '@penstock/aio';
import { type RateCell, rateTime } from '@penstock/matrix';

/** No row is longer than what the lowest limit lets through in this time: bytes then flow, and do not come in gushes. */
const ROW_SECONDS_MAX = 0.05;

/** What a write goes through: its job's limit, its root's and its host's. */
export interface PaceLimits {
  job: RateCell;
  root: RateCell;
  host: RateCell;
}

export class Pace {
  readonly #loop: Pick<AioLoop, 'wakeAt'>;
  readonly #job: RateCell;
  readonly #root: RateCell;
  readonly #host: RateCell;
  readonly #alignBytes: number;
  /** The last answer was "not yet". */
  #waited = false;

  /** @param alignBytes what the length of every row but the last is a multiple of */
  constructor(loop: Pick<AioLoop, 'wakeAt'>, limits: PaceLimits, alignBytes: number) {
    this.#loop = loop;
    this.#job = limits.job;
    this.#root = limits.root;
    this.#host = limits.host;
    this.#alignBytes = alignBytes;
  }

  /**
   * How many of the next `bytes` may go now, and they are counted; 0: not yet, and the loop asks again in time.
   * @param splits false for bytes that can only go together: the next ones then wait for longer
   */
  admit(bytes: number, splits: boolean = true): number {
    const lowest = lower(lower(this.#job.bytesPerSecond, this.#root.bytesPerSecond), this.#host.bytesPerSecond);
    if (lowest === 0) return bytes;
    const now = rateTime();
    if (!this.#isOpenAt(now)) return 0;
    const rowBytesMax = Math.floor((lowest * ROW_SECONDS_MAX) / this.#alignBytes) * this.#alignBytes;
    const admitted = splits ? Math.min(bytes, Math.max(this.#alignBytes, rowBytesMax)) : bytes;
    this.#job.charge(admitted, now, this.#waited);
    this.#root.charge(admitted, now, this.#waited);
    this.#host.charge(admitted, now, this.#waited);
    this.#waited = false;
    return admitted;
  }

  /** False if nothing may go yet, and the loop asks again in time: what is done ahead of a row is not done then. */
  isOpen(): boolean {
    return this.#isOpenAt(rateTime());
  }

  #isOpenAt(now: number): boolean {
    const waitMs = Math.max(waitOf(this.#job, now), waitOf(this.#root, now), waitOf(this.#host, now));
    if (waitMs <= 0) return true; // below 0 with all three limits, of which none holds
    this.#waited = true;
    this.#loop.wakeAt(performance.now() + waitMs);
    return false;
  }
}

/** Of two limits, of which 0 is none. */
const lower = (one: number, other: number): number => (one === 0 || (other !== 0 && other < one) ? other : one);

const waitOf = (cell: RateCell, now: number): number => (cell.bytesPerSecond === 0 ? 0 : cell.waitMs(now));
