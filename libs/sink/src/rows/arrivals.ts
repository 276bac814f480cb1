/**
 * Rows of one write that fill up as bytes arrive, from another thread or this one's event loop: those of a row ring. One
 * that the digest still reads is not given back: it must keep its bytes.
 */
import type { FileDigest } from '@penstock/digest';
import type { RingConsumer } from '@penstock/matrix';
import type { RowStock } from './row-stock.ts';

export class Arrivals implements RowStock {
  readonly #ring: RingConsumer;
  readonly #digest: FileDigest | null;
  /** The row that peek() named and nobody has taken; -1 where there is none. */
  #peeked = -1;
  /** Rows that slots carry. */
  #usedCount = 0;
  /** Carried by no slot, and not yet done with by the digest. */
  readonly #undigested: Int32Array;
  #undigestedCount = 0;

  constructor(ring: RingConsumer, rowCount: number, digest: FileDigest | null) {
    this.#ring = ring;
    this.#digest = digest;
    this.#undigested = new Int32Array(digest === null ? 0 : rowCount);
  }

  /** True once the producer has ended and every row of it was taken. */
  get exhausted(): boolean {
    return this.#peeked === -1 && this.#ring.exhausted;
  }

  /** True where a row is named and not yet taken: the limits hold it back. */
  get holdsRow(): boolean {
    return this.#peeked !== -1;
  }

  /** Bytes of the row that peek() named last. */
  get peekedBytes(): number {
    return this.#ring.takenBytes;
  }

  /** The next row that is full, or the last one; where there is none, the ring or the digest wakes the loop. */
  peek(usedMax: number): number {
    if (this.#undigestedCount > 0) this.#collect();
    if (this.#usedCount >= usedMax) return -1; // what is in flight wakes the loop
    if (this.#peeked === -1) this.#peeked = this.#ring.take();
    if (this.#peeked === -1 && this.#undigestedCount > 0) {
      this.#digest!.awaitProgress();
      this.#collect(); // what was done before the digest could know that it is waited for
    }
    return this.#peeked;
  }

  take(): void {
    this.#peeked = -1;
    this.#usedCount += 1;
  }

  /** True if neither a slot nor the digest has a row; the digest wakes the loop where it is the last that does. */
  get isSettled(): boolean {
    if (this.#undigestedCount > 0) this.#digest!.awaitProgress();
    if (this.#undigestedCount > 0) this.#collect();
    return this.#usedCount === 0 && this.#undigestedCount === 0 && this.#peeked === -1;
  }

  /** The digest may still read some: they stay the producer's and this write's. */
  get allFree(): boolean {
    return this.#usedCount === 0;
  }

  put(row: number): void {
    this.#usedCount -= 1;
    this.#giveBack(row);
  }

  #giveBack(row: number): void {
    if (this.#digest === null || this.#digest.isDone(row)) {
      this.#ring.release(row);
    } else {
      this.#undigested[this.#undigestedCount] = row;
      this.#undigestedCount += 1;
    }
  }

  #collect(): void {
    const rows = this.#undigestedCount;
    this.#undigestedCount = 0;
    // Each goes back to where it was, or nearer to the front: none is overwritten before it is looked at.
    for (let index = 0; index < rows; index += 1) this.#giveBack(this.#undigested[index]!);
  }
}
