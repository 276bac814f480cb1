/** The rows of one write that no slot carries. A row that the digest still reads is not free: it has to keep its bytes. */
import type { FileDigest } from '@penstock/digest';
import { UndigestedRows } from './undigested-rows.ts';

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
  /** The last one first. */
  readonly #free: Int32Array;
  #freeCount: number;
  /** null if there is no digest. */
  readonly #undigested: UndigestedRows | null;

  constructor(rowCount: number, digest: FileDigest | null) {
    this.#rowCount = rowCount;
    this.#free = Int32Array.from({ length: rowCount }, (_, index) => rowCount - 1 - index);
    this.#freeCount = rowCount;
    this.#undigested = digest === null ? null : new UndigestedRows(digest, rowCount, (row) => this.#putFree(row));
  }

  /**
   * The free row that take() will give out, while fewer than `usedMax` are in use; else -1, and the digest wakes the loop
   * if it has the rows.
   */
  peek(usedMax: number): number {
    this.#undigested?.collect();
    if (!this.#has(usedMax)) this.#undigested?.collectOrWake();
    return this.#has(usedMax) ? this.#free[this.#freeCount - 1]! : -1;
  }

  /** Takes the row that peek() named. */
  take(): void {
    this.#freeCount -= 1;
  }

  /** True if no row is in use; the digest wakes the loop if it is the last that reads one. */
  get allFree(): boolean {
    this.#undigested?.collectOrWake();
    return this.#freeCount === this.#rowCount;
  }

  /** Gives back a row that no slot carries any more. */
  put(row: number): void {
    if (this.#undigested === null) this.#putFree(row);
    else this.#undigested.put(row);
  }

  #putFree(row: number): void {
    this.#free[this.#freeCount] = row;
    this.#freeCount += 1;
  }

  #has(usedMax: number): boolean {
    return this.#freeCount > 0 && this.#rowCount - this.#freeCount < usedMax;
  }
}
