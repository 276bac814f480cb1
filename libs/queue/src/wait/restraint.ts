/**
 * Holds a host back that cannot use a root: it would take that root's jobs faster than the hosts that can write them,
 * only to put them back.
 */

/**
 * Longer than the second by which a job is put off (DELAY_MS_MIN in waits.ts): when it is due again, the slot that had
 * it is still held, and a host that waits for jobs gets it. Redis hands a job to the client that has waited longest.
 */
const PAUSE_MS = 1500;

/**
 * Keeps the slot of each job that was put back taken for a while. Each slot has a timer of its own: if they came free
 * one after the other, a queue full of jobs for a sick root would hold all slots for minutes, and the jobs for other
 * roots behind them would wait.
 */
export class Restraint {
  readonly #held = new Set<() => void>();
  #ended = false;

  /** Resolves when the slot of a job that was put back may take the next one. */
  hold(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      const release = (): void => {
        clearTimeout(timer);
        this.#held.delete(release);
        resolve();
      };
      const timer = setTimeout(release, PAUSE_MS);
      this.#held.add(release);
    });
  }

  /** Ends all holds now: the roots can be used again. */
  releaseAll(): void {
    for (const release of this.#held) release();
  }

  /** Ends all holds, and lets none begin. */
  end(): void {
    this.#ended = true;
    this.releaseAll();
  }
}
