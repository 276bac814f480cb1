/** One producer in the line of those that wait for room in the queue. */

/** The longest delay that setTimeout takes. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Waits until it is woken, its signal is aborted or its time is over. */
export class Waiter {
  readonly arrival: number;
  readonly #signal: AbortSignal | undefined;
  readonly #begunAt: number = performance.now();
  readonly #endsAt: number;
  #woken = false;
  #resolve: (() => void) | null = null;
  readonly #abort = (): void => this.wake();

  constructor(arrival: number, signal: AbortSignal | undefined, waitMsMax: number) {
    this.arrival = arrival;
    this.#signal = signal;
    this.#endsAt = this.#begunAt + waitMsMax;
    signal?.addEventListener('abort', this.#abort, { once: true });
  }

  /** Whether its time is over. */
  get late(): boolean {
    return performance.now() >= this.#endsAt;
  }

  get waitedMs(): number {
    return performance.now() - this.#begunAt;
  }

  wake(): void {
    this.#woken = true;
    this.#resolve?.();
  }

  /** Resolves when woken, after `ms`, or when its time is up. @throws the signal's reason */
  async next(ms: number = Number.POSITIVE_INFINITY): Promise<void> {
    const leftMs = this.#endsAt - performance.now();
    if (!this.#woken && leftMs > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
        timer = setTimeout(resolve, Math.min(ms, leftMs + 1, TIMER_MS_MAX));
      });
      clearTimeout(timer);
      this.#resolve = null;
    }
    this.#woken = false;
    this.#signal?.throwIfAborted();
  }

  end(): void {
    this.#signal?.removeEventListener('abort', this.#abort);
  }
}
