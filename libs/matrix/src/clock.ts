/** The clock that words in shared memory are dated by. */
import { performance } from 'node:perf_hooks';

/** Milliseconds of the monotonic clock: the same in every thread and process of the machine, and without allocating. */
export function monotonicMs(): number {
  return threadStartedMs + performance.now();
}

// performance.now() begins anew in every thread. process.hrtime() does not, but makes an array each time.
const [seconds, nanoseconds] = process.hrtime();
const threadStartedMs: number = seconds * 1000 + nanoseconds / 1_000_000 - performance.now();
