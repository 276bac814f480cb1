/**
 * A copy as a reflink: the target shares the source's blocks until one of the two is written, so that no byte is read
 * or written. btrfs, XFS and some others can do this; ext4 cannot.
 *
 * copy_file_range is not used instead. If files cannot share blocks, the kernel copies through the page cache, with 5 to 8
 * times the CPU time of rows, and blocks the thread's other writes: for 1 GiB on ext4 1.1 GiB/s against 1.2, and 1.6 if all
 * of it was cached. Network file systems may copy on their server: not measured yet.
 */
import { constants } from 'node:os';
import { IoError, codeOfErrno } from '@penstock/contract';
import { BLOCK_BYTES_MAX } from '@penstock/disk';
import { native, roundUp } from '@penstock/native';
import { type Origin, assertUnchanged } from '../origin/origin.ts';
import { truncateTo } from './reserve.ts';
import type { Target } from '../target/target.ts';

const { EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV } = constants.errno;

/** Errors that mean that these two files cannot share blocks; any other is a failure of the disk. */
const REFUSALS: ReadonlySet<number> = new Set([EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV]);

/**
 * Shared by one call. It blocks the thread for as long as the kernel writes out what the page cache has of the source; apart
 * from that 1 GiB takes 7 to 17 ms, in 4 pieces or in 16, so larger pieces gain nothing.
 */
const PIECE_BYTES = 67_108_864;

/** One copy. */
export class Reflink {
  /** Bytes of the target that are shared. */
  bytesShared = 0;

  readonly #target: Target;
  readonly #origin: Origin;
  readonly #size: number;

  /** @param size more than 0, and at most the origin's */
  constructor(target: Target, origin: Origin, size: number) {
    this.#target = target;
    this.#origin = origin;
    this.#size = size;
  }

  /** True once the target has its exact size and all of its bytes. */
  get complete(): boolean {
    return this.bytesShared === this.#size;
  }

  /**
   * Shares the next piece: 0, or -errno if these files cannot share blocks. Then the target is to be written as if this had
   * not been tried.
   * @throws IoError if sharing failed for another reason, or if the source changed
   */
  shareNext(): number {
    const target = this.#target;
    const { sizeBytes } = this.#origin;
    const offset = this.bytesShared;
    if (offset === 0 && target.existingBytes > 0) {
      // To share nothing, at the end of the source, is refused like any piece, and the existing file is still whole then.
      const refusal = this.#share(sizeBytes, 0);
      if (refusal < 0) return refusal;
      truncateTo(target, 0);
    }
    // Only whole blocks can be shared, or the last one of a file.
    const end = Math.min(offset + PIECE_BYTES, roundUp(this.#size, BLOCK_BYTES_MAX));
    const refusal = this.#share(offset, end < sizeBytes ? end - offset : 0);
    if (refusal < 0) return refusal;
    this.bytesShared = Math.min(end, this.#size);
    // Not if it can be avoided: a cut inside a block gives the target its own copy of that block.
    if (this.complete && this.#size < sizeBytes) truncateTo(target, this.#size);
    return 0;
  }

  /** Shares `length` bytes; 0 means up to the end of the source. */
  #share(offset: number, length: number): number {
    const { fd, path } = this.#target;
    const result = native.cloneFileRange(this.#origin.fd, fd, offset, length);
    if (result >= 0) return 0;
    if (!REFUSALS.has(-result)) throw new IoError({ syscall: 'ioctl', errno: result, path, offset });
    assertUnchanged(this.#origin); // EINVAL also means that the source has become shorter
    return result;
  }
}

/** The reason in the result, from the -errno of shareNext(). */
export function refusalReason(errno: number): string {
  const code = codeOfErrno(errno);
  if (errno === -EXDEV) return `source and target are on different file systems (${code})`;
  if (errno === -EINVAL || errno === -EPERM || errno === -ETXTBSY) {
    return `the file system does not let these two files share blocks (${code})`;
  }
  return `this file system has no reflinks (${code})`;
}
