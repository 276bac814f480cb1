/**
 * The growth of a file that others see under its name while it is written: space is reserved in steps as for any other
 * (growth.ts), but behind the end of the file, and its size follows the rows. A row that is alone in flight extends the
 * file itself, once it is written; the thread waits for the disk meanwhile, as it has nothing else of this file to do.
 * While rows come faster than they are written, the size covers those in flight, and a quarter of the matrix more, since
 * each step costs a call.
 *
 * On ext4 that call waits for nothing, other than a fallocate that extends the file; on XFS it waits for what is in flight.
 */
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { cutFile } from '../device/freed-blocks.ts';
import { Growth, type RowRoom } from './growth.ts';
import { forgetSeenEnd, recordSeenEnd } from '../target/seen-end.ts';
import type { Target } from '../target/target.ts';

/** Rows that the file may grow by before that is recorded anew. */
const RECORDED_STEPS = 64;

export class SeenGrowth implements RowRoom {
  readonly #target: Target;
  /** The file offset of position 0. */
  readonly #base: number;
  /** Nobody brings its bytes again. */
  readonly #isStream: boolean;
  readonly #headBytes: number;
  readonly #rowBytes: number;
  /** So much longer than its rows the file may be. */
  readonly #aheadBytes: number;
  readonly #space: Growth;
  /** How long the file is. */
  #size: number;
  /** True where the size or the space reaches beyond the bytes, perhaps. */
  #ahead = false;
  /** Behind the bytes that no row had carried when they were written. */
  #noted = 0;
  #recorded = false;
  #recordedLast: number | null = null;
  #recordedSize = 0;
  /** False where nothing can be recorded with the file: then every write extends it, slowly, and nothing runs ahead. */
  #records = true;

  /** @param o `headBytes`: of the first row, not the write's own; `rowBytes` of `rowCount` rows: what may be in flight */
  constructor(
    target: Target,
    base: number,
    o: { headBytes: number; rowBytes: number; rowCount: number; isStream: boolean },
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
    // Not what stands there already: XFS wants the same space once more for that.
    this.#space = new Growth(target, base, standing - (standing % alignment.offset), true);
  }

  /** True where idle time is to be used to make the size exact. */
  get isAhead(): boolean {
    return this.#ahead;
  }

  reach(end: number, lastEnd: number, rows: { readonly contiguousBytes: number }): void {
    const last = lastEnd === Number.POSITIVE_INFINITY ? null : this.#base + lastEnd;
    let size = this.#base + end;
    const fits = size <= this.#size;
    if (fits && (!this.#recorded || last === this.#recordedLast)) return;
    const standing = this.#headBytes + rows.contiguousBytes;
    if (fits) {
      this.#record(standing, this.#size, last); // or the padding of the last row would count as bytes
      return;
    }
    this.#ahead = true;
    this.#space.reach(end, lastEnd);
    const alone = end - standing <= this.#rowBytes;
    if (!alone && this.#records) size = this.#base + this.#endInFlight(end, lastEnd);
    // Nothing but bytes: then the write itself extends the file, and no reader sees a zero.
    const isExact = alone && end <= lastEnd;
    if (!isExact && !this.#record(standing, size, last)) {
      this.#size = Math.max(this.#size, this.#base + end);
      return;
    }
    // A job that is tried again has to find how far it may have come.
    if (!this.#isStream) this.#target.lengthening?.grow(size);
    if (isExact) {
      this.#size = size;
      return;
    }
    const result = native.ftruncate(this.#target.fd, size);
    if (result < 0) {
      throw new IoError({ syscall: 'ftruncate', errno: result, path: this.#target.path, length: size });
    }
    this.#size = size;
  }

  /** Where the file may end while the rows up to `end` and some more are in flight. */
  #endInFlight(end: number, lastEnd: number): number {
    const { offset } = this.#target.alignment;
    return Math.max(end, Math.min(end + this.#aheadBytes, Math.ceil(lastEnd / offset) * offset));
  }

  /** Not for each step: an attribute costs more than the step itself. */
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

  /** Bytes up to the file offset `end` were written that no row has carried yet. */
  noteWritten(end: number): void {
    this.#size = Math.max(this.#size, end);
    this.#noted = end;
  }

  /**
   * Makes `end`, a file offset, the end of the file, if it does not end further behind by itself; nothing may be in flight.
   * @param isFlushed the flush of this very file comes next, and nothing else before it
   * @throws IoError
   */
  settle(end: number, isFlushed: boolean): void {
    const { fd, path, keepsRest, existingBytes } = this.#target;
    const size = keepsRest ? Math.max(end, existingBytes) : end;
    if (this.#ahead) {
      // Also where the size is right: it frees what is reserved behind it.
      const result = isFlushed ? native.ftruncate(fd, size) : cutFile(fd, size);
      if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path, length: size });
      this.#space.afterCut(Math.max(0, size - this.#base));
      this.#ahead = false;
    }
    this.#size = size;
    this.forget();
  }

  /** The file is as long as it is to be. */
  forget(): void {
    if (this.#recorded) forgetSeenEnd(this.#target.fd);
    this.#recorded = false;
    this.#recordedLast = null;
  }
}
