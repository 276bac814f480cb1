/** When an idle pool parks its threads: a pool whose threads are awake keeps its process alive. */
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers';

export interface ParkingOptions {
  /** After so many milliseconds without a write the threads are parked; absent: never. */
  idleMs: number | undefined;
  isIdle: () => boolean;
  park: () => void;
}

export class Parking {
  readonly #options: ParkingOptions;
  #timer: NodeJS.Timeout | undefined;
  #idleSinceMs = 0;

  constructor(options: ParkingOptions) {
    this.#options = options;
  }

  /** The pool is idle from now on. */
  begin(): void {
    const { idleMs } = this.#options;
    if (idleMs === undefined) return;
    this.#idleSinceMs = performance.now();
    // A new timer per pause would cost more than a small write: the one that runs looks how long the last pause is.
    this.#timer ??= setTimeout(this.#look, idleMs);
  }

  /** The pool ends: it parks no more. */
  end(): void {
    clearTimeout(this.#timer);
  }

  readonly #look = (): void => {
    this.#timer = undefined;
    const { idleMs, isIdle, park } = this.#options;
    if (!isIdle()) return; // begin() is called again after the last write
    const leftMs = this.#idleSinceMs + idleMs! - performance.now();
    if (leftMs > 1) this.#timer = setTimeout(this.#look, leftMs);
    else park();
  };
}
