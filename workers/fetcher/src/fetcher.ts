/**
 * The near side of the fetcher's thread: started with the first url, and again if it should have died.
 * The decision: libs/README.md#fetcher-thread.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { UrlSource } from '@penstock/contract';
import { type RingInlet, RingProducer } from '@penstock/matrix';
import { startError } from './errors.ts';
import { FETCHER_READY, type FetcherSetup, type FetchTask, type ToFetcher, fetcherEntry } from './protocol.ts';

/** What the thread may take to leave once nothing is written any more: a name may still be looked up. */
const LEAVE_MS = 5000;

export interface FetcherOptions extends FetcherSetup {
  /** Called when the thread died; its writes fail by themselves, as retryable. */
  onThreadDeath?: (error: Error) => void;
  /** The thread's entry; for tests that need it to die. */
  entry?: URL;
}

/** One url for one write. */
export interface Fetch {
  source: UrlSource;
  /** The size that the request names, in bytes. */
  size?: number | undefined;
  /** The ring of the write; the port is given away. */
  inlet: RingInlet;
}

export class Fetcher {
  readonly #options: FetcherOptions;
  #worker: Worker | null = null;
  #isReady = false;
  /** Urls that came before the thread was up: if it cannot be started, their writes fail by the reason. */
  #early: FetchTask[] = [];

  constructor(options: FetcherOptions) {
    this.#options = options;
  }

  /**
   * Brings the bytes of a url into the rows of a write. Its end is the write's: that fails with what the fetch
   * fails with, and a write that ends otherwise ends the fetch.
   */
  fetch({ source, size, inlet }: Fetch): void {
    const { url, redirects, timeoutMs } = source;
    const order = { url, redirects, timeoutMs, ...(size === undefined ? {} : { size }) };
    const task: FetchTask = { order, inlet };
    this.#worker ??= this.#start();
    if (this.#isReady) this.#hand(this.#worker, task);
    else this.#early.push(task);
  }

  #hand(worker: Worker, task: FetchTask): void {
    worker.postMessage(task satisfies ToFetcher, [task.inlet.port]);
  }

  #start(): Worker {
    const { urlAllow, entry, onThreadDeath } = this.#options;
    const workerData: FetcherSetup = { urlAllow };
    // Whatever the program preloads, by its options or by NODE_OPTIONS, is not loaded into this thread.
    const { NODE_OPTIONS: _preloads, ...env } = { ...process.env };
    const worker = new Worker(entry ?? fetcherEntry, { workerData, execArgv: [], env });
    this.#isReady = false;
    worker.once('message', (message: unknown) => {
      if (message !== FETCHER_READY || this.#worker !== worker) return;
      this.#isReady = true;
      for (const task of this.#early.splice(0)) this.#hand(worker, task);
    });
    worker.once('exit', () => this.#forget(worker, new Error('the thread ended')));
    worker.on('error', (error: Error) => {
      this.#forget(worker, error); // at once: what is posted to it now is lost, and its write fails as abandoned
      onThreadDeath?.(error);
    });
    return worker;
  }

  #forget(worker: Worker, why: Error): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    for (const { order, inlet } of this.#early.splice(0)) new RingProducer(inlet).fail(startError(why, order.url));
  }

  /** Ends the thread. The writes whose bytes it brings must be over. */
  async close(): Promise<void> {
    const worker = this.#worker;
    if (worker === null) return;
    const gone = once(worker, 'exit');
    worker.postMessage('end' satisfies ToFetcher);
    // Asked first: terminated while it still loads koffi, a thread aborts the process.
    const late = setTimeout(() => void worker.terminate(), LEAVE_MS);
    await gone;
    clearTimeout(late);
  }
}
