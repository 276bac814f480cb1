/** Sends the progress of an attempt to its job in Redis. */
import type { WriteProgress } from '@penstock/contract';

/**
 * Carries a job's progress to the queue: one update under way at a time, and of those that come meanwhile only the
 * newest. A slow Redis thus makes progress coarser, never late, and never piles it up.
 */
export class ProgressReporter {
  readonly #send: (progress: WriteProgress) => Promise<void>;
  readonly #onError: (error: unknown) => void;
  #newest: WriteProgress | null = null;
  #waiting: WriteProgress | null = null;
  #sending: Promise<void> | null = null;
  #closed = false;

  /** `onError` is called with the error of each update that failed; it is not sent again. */
  constructor(send: (progress: WriteProgress) => Promise<void>, onError: (error: unknown) => void) {
    this.#send = send;
    this.#onError = onError;
  }

  /** The newest that was reported, sent or not. */
  get newest(): WriteProgress | null {
    return this.#newest;
  }

  /** True if all that was reported has arrived, or could not be sent. */
  get idle(): boolean {
    return this.#sending === null;
  }

  /** Returns at once and never throws. Without effect after `close`. */
  report(progress: WriteProgress): void {
    if (this.#closed) return;
    this.#newest = progress;
    this.#waiting = progress;
    this.#sending ??= this.#sendWaiting();
  }

  /** Resolves when the last one reported has arrived, or could not be sent. A straggler is dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#sending;
  }

  /** Sends no more, not even what waits: the job has ended, or belongs to another worker. */
  drop(): void {
    this.#closed = true;
    this.#waiting = null;
  }

  async #sendWaiting(): Promise<void> {
    while (this.#waiting !== null) {
      const progress = this.#waiting;
      this.#waiting = null;
      try {
        await this.#send(progress);
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#sending = null;
  }
}
