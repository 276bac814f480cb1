/**
 * A write's wait for space that is becoming free: the write goes on when it has it, and all others of the thread meanwhile.
 * It ends as any want of space does if nothing is freed any more, as on a device that hangs, or others take what is freed.
 */
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import type { AioLoop } from '@penstock/aio';
import type { Device } from '@penstock/disk';
import type { Freeing } from '../device/freeing.ts';

const { EDQUOT, ENOSPC } = constants.errno;

/** How long it goes on in all. What then still finds no space waits in the queue; a stream fails. */
const WAIT_MS_MAX = 60_000;
/** XFS frees the blocks of a closed file a moment later: for so long they may still come, looked for as often. */
const LATE_MS = 500;
const LATE_LOOK_MS = 20;

/** What of the thread it needs. */
export interface SpaceThread {
  readonly freeing: Freeing;
  readonly loop: Pick<AioLoop, 'wakeAt'>;
}

/** True of what ends by itself while blocks are freed. */
export const isWantOfSpace = (errno: number): boolean => errno === -ENOSPC || errno === -EDQUOT;

/** The wait of one write, also when it waits several times. */
export class SpaceWait {
  readonly #freeing: Freeing;
  readonly #loop: Pick<AioLoop, 'wakeAt'>;
  readonly #device: Device;
  #waits = false;
  #beganAt = 0;
  /** How often something had been freed when space lacked last, and when that was seen first. */
  #freed = 0;
  #freedAt = 0;
  /** When it is tried again without anything being freed. */
  #againAt = Number.POSITIVE_INFINITY;

  constructor({ freeing, loop }: SpaceThread, device: Device) {
    this.#freeing = freeing;
    this.#loop = loop;
    this.#device = device;
  }

  /**
   * To be called in a lane's prepare(): calls `reserves`, unless nothing was freed since space lacked last.
   * @param reserves returns 0 or more, or -errno
   * @returns what it returned; null while the write waits: it is asked again when something is freed, or in time
   */
  attempt(reserves: () => number): number | null {
    if (this.#waits && this.#isIdle(performance.now())) return null;
    for (;;) {
      const freed = this.#freeing.freedCount;
      const result = reserves();
      if (!isWantOfSpace(result)) {
        this.#waits = false;
        return result;
      }
      const isUnderWay = this.#freeing.isUnderWay(this.#device);
      if (this.#freeing.freedCount !== freed) continue; // it may have become free since the call failed
      const now = performance.now();
      if (this.#waits && freed !== this.#freed) this.#freedAt = now;
      const isLate = this.#waits && now < this.#freedAt + LATE_MS;
      if (!isUnderWay && !isLate) return result;
      if (!this.#waits) this.#beganAt = this.#freedAt = now;
      this.#waits = true;
      this.#freed = freed;
      this.#againAt = isUnderWay ? Number.POSITIVE_INFINITY : now + LATE_LOOK_MS;
      return this.#isIdle(now) ? null : result;
    }
  }

  /** True if nothing has been freed since, and it is not yet time to try again or to give up. */
  #isIdle(now: number): boolean {
    const until = Math.min(this.#againAt, this.#freedAt + this.#freeing.stalledMs, this.#beganAt + WAIT_MS_MAX);
    if (now >= until || this.#freeing.freedCount !== this.#freed) return false;
    this.#loop.wakeAt(until);
    return true;
  }
}
