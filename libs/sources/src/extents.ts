/** A file put together from extents: each is a piece of a pattern's bytes, and what lies between them is zeros. */
import type { Extent } from '@penstock/contract';
import { createPatternSource } from './patterns/pattern.ts';
import type { DirectSource } from './source.ts';

interface Piece {
  offset: number;
  end: number;
  source: DirectSource;
}

/**
 * The extents' bytes wherever one lies, zeros elsewhere. An extent's bytes count from its own beginning: what stands at
 * its `offset` in the file is the first byte of its source.
 */
export class ExtentsSource implements DirectSource {
  readonly constant = false;
  /** By offset; none overlaps another, so by end too. */
  readonly #pieces: readonly Piece[];

  /** @param extents in any order, none overlapping another */
  constructor(extents: readonly Extent[]) {
    this.#pieces = extents
      .map(({ offset, size, source: { pattern, seed } }) => ({
        offset,
        end: offset + size,
        source: createPatternSource(pattern, seed),
      }))
      .toSorted((one, other) => one.offset - other.offset);
  }

  prepareRow(): void {
    // Which extents a row meets depends on its position.
  }

  fill(bytes: Uint8Array, rowStart: number, length: number, position: number): void {
    this.write(bytes, rowStart, length, position);
  }

  write(bytes: Uint8Array, start: number, length: number, position: number): void {
    const end = position + length;
    let at = position;
    for (let index = this.#firstEndingAfter(position); at < end; index += 1) {
      const piece = this.#pieces[index];
      const from = Math.min(piece?.offset ?? end, end);
      if (at < from) {
        bytes.fill(0, start + at - position, start + from - position);
        at = from;
      }
      if (piece === undefined || at === end) return;
      const part = Math.min(piece.end, end) - at;
      piece.source.write(bytes, start + at - position, part, at - piece.offset);
      at += part;
    }
  }

  /** The index of the first piece that ends after `position`; their count if none does. */
  #firstEndingAfter(position: number): number {
    let low = 0;
    let high = this.#pieces.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#pieces[middle]!.end > position) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
