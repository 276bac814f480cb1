/** Whether the queue has a limit at all, which producers and hosts ask once a second at most. */
import type { CapacityScripts } from './scripts.ts';

/** How long an answer is believed: a limit is heeded a second after it was set. */
const FRESH_MS = 1000;

/** Whether there is a limit, as Redis said last. Without a limit this question is all that is sent. */
export class Lookout {
  readonly #scripts: CapacityScripts;
  #limited = false;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(scripts: CapacityScripts) {
    this.#scripts = scripts;
  }

  /** By the last answer. */
  get limited(): boolean {
    return this.#limited;
  }

  /** Whether the answer is too old to be believed. */
  get stale(): boolean {
    return performance.now() - this.#askedAt > FRESH_MS;
  }

  /** Asks Redis; callers that come meanwhile share the answer. */
  refresh(): Promise<void> {
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = null;
    });
    return this.#asking;
  }

  async #ask(): Promise<void> {
    const askedAt = performance.now();
    this.#limited = await this.#scripts.isLimited();
    this.#askedAt = askedAt;
  }
}
