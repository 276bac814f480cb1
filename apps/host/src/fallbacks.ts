/** Logs why writes do not go the best way: once for each root and reason, and not for each write. */
import type { JobResult } from '@penstock/contract';
import type { Log } from '@penstock/config';

/** So many are logged and remembered: where each write has a reason of its own, memory is bounded. */
const TOLD_MAX = 100;

export class FallbackLog {
  readonly #say: Log;
  readonly #told = new Set<string>();

  constructor(say: Log) {
    this.#say = say;
  }

  note(root: string, { fallbackReason }: Pick<JobResult, 'fallbackReason'>): void {
    if (fallbackReason === undefined) return;
    const text = `root ${root}: ${fallbackReason}`;
    if (this.#told.has(text) || this.#told.size === TOLD_MAX) return;
    this.#told.add(text);
    this.#say(text);
  }
}
