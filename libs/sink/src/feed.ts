/** What brings bytes into the rows of a write, in file order: the port between the pipeline and its three kinds. */
import type { Origin } from './origin.ts';

export interface RowFeed {
  /** Bytes of the file; null while they have not all arrived and none was declared. */
  readonly size: number | null;
  /** True once every row was taken: with nothing in flight, all is written. */
  readonly exhausted: boolean;
  /** Bytes passed over so far because they are holes and stay holes. */
  readonly holeBytes: number;
  /** The file that a row is to be read from once it is taken; null where its bytes are in it by then. */
  readonly origin: Origin | null;
  /**
   * Takes the next row for `slot`: which row, where in the file its bytes go and how many they are stand in the slot
   * table then. False where there is none now. Allocates nothing.
   */
  take(slot: number): boolean;
  /** `row` may be used again. */
  release(row: number): void;
  /**
   * Once all is written: the size that the file has come to.
   * @throws RequestError where another was declared
   */
  settle(): number;
  /** Takes no more. Nothing may be in flight. */
  close(): void;
  /** True once nobody else touches the rows any more, after close(). */
  readonly quiet: boolean;
}

/** Rows of one write that carry nothing now, used again in any order. */
export class FreeRows {
  /** The one to be taken next last. */
  readonly #rows: Int32Array;
  #count: number;

  constructor(rowCount: number) {
    this.#rows = Int32Array.from({ length: rowCount }, (_, index) => rowCount - 1 - index);
    this.#count = rowCount;
  }

  /** -1 where every row is in use. */
  take(): number {
    if (this.#count === 0) return -1;
    this.#count -= 1;
    return this.#rows[this.#count]!;
  }

  release(row: number): void {
    this.#rows[this.#count] = row;
    this.#count += 1;
  }
}
