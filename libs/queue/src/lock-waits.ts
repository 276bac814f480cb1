/**
 * Waiting for the lock of a file: nobody tells when it is free, for another process may hold it. So it is tried often
 * while it is worth it: soon at first, ever less often of a job that has waited long, and less often of each where very
 * many wait, so that all of them together try no more than a hundred times a second: a try that is refused costs as much as a small
 * write.
 */
import type { WaitRecord } from './waits.ts';

const DELAY_MS_MIN = 50;
const DELAY_MS_USUAL = 250;
/** Of the time that a job has waited. */
const SHARE = 100;
const SHARE_MS_MAX = 5000;
const CROWD_MS_EACH = 10;
const DELAY_MS_MAX = 30_000;
/** Longer than any of them is put off. */
const SEEN_MS = 35_000;

/** Milliseconds to the next try of a job that waits beside so many others. */
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

/** Which jobs have lately been put off for a lock. */
export class LockWaits {
  /** By job, in time of performance.now(); the oldest first. */
  readonly #seenAt = new Map<string, number>();

  /** How many there are, this one included. */
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
