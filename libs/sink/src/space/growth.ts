/**
 * Space ahead of a write whose size nobody knows yet: preallocated in steps that double, so that no write extends the
 * file (one that does waits for the disk inside io_submit) and a small file takes no more than it needs.
 *
 * fallocate may run while writes below it are in flight: it waits for them, some milliseconds a step, and the steps grow.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { fileSystemOf } from '@penstock/disk';
import type { Target } from '../target/target.ts';

const { ENOSYS, EOPNOTSUPP } = constants.errno;

const STEP_BYTES_MIN = 16_777_216;
const STEP_BYTES_MAX = 1_073_741_824;
/** Beyond the size of a file that others see: a writer that dies leaves it taken until the file is cut again. */
const UNSEEN_STEP_BYTES_MAX = 134_217_728;

/** What makes room for rows before they are written. */
export interface RowRoom {
  /**
   * Before rows are written up to position `end`, a multiple of what the disk takes: makes room for them, and for a step
   * more unless `lastEnd`, where they will end, is known by now; else it is Infinity.
   * @param rows how far the file surely stands
   * @throws IoError where not even `end` can be had
   */
  reach(end: number, lastEnd: number, rows: { readonly contiguousBytes: number }): void;
}

export class Growth implements RowRoom {
  readonly #target: Target;
  /** The file offset of position 0. */
  readonly #base: number;
  #stepBytes = STEP_BYTES_MIN;
  /** Where the space ends that is there. */
  #end = 0;

  readonly #unseen: boolean;
  /** False where what is cut at the end would stay taken: a stream of 3 MiB took 16 of a btrfs for good. */
  readonly #reserves: boolean;

  /**
   * @param base the file offset of position 0, a multiple of the offset alignment
   * @param from the first position that has no space yet, such a multiple too
   * @param unseen true: the size of the file stays as it is, and somebody else sees to it
   */
  constructor(target: Target, base: number, from: number = 0, unseen: boolean = false) {
    this.#target = target;
    this.#base = base;
    this.#end = from;
    this.#unseen = unseen;
    this.#reserves = !fileSystemOf(target.fd, target.path).keepsCutSpace;
  }

  reach(end: number, lastEnd: number): void {
    if (end <= this.#end) return;
    const needed = end - this.#end;
    const { offset } = this.#target.alignment;
    const wanted = lastEnd === Number.POSITIVE_INFINITY ? this.#nextStep() : lastEnd - this.#end;
    let step = Math.max(needed, Math.ceil(wanted / offset) * offset);
    for (;;) {
      const result = this.#reserve(step);
      if (result >= 0) break;
      if (step === needed) {
        const { path } = this.#target;
        throw new IoError({
          syscall: 'fallocate',
          errno: result,
          path,
          offset: this.#base + this.#end,
          length: needed,
        });
      }
      step = Math.max(needed, this.#aligned(step / 2)); // other writes have taken the room, or a quota leaves less
    }
    this.#end += step;
    this.#stepBytes = Math.min(this.#stepBytes * 2, this.#unseen ? UNSEEN_STEP_BYTES_MAX : STEP_BYTES_MAX);
  }

  /** The file was cut at position `end`, and what was reserved behind it is gone. */
  afterCut(end: number): void {
    this.#end = Math.min(this.#end, this.#aligned(end));
    this.#stepBytes = STEP_BYTES_MIN;
  }

  /** On a nearly full disk no more than half of what is left: others write there too. */
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
    // Where the size runs ahead by itself, whoever sees to it records that.
    if (!this.#unseen) this.#target.lengthening?.grow(offset + length);
    if (this.#reserves) {
      const result = this.#unseen ? native.fallocateKeepSize(fd, offset, length) : native.fallocate(fd, offset, length);
      if (result !== -EOPNOTSUPP && result !== -ENOSYS) return result;
    }
    return this.#unseen ? 0 : native.ftruncate(fd, Math.max(existingBytes, offset + length));
  }
}
