// A host that can only put jobs back would take them faster than the hosts that can write them: it is held back.

/**
 * Longer than the first delay of a job that is put back: by the time that it comes back its host does not look for jobs,
 * and one that waits for jobs gets it. Redis hands a job to who has waited longest.
 */
const PAUSE_MS = 1500;

/**
 * Has whoever put a job back keep its slot for a while. Each for its own while: where one got on after the other, a queue
 * full of jobs for a sick root would hold all slots of its host for minutes, and what waits behind them is for well ones.
 */
export class Restraint {
  readonly #held = new Set<() => void>();
  #ended = false;

  /** Resolves when the next job may be taken for the one that was put back. */
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

  /** What held them has passed. */
  releaseAll(): void {
    for (const release of this.#held) release();
  }

  /** Nobody is held any more. */
  end(): void {
    this.#ended = true;
    this.releaseAll();
  }
}
