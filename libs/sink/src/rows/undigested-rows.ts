/** Rows that no slot carries any more and the digest still reads: none is filled again before the digest is done with it. */
import type { FileDigest } from '@penstock/digest';

export class UndigestedRows {
  readonly #digest: FileDigest;
  readonly #free: (row: number) => void;
  readonly #rows: Int32Array;
  #count = 0;

  /** @param free called with each row that the digest is done with */
  constructor(digest: FileDigest, rowCount: number, free: (row: number) => void) {
    this.#digest = digest;
    this.#free = free;
    this.#rows = new Int32Array(rowCount);
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Takes a row that no slot carries any more, and frees it now or in a later collect(). */
  put(row: number): void {
    if (this.#digest.isDone(row)) {
      this.#free(row);
    } else {
      this.#rows[this.#count] = row;
      this.#count += 1;
    }
  }

  /** Frees the rows that the digest is done with. */
  collect(): void {
    const rows = this.#count;
    this.#count = 0;
    // Those still unread go back to their place or nearer to the front: none is overwritten before it is looked at.
    for (let index = 0; index < rows; index += 1) this.put(this.#rows[index]!);
  }

  /** The same; and if the digest still reads one of them, it wakes the loop once it is done with it. */
  collectOrWake(): void {
    if (this.#count === 0) return;
    this.#digest.awaitProgress();
    this.collect(); // what was done before the digest could know that it is waited for
  }
}
