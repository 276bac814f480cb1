/** The port between the writer and whatever fills its rows: computed patterns here, their doubles in tests. */

/**
 * A file's content, computable at any position.
 *
 * A source serves one matrix at a time. What it writes into a row is spread over two calls, so that the second, made for
 * every row written, has as little as possible to do. Between the fills of a prepared row nothing else may write into it.
 *
 * Positions are bytes from the start of the file, any integer from 0; position + length is at most 2^53-1. Rows start
 * at multiples of 4 bytes in memory for speed; any start gives the right bytes.
 */
export interface Source {
  /** True if the bytes do not depend on the position: then fill does nothing, as prepareRow has done all. */
  readonly constant: boolean;
  /** Writes what does not depend on the position into one row, once, before its first fill. Offsets into `bytes`. */
  prepareRow(bytes: Uint8Array, rowStart: number, rowBytes: number): void;
  /**
   * Makes bytes[rowStart, rowStart + length) equal the source's bytes at `position`, after prepareRow of that row.
   * Allocates nothing, unless the documentation of the pattern names it.
   */
  fill(bytes: Uint8Array, rowStart: number, length: number, position: number): void;
}

/** A source that can also write anywhere at once, without a prepared row, and disturbs none. */
export interface DirectSource extends Source {
  /** Makes bytes[start, start + length) equal the source's bytes at `position`. May allocate. */
  write(bytes: Uint8Array, start: number, length: number, position: number): void;
}
