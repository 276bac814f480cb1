/**
 * Distinguishes a pool whose disk has fallen silent from one that is slow, or waits for something else: something is with
 * the kernel (a thread that does not turn, rows in flight) and nothing comes back, look after look.
 */

/** Looks in a row at which nothing came back: with the host's two a second, three seconds. */
const LOOKS_SILENT = 6;

export class Silence {
  #looks = 0;
  #sinceMs = 0;

  /**
   * What one look has found. Looks are counted, not the time between them: in a process that was stopped and wakes,
   * nothing has moved, and no disk is at fault.
   * @param nowMs of performance.now()
   */
  take(found: { progressed: boolean; stuck: boolean }, nowMs: number): void {
    if (found.progressed || !found.stuck) {
      this.#looks = 0;
      return;
    }
    if (this.#looks === 0) this.#sinceMs = nowMs;
    this.#looks += 1;
  }

  /** Since when nothing has come back, in milliseconds of performance.now(); null if the disk is not silent. */
  get sinceMs(): number | null {
    return this.#looks >= LOOKS_SILENT ? this.#sinceMs : null;
  }
}
