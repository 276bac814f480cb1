/** How long the same message is not told again: a lost connection repeats itself on every try, on every connection. */
const quietMs = 10_000;
const messagesMax = 100;

/** Hands errors to whoever is responsible, each message at most once in ten seconds, and never throws. */
export class ErrorRelay {
  readonly #tell: (error: Error) => void;
  readonly #toldAt = new Map<string, number>();

  constructor(tell: (error: Error) => void) {
    this.#tell = tell;
  }

  report(caught: unknown): void {
    const error = caught instanceof Error ? caught : new Error(String(caught));
    const now = performance.now();
    const toldAt = this.#toldAt.get(error.message);
    if (toldAt !== undefined && now - toldAt < quietMs) return;
    if (this.#toldAt.size >= messagesMax) this.#toldAt.clear();
    this.#toldAt.set(error.message, now);
    try {
      this.#tell(error);
    } catch {
      // who cannot bear to be told is not told
    }
  }
}
