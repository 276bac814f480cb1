/**
 * Decides which write gets row memory next. Writes wait in a line, so that none is overtaken for ever; small files have a line
 * and a strip of the arena of their own, or each would wait for as long as the large writes before it take.
 */
import { type Arena, GATHERED_BYTES_MAX, type RowExtent, ThreadTally } from '@penstock/matrix';

/** Enough for the default 32 jobs of a thread, each as large as a small file may be. */
const STRIP_BYTES = 16_777_216;
/** A smaller arena has no strip, which would be too large a part of it. */
const ARENA_WITH_STRIP_BYTES_MIN = 4 * STRIP_BYTES;
/** The most rows of a small file, which is one iocb. */
const SMALL_ROWS_BYTES_MAX = GATHERED_BYTES_MAX;

/** The row memory of one thread. */
export class RowMemory {
  readonly #arena: Arena;
  readonly #tally: ThreadTally;
  readonly #stripBytes: number;
  readonly #large: object[] = [];
  readonly #small: object[] = [];
  #smallBytes = 0;

  /** @param tally shows what is used */
  constructor(arena: Arena, tally: ThreadTally = new ThreadTally()) {
    this.#arena = arena;
    this.#tally = tally;
    tally.dropRowBytes();
    this.#stripBytes = arena.sizeBytes >= ARENA_WITH_STRIP_BYTES_MIN ? STRIP_BYTES : 0;
  }

  /** The most that one write can get. */
  get bytesMax(): number {
    return this.#arena.sizeBytes - this.#stripBytes;
  }

  /** What writes have at present. */
  get usedBytes(): number {
    return this.#arena.sizeBytes - this.#arena.freeBytes;
  }

  /** `write` wants rows of `sizeBytes` in all, and stands last in its line. */
  join(write: object, sizeBytes: number): void {
    this.#lineOf(sizeBytes).push(write);
  }

  /** `write` wants no rows any more; without effect if it does not wait. */
  leave(write: object): void {
    for (const line of [this.#large, this.#small]) {
      const place = line.indexOf(write);
      if (place !== -1) line.splice(place, 1);
    }
  }

  /** The rows for `write`, which then leaves its line; null if it is not its turn, or they are not free. */
  take(write: object, sizeBytes: number): RowExtent | null {
    const line = this.#lineOf(sizeBytes);
    if (line[0] !== write) return null;
    const extent = this.#grant(sizeBytes);
    if (extent !== null) line.shift();
    return extent;
  }

  /** True if a write waits in the line for rows of `sizeBytes`. */
  isShortOf(sizeBytes: number): boolean {
    return this.#lineOf(sizeBytes).length > 0;
  }

  /** Rows for a write that stands in no line; null if another write waits in that line, or they are not free. */
  takeSpare(sizeBytes: number): RowExtent | null {
    if (this.isShortOf(sizeBytes)) return null;
    return this.#grant(sizeBytes);
  }

  /** Gives rows back. No iocb in flight may point into them. */
  release(extent: RowExtent): void {
    if (isSmall(extent.sizeBytes)) this.#smallBytes -= extent.sizeBytes;
    this.#arena.release(extent);
    this.#tally.addRowBytes(-extent.sizeBytes);
  }

  #lineOf(sizeBytes: number): object[] {
    return isSmall(sizeBytes) && this.#stripBytes > 0 ? this.#small : this.#large;
  }

  #grant(sizeBytes: number): RowExtent | null {
    const extent = isSmall(sizeBytes) ? this.#takeSmall(sizeBytes) : this.#takeLarge(sizeBytes);
    if (extent !== null) this.#tally.addRowBytes(extent.sizeBytes);
    return extent;
  }

  /** Beyond their strip, small files get rows only if no large write waits. */
  #takeSmall(sizeBytes: number): RowExtent | null {
    const beyond = this.#stripBytes > 0 && this.#smallBytes + sizeBytes > this.#stripBytes;
    if (beyond && this.#large.length > 0) return null;
    const extent = this.#arena.acquireFromEnd(sizeBytes);
    if (extent !== null) this.#smallBytes += extent.sizeBytes;
    return extent;
  }

  #takeLarge(sizeBytes: number): RowExtent | null {
    const free = this.#arena.freeBytes;
    const keptFree = Math.max(0, this.#stripBytes - this.#smallBytes);
    return free - sizeBytes < keptFree ? null : this.#arena.acquire(sizeBytes);
  }
}

/** The same for what was asked for and what was granted: the limit is whole pages. */
const isSmall = (sizeBytes: number): boolean => sizeBytes <= SMALL_ROWS_BYTES_MAX;
