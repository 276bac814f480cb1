/**
 * Frees the blocks of large files for the writer threads of one pool, by a thread of its own: the kernel frees them inside
 * the call, and discards them there if the mount says so. Each pool has its own, so that a file system that hangs holds up
 * no other's. The thread is started with the first such file, and ends when there has been none for a while.
 *
 * The decision: libs/README.md#freed-elsewhere.
 */
import { setTimeout as startTimer } from 'node:timers';
import { Worker } from 'node:worker_threads';
import { FreeingTable } from '@penstock/matrix';

/** The workerData of the thread. */
export interface FreerSetup {
  threadSlots: number;
  /** Of the FreeingTable. */
  words: SharedArrayBuffer;
}

/** What the thread posts before it looks for the first time. */
export const FREER_UP = 'up';
/** What it posts after each file. */
export const FREED = 'freed';

/** The compiled entry of the thread; the same file from `src/` and from `dist/`. */
const entry = new URL('../../dist/freeing/freer-thread.js', import.meta.url);

/** How long the thread is kept without work: to start one costs a tenth of a second of processor time. */
const IDLE_MS = 10_000;
/** When the thread could not start, as the process has no descriptor or memory left: after so long it is tried again. */
const RETRY_MS = 500;

export class Freer {
  readonly table: FreeingTable;
  readonly #setup: FreerSetup;
  readonly #onFreed: () => void;
  #worker: Worker | null = null;
  #gone: Promise<void> = Promise.resolve();
  #idleTimer: NodeJS.Timeout | undefined;
  /** Who waits for the next file to be freed. */
  #waiting: (() => void)[] = [];

  /** @param onFreed called after each file */
  constructor(threadSlots: number, onFreed: () => void) {
    this.table = new FreeingTable(threadSlots);
    this.#setup = { threadSlots, words: this.table.buffer };
    this.#onFreed = onFreed;
  }

  /** To be called when there is something new in the table, or a thread that may have put it there has died. */
  look(): void {
    if (!this.table.isBusy) return;
    clearTimeout(this.#idleTimer);
    this.#worker ??= this.#start();
    this.#worker.postMessage('look');
  }

  /** Resolves when the next file is freed; null if none waits for that. */
  whenFreed(): Promise<void> | null {
    if (!this.table.isBusy) return null;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #start(): Worker {
    const worker = new Worker(entry, { workerData: this.#setup, execArgv: [], env: {}, trackUnmanagedFds: false });
    let isUp = false;
    worker.on('error', (error) => {
      // What it has taken must not be taken again: a descriptor that it closed may have been given to another file by now.
      if (isUp) throw error;
      this.#worker = null;
      startTimer(() => this.look(), RETRY_MS);
    });
    this.#gone = new Promise((resolve) => {
      worker.once('exit', () => resolve());
    });
    worker.on('message', (message: typeof FREER_UP | typeof FREED) => {
      if (message === FREED) {
        this.#freed();
        return;
      }
      isUp = true;
      // Not before: a thread that is terminated while it loads koffi aborts the process. Afterwards what is not freed yet is
      // freed as the process ends.
      worker.unref();
    });
    return worker;
  }

  #freed(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
    this.#onFreed();
    if (this.table.isBusy) return;
    clearTimeout(this.#idleTimer); // several messages may come once nothing is left
    this.#idleTimer = startTimer(() => this.#end(), IDLE_MS).unref();
  }

  #end(): void {
    clearTimeout(this.#idleTimer);
    this.#worker?.postMessage('end');
    this.#worker = null;
  }

  /** Resolves when nothing is left to be freed and the thread is gone. Nothing new may come. */
  async close(): Promise<void> {
    this.look();
    for (let freed = this.whenFreed(); freed !== null; freed = this.whenFreed()) {
      this.#worker?.ref();
      await freed;
    }
    this.#worker?.ref();
    this.#end();
    await this.#gone;
  }
}
