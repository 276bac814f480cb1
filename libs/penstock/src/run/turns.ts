/** Which write may run next: as many run at once as the threads take, and further ones wait in a line. */
import { AbortError, throwIfAborted } from './abort.ts';

export class Turns {
  #free: number;
  readonly #line: (() => void)[] = [];
  /** How many run at once. */
  readonly count: number;
  /** What runs, and which options set how many: for the note of a write that waits. */
  readonly what: string;

  constructor(count: number, what: string) {
    this.#free = count;
    this.count = count;
    this.what = what;
  }

  /** True if the next one has to wait. */
  get areTaken(): boolean {
    return this.#free === 0;
  }

  /** Resolves when it is the caller's turn, which ends with release(). Rejects with AbortError. */
  async take(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const begin = (): void => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        this.#line.splice(this.#line.indexOf(begin), 1);
        reject(new AbortError(signal!));
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#line.push(begin);
    });
  }

  release(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#free += 1;
    else next(); // handed over directly, so that a newcomer cannot take it
  }
}
