/**
 * Space for a write whose size is not known yet: preallocated ahead of its rows, in steps that double. So no row extends the
 * file (one that does waits for the disk inside io_submit), and a small file takes no more than it needs.
 *
 * An fallocate waits for the writes of the file that are in flight, some milliseconds per step.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native, roundUp } from '@penstock/native';
import { fileSystemOf } from '@penstock/disk';
import type { Target } from '../target/target.ts';
import { type SpaceThread, SpaceWait } from './space-wait.ts';

const { ENOSYS, EOPNOTSUPP } = constants.errno;

const STEP_BYTES_MIN = 16_777_216;
const STEP_BYTES_MAX = 1_073_741_824;
/** The longest step behind the end of a file: if the writer dies, the space stays taken until the file is cut. */
const UNSEEN_STEP_BYTES_MAX = 134_217_728;

/** Makes room for rows before they are written. */
export interface RowRoom {
  /**
   * Makes room for rows up to position `end`, a multiple of the offset alignment, and for a step more.
   * @param lastEnd the position where the last row will end, if it is known by now: nothing is reserved behind it; else
   * Infinity
   * @param rows how many bytes are written without a gap
   * @returns false while there is none and some is becoming free: it is to be asked again when the thread is woken
   * @throws IoError if there is no room up to `end`
   */
  reach(end: number, lastEnd: number, rows: { readonly contiguousBytes: number }): boolean;
}

/** The room of a file, in steps. */
export class Growth implements RowRoom {
  readonly #target: Target;
  /** The file offset of position 0. */
  readonly #base: number;
  #stepBytes = STEP_BYTES_MIN;
  /** The position where the reserved space ends. */
  #end = 0;
  readonly #unseen: boolean;
  readonly #wait: SpaceWait;
  /** False if space stays taken after the file is cut: a stream of 3 MiB took 16 MiB of a btrfs for good. */
  readonly #reserves: boolean;

  /**
   * @param base the file offset of position 0, a multiple of the offset alignment
   * @param from the first position that has no space yet, such a multiple too
   * @param unseen true: only space is reserved, and the caller sets the size of the file
   */
  constructor(target: Target, thread: SpaceThread, base: number, from: number = 0, unseen: boolean = false) {
    this.#target = target;
    this.#wait = new SpaceWait(thread, target.standing.device);
    this.#base = base;
    this.#end = from;
    this.#unseen = unseen;
    this.#reserves = !fileSystemOf(target.fd, target.path).keepsCutSpace;
  }

  reach(end: number, lastEnd: number): boolean {
    return end <= this.#end || this.#grow(end, lastEnd);
  }

  #grow(end: number, lastEnd: number): boolean {
    const needed = end - this.#end;
    const { offset } = this.#target.alignment;
    const wanted = lastEnd === Number.POSITIVE_INFINITY ? this.#nextStep() : lastEnd - this.#end;
    let step = Math.max(needed, roundUp(wanted, offset));
    const result = this.#wait.attempt(() => {
      for (;;) {
        const reserved = this.#reserve(step);
        if (reserved >= 0 || step === needed) return reserved;
        step = Math.max(needed, this.#aligned(step / 2)); // other writes took the room, or a quota leaves less
      }
    });
    if (result === null) return false;
    if (result < 0) {
      const { path } = this.#target;
      throw new IoError({ syscall: 'fallocate', errno: result, path, offset: this.#base + this.#end, length: needed });
    }
    this.#end += step;
    this.#stepBytes = Math.min(this.#stepBytes * 2, this.#unseen ? UNSEEN_STEP_BYTES_MAX : STEP_BYTES_MAX);
    return true;
  }

  /** How much is reserved behind position `end`. */
  spareBehind(end: number): number {
    return Math.max(0, this.#end - end);
  }

  /** The file was cut at position `end`: the space reserved behind it is free. */
  afterCut(end: number): void {
    this.#end = Math.min(this.#end, this.#aligned(end));
    this.#stepBytes = STEP_BYTES_MIN;
  }

  /** On a nearly full disk at most half of what is left, for others write there too. */
  #nextStep(): number {
    const { totalBytes, availableBytes } = fileSystemOf(this.#target.fd, this.#target.path);
    const room = totalBytes === 0 ? Number.POSITIVE_INFINITY : this.#aligned(availableBytes / 2);
    return Math.min(this.#stepBytes, room);
  }

  #aligned(bytes: number): number {
    const { offset } = this.#target.alignment;
    return Math.floor(bytes / offset) * offset;
  }

  #reserve(length: number): number {
    const { fd, existingBytes } = this.#target;
    const offset = this.#base + this.#end;
    // If only space is reserved, the caller that sets the size records it.
    if (!this.#unseen) this.#target.lengthening?.grow(offset + length);
    if (this.#reserves) {
      const result = this.#unseen ? native.fallocateKeepSize(fd, offset, length) : native.fallocate(fd, offset, length);
      if (result !== -EOPNOTSUPP && result !== -ENOSYS) return result;
    }
    return this.#unseen ? 0 : native.ftruncate(fd, Math.max(existingBytes, offset + length));
  }
}
