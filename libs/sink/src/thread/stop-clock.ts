/** One timer per thread that wakes the loop for writes that wait for bytes: they would not notice otherwise that they are to stop. */
import { clearInterval, setInterval } from 'node:timers';
import type { AioLoop } from '@penstock/aio';

const STOP_CHECK_MS = 100;

/** The timer. */
export class StopClock {
  readonly #loop: Pick<AioLoop, 'wake'>;
  #count = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(loop: Pick<AioLoop, 'wake'>) {
    this.#loop = loop;
  }

  /** One more write waits for bytes, until remove(). */
  add(): void {
    this.#count += 1;
    this.#timer ??= setInterval(() => this.#loop.wake(), STOP_CHECK_MS);
  }

  remove(): void {
    this.#count -= 1;
    if (this.#count > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
