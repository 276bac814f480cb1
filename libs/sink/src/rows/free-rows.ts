/** The rows of one write that no slot carries. A row that the digest still reads is not free: it has to keep its bytes. */
import type { FileDigest } from '@penstock/digest';

/** What hands out the rows of one write, and takes them back from the slots that carried them. */
export interface RowStock {
  /** The row that take() will give out, while fewer than `usedMax` are in use; else -1. */
  peek(usedMax: number): number;
  /** Takes the row that peek() named. */
  take(): void;
  /** True if no row is in use. */
  readonly allFree: boolean;
  /** No slot carries `row` any more. */
  put(row: number): void;
}

export class FreeRows implements RowStock {
  readonly #rowCount: number;
  readonly #digest: FileDigest | null;
  /** The last one first. */
  readonly #free: Int32Array;
  #freeCount: number;
  /** Carried by no slot, and not yet done with by the digest. */
  readonly #undigested: Int32Array;
  #undigestedCount = 0;

  constructor(rowCount: number, digest: FileDigest | null) {
    this.#rowCount = rowCount;
    this.#digest = digest;
    this.#free = Int32Array.from({ length: rowCount }, (_, index) => rowCount - 1 - index);
    this.#freeCount = rowCount;
    this.#undigested = new Int32Array(digest === null ? 0 : rowCount);
  }

  /**
   * The free row that take() will give out, while fewer than `usedMax` are in use; else -1, and the digest wakes the loop
   * if it has the rows.
   */
  peek(usedMax: number): number {
    if (this.#undigestedCount > 0) this.#collect();
    if (!this.#has(usedMax)) this.#awaitDigest();
    return this.#has(usedMax) ? this.#free[this.#freeCount - 1]! : -1;
  }

  /** Takes the row that peek() named. */
  take(): void {
    this.#freeCount -= 1;
  }

  /** True if no row is in use; the digest wakes the loop if it is the last that reads one. */
  get allFree(): boolean {
    this.#awaitDigest();
    return this.#freeCount === this.#rowCount;
  }

  /** Gives back a row that no slot carries any more. */
  put(row: number): void {
    if (this.#digest === null || this.#digest.isDone(row)) {
      this.#free[this.#freeCount] = row;
      this.#freeCount += 1;
    } else {
      this.#undigested[this.#undigestedCount] = row;
      this.#undigestedCount += 1;
    }
  }

  #awaitDigest(): void {
    if (this.#undigestedCount === 0) return;
    this.#digest!.awaitProgress();
    this.#collect(); // what was done before the digest could know that it is waited for
  }

  #has(usedMax: number): boolean {
    return this.#freeCount > 0 && this.#rowCount - this.#freeCount < usedMax;
  }

  #collect(): void {
    const rows = this.#undigestedCount;
    this.#undigestedCount = 0;
    // Those still unread go back to their place or nearer to the front: none is overwritten before it is looked at.
    for (let index = 0; index < rows; index += 1) this.put(this.#undigested[index]!);
  }
}
