/** The rows of one write in memory: where each begins, and what is done to its bytes before they are written. */
import type { Arena, RowExtent } from '@penstock/matrix';
import type { FileDigest } from '@penstock/digest';
import { type Span, bytesBehind } from '../target/edges.ts';
import type { Target } from '../target/target.ts';

export class RowBytes {
  readonly #arena: Arena;
  readonly #target: Target;
  readonly #span: Span;
  readonly #rowStride: number;
  readonly #digest: FileDigest | null;
  /** null while a producer has brought nothing and the rows belong to other writes. */
  #extent: RowExtent | null;

  /** @param rowStride bytes from one row to the next; 0 if all rows but the padded end are elsewhere, and that is the only one */
  constructor(
    arena: Arena,
    target: Target,
    span: Span,
    rowStride: number,
    digest: FileDigest | null,
    extent: RowExtent | null,
  ) {
    this.#arena = arena;
    this.#target = target;
    this.#span = span;
    this.#rowStride = rowStride;
    this.#digest = digest;
    this.#extent = extent;
  }

  /** From now on the rows are those of `extent`. */
  moveTo(extent: RowExtent): void {
    this.#extent = extent;
  }

  /** Where in the arena `row` begins. */
  startOf(row: number): number {
    return this.#extent!.start + row * this.#rowStride;
  }

  addressOf(row: number): number {
    return this.#arena.address + this.startOf(row);
  }

  /** Bytes at the start of the row at `position` that are not the write's own: of the first row alone. */
  headOf(position: number): number {
    return position === 0 ? this.#span.headBytes : 0;
  }

  /**
   * Fills the first block of the write and the last, which may end at `end` inside it, with what stands around its own
   * bytes; of the row at `position`, which has `length` bytes and is written with `paddedBytes`.
   */
  fillEdges(row: number, position: number, length: number, paddedBytes: number, end: number): void {
    const { head } = this.#span;
    if (head !== null && position === 0) this.#arena.bytes.set(head, this.startOf(row));
    // Another write's bytes must not reach the disk, not even until the truncate.
    if (paddedBytes > length) this.#pad(this.startOf(row), length, paddedBytes, end);
  }

  /** Behind the last byte: what stands there in the file, or zeros. */
  #pad(start: number, length: number, paddedBytes: number, end: number): void {
    const { bytes } = this.#arena;
    bytes.fill(0, start + length, start + paddedBytes);
    const { fd, path, keepsRest, existingBytes, alignment } = this.#target;
    if (!keepsRest) return;
    bytes.set(bytesBehind(fd, path, this.#span.start + end, existingBytes, alignment.offset), start + length);
  }

  /** The write's own bytes of the row, of `length` from its start, which keep as they are until they are summed up. */
  addToDigest(row: number, position: number, length: number): void {
    if (this.#digest === null) return;
    const headBytes = this.headOf(position);
    this.#digest.add(row, this.startOf(row) + headBytes, length - headBytes, position + headBytes);
  }
}
