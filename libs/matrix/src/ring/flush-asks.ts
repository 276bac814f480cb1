/** The flushes that a producer has asked for, and who waits for each: awaited, or with the thread blocked. */
import { performance } from 'node:perf_hooks';
import { FLUSHES_ASKED, FLUSHES_DONE, STANDS } from './words.ts';

/** How long a blocked thread sleeps on one word before it looks at the others. */
export const BLOCKED_LOOK_MS = 10;

export class FlushAsks {
  readonly #words: Int32Array;
  #waiting: { asked: number; resolve: (flushed: boolean) => void }[] = [];

  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Asks for a flush of what was pushed so far: its number. The writer thread is to be woken then. */
  ask(): number {
    const asked = (Atomics.load(this.#words, FLUSHES_ASKED) + 1) | 0;
    Atomics.store(this.#words, FLUSHES_ASKED, asked);
    return asked;
  }

  /** True while somebody awaits an answer. */
  get areAwaited(): boolean {
    return this.#waiting.length > 0;
  }

  /** Resolves, in resolveAnswered(), with true once flush `asked` is answered, and with false if the write ends before. */
  answered(asked: number): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push({ asked, resolve });
    });
  }

  /** Resolves who awaits a flush that is answered by now, and all of them if the write has `closed`. */
  resolveAnswered(closed: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) {
      if (this.#isAnswered(each.asked)) each.resolve(true);
      else if (closed) each.resolve(false);
      else this.#waiting.push(each);
    }
  }

  /** Blocks the thread until flush `asked` is answered, the file stands, or `deadline` (of performance.now()) is over. */
  block(asked: number, deadline: number): void {
    const words = this.#words;
    for (;;) {
      const done = Atomics.load(words, FLUSHES_DONE);
      const leftMs = deadline - performance.now();
      if (this.#isAnswered(asked) || Atomics.load(words, STANDS) === 1 || leftMs <= 0) return;
      // In slices: the other word may be stored between the look at it and the wait.
      Atomics.wait(words, FLUSHES_DONE, done, Math.min(leftMs, BLOCKED_LOOK_MS));
    }
  }

  #isAnswered(asked: number): boolean {
    return ((Atomics.load(this.#words, FLUSHES_DONE) - asked) | 0) >= 0;
  }
}
