/** Disk space for a file of known size: reserved before its bytes, so that no write extends the file, and cut at its end. */
import { constants } from 'node:os';
import { IoError, formatBytes } from '@penstock/contract';
import { GATHERED_BYTES_MAX } from '@penstock/matrix';
import { native, roundUp } from '@penstock/native';
import { fillGaps } from './allocated.ts';
import { cutFileOrThrow } from '../device/freed-blocks.ts';
import type { Cut, Freeing } from '../device/freeing.ts';
import { allocateIndirect } from '../device/indirect-blocks.ts';
import { fileSystemOf } from '@penstock/disk';
import type { Target } from '../target/target.ts';
import { type SpaceThread, SpaceWait, isWantOfSpace } from './space-wait.ts';

const { EFBIG, ENOSPC, ENOSYS, EOPNOTSUPP } = constants.errno;

/** The largest small file: it is one iocb, and shares or avoids the costs of a file besides its bytes. */
export const SMALL_FILE_BYTES_MAX: number = GATHERED_BYTES_MAX;

/**
 * Makes the target ready for its bytes: checks that there is room, empties a file that is replaced in place, and reserves
 * space, so that no write extends the file (such a write is synchronous inside io_submit and takes the inode's lock).
 * While another thread empties the file, or frees space that this one needs, the write waits.
 */
export class Reserving {
  readonly #target: Target;
  readonly #size: number;
  /** How many bytes are data, if holes are kept; else null. */
  readonly #dataBytes: number | null;
  readonly #freeing: Freeing;
  readonly #wait: SpaceWait;
  #isChecked = false;
  #isDone = false;
  #isEmptied: boolean;
  #emptying: Cut | null = null;

  constructor(target: Target, size: number, dataBytes: number | null, thread: SpaceThread) {
    this.#target = target;
    this.#size = size;
    this.#dataBytes = dataBytes;
    this.#freeing = thread.freeing;
    this.#wait = new SpaceWait(thread, target.standing.device);
    this.#isEmptied = target.existingBytes === 0 || target.isResumed || (target.keepsRest && dataBytes === null);
  }

  /**
   * True once all is reserved; false while blocks are being freed: it is to be asked again when the thread is woken.
   * @throws IoError ENOSPC if the bytes do not fit now, EFBIG if the file system could never hold them; an existing file is
   * untouched then
   */
  advance(): boolean {
    if (this.#isDone) return true;
    if (!this.#isChecked && !this.#reserves(() => this.#check())) return false;
    this.#isChecked = true;
    if (!this.#isEmptied && !this.#empty()) return false;
    this.#isEmptied = true;
    this.#isDone = this.#reserves(() => this.#reserve());
    return this.#isDone;
  }

  /** False while the write waits for it. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** True while another thread empties the file. */
  get isEmptying(): boolean {
    return this.#emptying !== null;
  }

  /** Calls `reserves`; false while that finds no space, and some is becoming free. @throws what it throws */
  #reserves(reserves: () => void): boolean {
    let refusal: unknown;
    const result = this.#wait.attempt(() => {
      refusal = undefined;
      try {
        reserves();
        return 0;
      } catch (error) {
        refusal = error;
        return error instanceof IoError && isWantOfSpace(error.errno) ? error.errno : 0;
      }
    });
    if (refusal !== undefined && result !== null) throw refusal;
    return result !== null;
  }

  #reserve(): void {
    if (this.#dataBytes === null) reserve(this.#target, this.#size);
    // No write extends it, and writes that allocate inside a hole are about as fast as after fallocate.
    else truncateTo(this.#target, roundUp(this.#size, this.#target.alignment.offset));
  }

  #check(): void {
    const { existingBytes } = this.#target;
    // For a small file fallocate itself may find out: it takes next to nothing of a full disk before it fails.
    const isSmall = this.#dataBytes === null && this.#size <= SMALL_FILE_BYTES_MAX && existingBytes === 0;
    if (!isSmall) assertRoom(this.#target, this.#dataBytes ?? this.#size);
  }

  /** False while another thread does it. */
  #empty(): boolean {
    const { fd, path, standing } = this.#target;
    if (this.#emptying === null) {
      this.#emptying = this.#freeing.cut(fd, 0, standing.allocatedBytes, standing.device);
      if (this.#emptying === null) {
        cutFileOrThrow(fd, path, 0);
        return true;
      }
    }
    const result = this.#emptying.result();
    if (result === null) return false;
    this.forget();
    if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path, length: 0 });
    return true;
  }

  /** The write is over. */
  forget(): void {
    this.#emptying?.forget();
    this.#emptying = null;
  }
}

/** The same for a new file of one row, in one step; false if there is no space: whether it is waited for, advance() decides. @throws IoError */
export function reserveOneRow(target: Target, size: number): boolean {
  try {
    reserve(target, size);
    return true;
  } catch (error) {
    if (error instanceof IoError && isWantOfSpace(error.errno)) return false;
    throw error;
  }
}

/**
 * Reserves `size` bytes from the target's base offset on. The space of a new file is rounded up to the offset alignment, and
 * cut once all is written. For a target that is grown or append-only nothing is reserved here.
 */
function reserve(target: Target, size: number): void {
  const { baseOffset, keepsRest, existingBytes, isResumed } = target;
  if (size === 0 || target.isGrown || target.appendsOnly) return;
  // Behind the range may be bytes of another write: not a byte more than the request's.
  const length = keepsRest ? size : roundUp(size, target.alignment.offset);
  let result = native.fallocate(target.fd, baseOffset, length);
  // XFS requires free space for the whole range, even for what is allocated already.
  if (result === -ENOSPC && (keepsRest || isResumed)) result = fillGaps(target.fd, baseOffset, length);
  if (result === -EOPNOTSUPP || result === -ENOSYS) {
    result = baseOffset + length > existingBytes ? native.ftruncate(target.fd, baseOffset + length) : 0;
    const isEmpty = !keepsRest && !isResumed;
    if (result === 0 && isEmpty && target.forgetsFreed && !target.hasIndirect) {
      result = allocateIndirect(target.fd, target.path, target.alignment.offset, length);
    }
  }
  if (result >= 0) return;
  throw new IoError({ syscall: 'fallocate', errno: result, path: target.path, offset: baseOffset, length });
}

/** Checked before fallocate, which would fill the disk before it failed. @throws IoError ENOSPC, EFBIG */
function assertRoom(target: Target, size: number): void {
  const room = fileSystemOf(target.fd, target.path);
  if (room.totalBytes === 0) return; // the file system reports no sizes
  const { baseOffset, keepsRest, existingBytes } = target;
  const where = {
    syscall: 'fallocate',
    path: target.path,
    offset: baseOffset,
    length: roundUp(size, target.alignment.offset),
  };
  if (size > room.totalBytes) {
    const hint = `The whole file system holds ${formatBytes(room.totalBytes)}: ask for less, or name a root on a larger one.`;
    throw new IoError({ ...where, errno: -EFBIG, hint });
  }
  // What the file takes up already is overwritten, or becomes free when it is emptied.
  const standing = keepsRest ? Math.max(0, Math.min(size, existingBytes - baseOffset)) : existingBytes;
  if (size > room.availableBytes + standing) {
    const hint = `${formatBytes(size)} asked, ${formatBytes(room.availableBytes)} free: free some, or name another root.`;
    throw new IoError({ ...where, errno: -ENOSPC, hint });
  }
}

/** Cuts the file to its exact size. Only with nothing in flight: ftruncate waits for every write. @throws IoError */
export function truncateTo(target: Target, size: number): void {
  const result = native.ftruncate(target.fd, size);
  if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path: target.path, length: size });
}

/**
 * Cuts off what the write of `size` bytes has put behind its end: the padding of its last row to a whole block, and the space
 * reserved ahead if it `grew`. The file then ends with the write, or where it ended before if that is further.
 * @throws IoError
 */
export function cutPadding(target: Target, size: number, grew: boolean): void {
  if (size === 0) return;
  const fileEnd = endOfFile(target, size);
  if (grew || roundUp(target.baseOffset + size, target.alignment.offset) > fileEnd) truncateTo(target, fileEnd);
}

/** Where the file ends with a write of `size` bytes. */
export function endOfFile({ baseOffset, keepsRest, existingBytes }: Target, size: number): number {
  const end = baseOffset + size;
  return keepsRest ? Math.max(end, existingBytes) : end;
}
