/** What crosses between the thread that takes jobs and the fetcher: plain data, and the ports of rings. */
import type { RingInlet } from '@penstock/matrix';
import type { FetchOrder } from './order.ts';

/** The workerData of the fetcher's thread. */
export interface FetcherSetup {
  /** What --url-allow names. */
  urlAllow: readonly string[];
}

/** One url for one write, which decides at which byte it begins and puts that into the ring with its rows. */
export interface FetchTask {
  order: FetchOrder;
  /** Its port is transferred. */
  inlet: RingInlet;
}

/** 'end': nothing more will come, and all writes are over. */
export type ToFetcher = FetchTask | 'end';

/** The thread's first message: it can take urls. */
export const FETCHER_READY = 'ready';

/** The compiled entry of the fetcher's thread; the same file from `src/` and from `dist/`. */
export const fetcherEntry: URL = new URL('../dist/worker.js', import.meta.url);
