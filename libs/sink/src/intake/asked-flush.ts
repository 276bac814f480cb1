/** The flush that a producer asks for: which rows it waits for, and when it is answered. */
import type { RingConsumer } from '@penstock/matrix';
import type { Arrivals } from '../rows/arrivals.ts';

export class AskedFlush {
  readonly #ring: RingConsumer;
  readonly #arrivals: Arrivals;
  /** True from the moment at which a request was seen to its answer. */
  isUnderWay = false;
  /** The row that was partial when it was asked for has become full, and is one of those it waits for. */
  coversFullRow = false;
  /** Requests answered, modulo 2^32, and those that the flush under way answers. */
  #answered = 0;
  #answering = 0;
  /** How many full rows are to be taken first. */
  #goal = 0;

  constructor(ring: RingConsumer, arrivals: Arrivals) {
    this.#ring = ring;
    this.#arrivals = arrivals;
  }

  /** True while no further row may begin: what came before the request is let end first. */
  get holdsRows(): boolean {
    const asked = this.#ring.flushesAsked; // first: the rows counted below are all that came before
    if (asked === this.#answered || !this.#ring.isFilling) return false;
    if (!this.isUnderWay) {
      this.isUnderWay = true;
      this.coversFullRow = false;
      this.#answering = asked;
      this.#goal = this.#ring.filledCount;
    }
    return this.#ring.takenCount === this.#goal && !this.#arrivals.holdsRow;
  }

  /** True once, if the partial row has become full: it is waited for as well, and no other after it. */
  coverFullRow(): boolean {
    if (this.coversFullRow || this.#ring.filledCount === this.#goal) return false;
    this.#goal = (this.#goal + 1) | 0;
    this.coversFullRow = true;
    return true;
  }

  /** All that was asked for before it began is answered at once. */
  answer(): void {
    this.isUnderWay = false;
    this.#answered = this.#answering;
    this.#ring.answerFlushes(this.#answered);
  }
}
