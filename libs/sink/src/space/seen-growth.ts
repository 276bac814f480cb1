/**
 * Space and size of a file that readers see under its name while it is written, and whose final size is not known.
 *
 * Space is reserved in steps as for any growing file (growth.ts), but behind the end of the file; the size follows the rows.
 * A row that is alone in flight extends the file itself: the thread waits for the disk meanwhile, and has nothing else of
 * this file to do. While rows come faster than they are written, the size covers those in flight and a quarter of the matrix
 * more, since each step costs an ftruncate. On ext4 that call does not wait for writes in flight, as an fallocate that
 * extends the file would; on XFS it does.
 */
import { roundUp } from '@penstock/native';
import { cutFileOrThrow } from '../device/freed-blocks.ts';
import { Growth, type RowRoom } from './growth.ts';
import { truncateTo } from './reserve.ts';
import type { SpaceThread } from './space-wait.ts';
import { forgetSeenEnd, recordSeenEnd } from '../target/seen-end.ts';
import type { Target } from '../target/target.ts';

/** How many rows the file may grow by before its size is recorded again. */
const RECORDED_STEPS = 64;

/** The room of a file that readers see. */
export class SeenGrowth implements RowRoom {
  readonly #target: Target;
  /** The file offset of position 0. */
  readonly #base: number;
  /** Its bytes come once, from a producer, and cannot be had again. */
  readonly #isStream: boolean;
  readonly #headBytes: number;
  readonly #rowBytes: number;
  /** How much longer than its rows the file may be. */
  readonly #aheadBytes: number;
  readonly #space: Growth;
  /** The size of the file. */
  #size: number;
  /** True if the size or the space may reach beyond the bytes. */
  #ahead = false;
  /** The file offset behind the last bytes of noteWritten(). */
  #noted = 0;
  #recorded = false;
  #recordedLast: number | null = null;
  #recordedSize = 0;
  /** False if the file system keeps no attributes: then nothing runs ahead, and every row extends the file, slowly. */
  #records = true;

  /** @param o `headBytes`: bytes of the first row that are not the write's own; `rowBytes` and `rowCount`: the matrix */
  constructor(
    target: Target,
    base: number,
    o: { headBytes: number; rowBytes: number; rowCount: number; isStream: boolean; thread: SpaceThread },
  ) {
    this.#target = target;
    this.#base = base;
    this.#isStream = o.isStream;
    this.#headBytes = o.headBytes;
    this.#rowBytes = o.rowBytes;
    this.#aheadBytes = o.rowBytes * Math.floor(o.rowCount / 4);
    const { existingBytes, keepsRest, isResumed, alignment } = target;
    this.#size = keepsRest || isResumed ? existingBytes : 0;
    const standing = Math.max(0, this.#size - base);
    // Not for what is there already: XFS would require the same space once more.
    this.#space = new Growth(target, o.thread, base, standing - (standing % alignment.offset), true);
  }

  /** True if fixEnd() is to be called when nothing is in flight, to make the size exact. */
  get isAhead(): boolean {
    return this.#ahead;
  }

  reach(end: number, lastEnd: number, rows: { readonly contiguousBytes: number }): boolean {
    const last = lastEnd === Number.POSITIVE_INFINITY ? null : this.#base + lastEnd;
    let size = this.#base + end;
    const fits = size <= this.#size;
    if (fits && (!this.#recorded || last === this.#recordedLast)) return true;
    const standing = this.#headBytes + rows.contiguousBytes;
    if (fits) {
      this.#record(standing, this.#size, last); // else the padding of the last row would count as bytes
      return true;
    }
    this.#ahead = true;
    if (!this.#space.reach(end, lastEnd)) return false;
    const alone = end - standing <= this.#rowBytes;
    if (!alone && this.#records) size = this.#base + this.#endInFlight(end, lastEnd);
    // No padding and no other row: the write itself extends the file, and no reader sees a zero.
    const isExact = alone && end <= lastEnd;
    if (!isExact && !this.#record(standing, size, last)) {
      this.#size = Math.max(this.#size, this.#base + end);
      return true;
    }
    // For a retry of the job, which has to know how far this attempt may have come.
    if (!this.#isStream) this.#target.lengthening?.grow(size);
    if (isExact) {
      this.#size = size;
      return true;
    }
    truncateTo(this.#target, size);
    this.#size = size;
    return true;
  }

  /** The position where the file may end while the rows up to `end` and some more are in flight. */
  #endInFlight(end: number, lastEnd: number): number {
    const { offset } = this.#target.alignment;
    return Math.max(end, Math.min(end + this.#aheadBytes, roundUp(lastEnd, offset)));
  }

  /** Records the end, but not with each step: to set an attribute costs more than the step. False if it cannot be kept. */
  #record(standing: number, size: number, last: number | null): boolean {
    if (!this.#records) return false;
    const holds = this.#recorded && last === this.#recordedLast && size <= this.#recordedSize;
    if (holds && (this.#recordedSize - size) % this.#rowBytes === 0) return true;
    const { fd, existingBytes, keepsRest } = this.#target;
    const sure = Math.max(keepsRest ? existingBytes : 0, this.#base + standing, this.#noted);
    this.#recordedSize = last === null ? size + RECORDED_STEPS * this.#rowBytes : size;
    this.#records = recordSeenEnd(fd, { sure, size: this.#recordedSize, step: this.#rowBytes, last });
    this.#recorded ||= this.#records;
    this.#recordedLast = last;
    return this.#records;
  }

  /** Bytes of the partial row were written, up to the file offset `end`. */
  noteWritten(end: number): void {
    this.#size = Math.max(this.#size, end);
    this.#noted = end;
  }

  /**
   * Makes the file end at the file offset `end`, or where it ended before the write if that is further. Nothing may be in
   * flight.
   * @param isFlushed true if the next thing that is done is a flush of this file
   * @throws IoError
   */
  fixEnd(end: number, isFlushed: boolean): void {
    const { fd, path, keepsRest, existingBytes } = this.#target;
    const size = keepsRest ? Math.max(end, existingBytes) : end;
    if (this.#ahead) {
      // Even if the size is right: the call frees the space reserved behind it.
      if (isFlushed) truncateTo(this.#target, size);
      else cutFileOrThrow(fd, path, size);
      this.#space.afterCut(Math.max(0, size - this.#base));
      this.#ahead = false;
    }
    this.#size = size;
    this.forget();
  }

  /** The file has its size: removes the record. */
  forget(): void {
    if (this.#recorded) forgetSeenEnd(this.#target.fd);
    this.#recorded = false;
    this.#recordedLast = null;
  }
}
