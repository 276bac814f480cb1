/** Errors of connections that break, reported without the repetitions. */

/** How long the same message is not repeated: a lost connection fails again at every try, on every connection. */
const QUIET_MS = 10_000;
const MESSAGES_MAX = 100;

/** Hands errors to `report`, each message at most once in ten seconds, and never throws. */
export class ErrorRelay {
  readonly #report: (error: Error) => void;
  readonly #reportedAt = new Map<string, number>();

  constructor(report: (error: Error) => void) {
    this.#report = report;
  }

  report(caught: unknown): void {
    const error = caught instanceof Error ? caught : new Error(String(caught));
    const now = performance.now();
    const reportedAt = this.#reportedAt.get(error.message);
    if (reportedAt !== undefined && now - reportedAt < QUIET_MS) return;
    if (this.#reportedAt.size >= MESSAGES_MAX) this.#reportedAt.clear();
    this.#reportedAt.set(error.message, now);
    try {
      this.#report(error);
    } catch {
      // a listener that throws must not stop what goes on here
    }
  }
}
