/** What a soak found: each promise that was not kept, and the figures that show what was tried. */

export class Findings {
  readonly violations: string[] = [];
  readonly #say: (line: string) => void;

  /** `say` is told of a violation at once, and of what else is said. */
  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  say(line: string): void {
    this.#say(line);
  }

  /** Tells of a violation where `kept` is false; returns `kept`. */
  demand(kept: boolean, promise: string): boolean {
    if (!kept) {
      this.violations.push(promise);
      this.#say(`VIOLATION ${promise}`);
    }
    return kept;
  }
}
