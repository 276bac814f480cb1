// A host that can only put jobs back would take them faster than the hosts that can write them: it is held back.

/**
 * Longer than the first delay of a job that is put back: by the time that it comes back its host does not look for jobs,
 * and one that waits for jobs gets it. Redis hands a job to who has waited longest.
 */
const PAUSE_MS = 1500;

/** Has whoever put a job back keep its slot for a while; one after the other gets on. */
export class Restraint {
  readonly #held: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** Resolves when the next job may be taken for the one that was put back. */
  hold(): Promise<void> {
    if (this.#ended) return Promise.resolve();
    return new Promise((resolve) => {
      this.#held.push(resolve);
      this.#timer ??= setInterval(() => this.#release(), PAUSE_MS);
    });
  }

  /** What held them has passed. */
  releaseAll(): void {
    while (this.#held.length > 0) this.#release();
  }

  /** Nobody is held any more. */
  end(): void {
    this.#ended = true;
    this.releaseAll();
  }

  #release(): void {
    this.#held.shift()?.();
    if (this.#held.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
