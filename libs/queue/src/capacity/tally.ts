/** The host's side of the limit: jobs that have ended count no more. */
import { Lookout } from './lookout.ts';
import type { CapacityScripts } from './scripts.ts';

/** Releases the bytes of jobs that have ended: all of one turn in one command, and none if there is no limit. */
export class CapacityTally {
  readonly #scripts: CapacityScripts;
  readonly #lookout: Lookout;
  readonly #onError: (error: unknown) => void;
  #ended: string[] = [];

  constructor(scripts: CapacityScripts, onError: (error: unknown) => void) {
    this.#scripts = scripts;
    this.#lookout = new Lookout(scripts);
    this.#onError = onError;
    this.#refresh();
  }

  /** `field` names the job as it was admitted. Never waits: what is missed here is swept by the producer that misses it. */
  jobEnded(field: string): void {
    if (this.#lookout.stale) this.#refresh();
    if (!this.#lookout.limited) return;
    if (this.#ended.length === 0) setImmediate(() => this.#release());
    this.#ended.push(field);
  }

  #refresh(): void {
    this.#lookout.refresh().catch(this.#onError);
  }

  #release(): void {
    const ended = this.#ended;
    this.#ended = [];
    this.#scripts.release(ended).catch(this.#onError);
  }
}
