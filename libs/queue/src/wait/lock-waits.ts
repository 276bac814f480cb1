/**
 * How long a job waits between two tries for the lock of a file. Another process may hold the lock, and the kernel does
 * not report when it is free. So a job tries soon at first, less often the longer it has waited, and less often the
 * more jobs wait: all of them together try about a hundred times a second, for a refused try costs as much as a small
 * write.
 */
import type { WaitRecord } from './waits.ts';

const DELAY_MS_MIN = 50;
const DELAY_MS_USUAL = 250;
/** A job waits for this fraction (1/100) of the time that it has waited already. */
const SHARE = 100;
const SHARE_MS_MAX = 5000;
const CROWD_MS_EACH = 10;
const DELAY_MS_MAX = 30_000;
/** A job that was not noted for this long waits no more: no delay is longer. */
const SEEN_MS = 35_000;

/**
 * Milliseconds to the next try of a job, of `waiting` that wait on this host. `waitMsMax` is how long it may wait in
 * all; `random` is from 0 up to 1.
 */
export function nextLockDelayMs(
  { tries, waitedMs }: WaitRecord,
  waiting: number,
  waitMsMax: number,
  random: number,
): number {
  const soon = Math.min(DELAY_MS_USUAL, DELAY_MS_MIN * 2 ** Math.min(tries, 10));
  const patient = Math.min(SHARE_MS_MAX, waitedMs / SHARE);
  const crowded = Math.min(DELAY_MS_MAX, waiting * CROWD_MS_EACH);
  // Up to a quarter less: they must not all come at one moment.
  const spread = Math.round(Math.max(soon, patient, crowded) * (1 - random / 4));
  return Math.min(spread, Math.max(1, waitMsMax - waitedMs));
}

/** Counts the jobs of this host that wait for locks. */
export class LockWaits {
  /** By job, in time of performance.now(); the oldest first. */
  readonly #seenAt = new Map<string, number>();

  /** Notes that the job waits; returns how many do, this one included. */
  note(jobId: string): number {
    const now = performance.now();
    this.#seenAt.delete(jobId); // to the end of the order
    this.#seenAt.set(jobId, now);
    for (const [id, at] of this.#seenAt) {
      if (now - at < SEEN_MS) break;
      this.#seenAt.delete(id);
    }
    return this.#seenAt.size;
  }
}
