/** Rows of a ring given back in any order, and counted in that of the ring: a row is free once all older ones are. */
import { strict as assert } from 'node:assert';

export class ReturnedRows {
  /** Rows given back in the order of the ring so far, modulo 2^32. */
  count = 0;
  #rowCount = 0;
  /** The oldest row that was not given back yet. */
  #oldest = 0;
  /** By row: 1 if it was given back before an older one. */
  #isBack = new Uint8Array(0);

  /** `rowCount` rows follow, none of them given back yet; those before them count as `count`. */
  restart(rowCount: number, count: number): void {
    this.count = count;
    this.#rowCount = rowCount;
    this.#oldest = 0;
    if (this.#isBack.length < rowCount) this.#isBack = new Uint8Array(rowCount);
    else this.#isBack.fill(0);
  }

  /** Takes `row` back. True if `count` has grown by that. */
  take(row: number): boolean {
    assert(this.#isBack[row] === 0, 'a row of a ring was given back twice');
    this.#isBack[row] = 1;
    if (row !== this.#oldest) return false;
    while (this.#isBack[this.#oldest] === 1) {
      this.#isBack[this.#oldest] = 0;
      this.#oldest = this.#oldest + 1 === this.#rowCount ? 0 : this.#oldest + 1;
      this.count = (this.count + 1) | 0;
    }
    return true;
  }
}
