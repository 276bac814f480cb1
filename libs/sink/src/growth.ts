/**
 * Space ahead of a write whose size nobody knows yet: preallocated in steps that double, so that no write extends the
 * file (one that does waits for the disk inside io_submit) and a small file takes no more than it needs.
 *
 * fallocate may run while writes below it are in flight: it waits for them, some milliseconds a step, and the steps grow.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/aio';
import { fileSystemOf } from './stat.ts';
import type { Target } from './target.ts';

const { ENOSYS, EOPNOTSUPP } = constants.errno;

const STEP_BYTES_MIN = 16_777_216;
const STEP_BYTES_MAX = 1_073_741_824;

export class Growth {
  readonly #target: Target;
  /** The file offset of position 0. */
  readonly #base: number;
  #stepBytes = STEP_BYTES_MIN;
  /** Where the space ends that is there. */
  #end = 0;

  /** @param base the file offset of position 0, a multiple of the offset alignment */
  constructor(target: Target, base: number) {
    this.#target = target;
    this.#base = base;
  }

  /**
   * Before rows are written up to position `end`, a multiple of what the disk takes: makes room for them, and for a step
   * more unless `lastEnd`, where they will end, is known by now; else it is Infinity.
   * @throws IoError where not even `end` can be had
   */
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
    this.#stepBytes = Math.min(this.#stepBytes * 2, STEP_BYTES_MAX);
  }

  /** The write failed: a file that is kept ends where it did. Nothing may be in flight. */
  takeBack(): void {
    const { fd, keepsRest, existingBytes } = this.#target;
    if (keepsRest && this.#base + this.#end > existingBytes) native.ftruncate(fd, existingBytes);
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
    this.#target.lengthening?.grow(offset + length);
    const result = native.fallocate(fd, offset, length);
    if (result !== -EOPNOTSUPP && result !== -ENOSYS) return result;
    return native.ftruncate(fd, Math.max(existingBytes, offset + length));
  }
}
