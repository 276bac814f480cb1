/**
 * What may take as long as a hung disk after a thread's death, off the main thread: io_destroy waits for what is in
 * flight, and closing or removing a file of a hung file system does not return. A thread of its own does both; while it
 * hangs, the rows of the dead thread stay as they are.
 *
 * The decision: libs/README.md#undertaker.
 */
import { setTimeout as startTimer } from 'node:timers';
import { Worker } from 'node:worker_threads';
import type { LeftOpen } from './left-open.ts';

/** What is to be done after a death. */
export type Duty = { number: number } & ({ context: number } | { leftOpen: LeftOpen[] } | { fds: number[] });
/** It is done; `result` is that of io_destroy, or 0. */
export interface Done {
  number: number;
  result: number;
}

/** What the thread posts before it takes its first duty. */
export const UNDERTAKER_UP = 'up';

/** The compiled entry of the thread; the same file from `src/` and from `dist/`. */
const entry = new URL('../../dist/death/undertaker-thread.js', import.meta.url);

/** When the thread could not start, as the process has no descriptor or memory left: after so long it is tried again. */
const RETRY_MS = 500;

export class Undertaker {
  #worker: Worker | null = null;
  #gone: Promise<void> = Promise.resolve();
  readonly #waiting = new Map<number, { duty: Duty; resolve: (result: number) => void }>();
  #count = 0;

  /** Destroys an AIO context, whose thread is gone, once nothing of it is in flight: 0 or -errno. */
  destroy(context: number): Promise<number> {
    return this.#order((number) => ({ number, context }));
  }

  /** Closes, unmaps and removes what attempts left. Their thread's context is destroyed. */
  async closeLeftOpen(leftOpen: LeftOpen[]): Promise<void> {
    if (leftOpen.length > 0) await this.#order((number) => ({ number, leftOpen }));
  }

  async closeDescriptors(fds: number[]): Promise<void> {
    if (fds.length > 0) await this.#order((number) => ({ number, fds }));
  }

  /** True while something has not been done yet. */
  get isBusy(): boolean {
    return this.#waiting.size > 0;
  }

  #order(dutyOf: (number: number) => Duty): Promise<number> {
    const number = (this.#count += 1);
    const duty = dutyOf(number);
    this.#worker ??= this.#start();
    this.#worker.postMessage(duty);
    return new Promise((resolve) => {
      this.#waiting.set(number, { duty, resolve });
    });
  }

  #start(): Worker {
    const worker = new Worker(entry, { execArgv: [], env: {}, trackUnmanagedFds: false });
    let isUp = false;
    worker.on('error', (error) => {
      // What it has begun must not be done twice: a descriptor that it closed may have been given to another file by now.
      if (isUp) throw error;
      startTimer(() => this.#startAgain(), RETRY_MS);
    });
    this.#gone = new Promise((resolve) => {
      worker.once('exit', () => resolve());
    });
    worker.on('message', (message: Done | typeof UNDERTAKER_UP) => {
      if (message === UNDERTAKER_UP) {
        isUp = true;
        return;
      }
      const { number, result } = message;
      const waiting = this.#waiting.get(number);
      this.#waiting.delete(number);
      waiting?.resolve(result);
      if (this.#waiting.size > 0) return;
      this.#worker = null; // deaths are rare: the next has another
      worker.postMessage('end');
    });
    return worker;
  }

  /** Its thread never came up, and has none of its duties. */
  #startAgain(): void {
    this.#worker = this.#start();
    for (const { duty } of this.#waiting.values()) this.#worker.postMessage(duty);
  }

  /** Resolves when its thread is gone. Nothing may be left to do. */
  async close(): Promise<void> {
    await this.#gone;
  }
}
