/** Logs why writes do not go the best way: once for each root and reason, and not for each write. */
import type { ShortResult } from '@penstock/contract';
import type { Log } from '@penstock/config';

/** Reasons that are logged and remembered: memory stays bounded even if each write has a reason of its own. */
const LOGGED_MAX = 100;

export class FallbackLog {
  readonly #log: Log;
  readonly #logged = new Set<string>();

  constructor(log: Log) {
    this.#log = log;
  }

  note(root: string, { fallbackReason }: Pick<ShortResult, 'fallbackReason'>): void {
    if (fallbackReason === undefined) return;
    const text = `root ${root}: ${fallbackReason}`;
    if (this.#logged.has(text) || this.#logged.size === LOGGED_MAX) return;
    this.#logged.add(text);
    this.#log(text);
  }
}
