/** Until when a server is waited for: not long for an answer, much longer while it reads its data. */

/** Reading a large append-only file takes minutes; its progress can be seen, so it is waited for. */
const LOAD_MS_MAX = 600_000;

export class AnswerDeadline {
  readonly #begun = performance.now();
  readonly #answerMs: number;
  #answerBy: number;

  /** @param answerMs how long a server may stay silent, in milliseconds */
  constructor(answerMs: number) {
    this.#answerMs = answerMs;
    this.#answerBy = this.#begun + answerMs;
  }

  /** The server answers that it is loading: the time for its answer begins anew. */
  loading(): void {
    this.#answerBy = Math.min(performance.now() + this.#answerMs, this.#begun + LOAD_MS_MAX);
  }

  /** Milliseconds left; 0 once the time is over. */
  leftMs(): number {
    return Math.max(0, this.#answerBy - performance.now());
  }
}
