/**
 * A copy as a reflink: the target shares the source's blocks until one of the two is written, so that no byte is read
 * or written. btrfs, XFS and some others can; ext4 cannot.
 *
 * copy_file_range is no second choice. Where files share no blocks the kernel copies through the page cache, at 5 to 8
 * times the CPU of rows and without another write of the thread going on meanwhile: for 1 GiB on ext4 1.1 against
 * 1.2 GiB/s, and 1.6 where all of it was cached. Network file systems may copy on their server: not measured yet.
 */
import { constants } from 'node:os';
import { IoError, codeOfErrno } from '@penstock/contract';
import { native, roundUp } from '@penstock/native';
import { type Origin, assertUnchanged } from '../origin/origin.ts';
import { truncateTo } from './reserve.ts';
import type { Target } from '../target/target.ts';

const { EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV } = constants.errno;

/** What tells that these two files cannot share blocks; anything else is a failure of the disk. */
const REFUSALS: ReadonlySet<number> = new Set([EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP, EPERM, ETXTBSY, EXDEV]);

/**
 * Shared by one call, which blocks the thread: hardly, but that what of the source is in the page cache alone is written
 * out first. Larger pieces gain nothing: 1 GiB takes 7 to 17 ms in 4 pieces or in 16, once it is written out.
 */
const PIECE_BYTES = 67_108_864;

/** The largest block of any file system: only whole blocks can be shared, and the last one of a file. */
const BLOCK_BYTES_MAX = 65_536;

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
   * Shares the next piece. 0, or the -errno that tells that these files cannot share blocks: the target is then to be
   * written as if this had not been tried.
   * @throws IoError where sharing failed for another reason, or where the source changed
   */
  shareNext(): number {
    const target = this.#target;
    const { sizeBytes } = this.#origin;
    const offset = this.bytesShared;
    if (offset === 0 && target.existingBytes > 0) {
      // From end to end nothing is shared, and refused like all of it: what stands in place is still whole then.
      const refusal = this.#share(sizeBytes, 0);
      if (refusal < 0) return refusal;
      truncateTo(target, 0);
    }
    const end = Math.min(offset + PIECE_BYTES, roundUp(this.#size, BLOCK_BYTES_MAX));
    const refusal = this.#share(offset, end < sizeBytes ? end - offset : 0);
    if (refusal < 0) return refusal;
    this.bytesShared = Math.min(end, this.#size);
    // Only where it must be: a cut inside a block gives the target a copy of its own of that block.
    if (this.complete && this.#size < sizeBytes) truncateTo(target, this.#size);
    return 0;
  }

  /** A length of 0 reaches to the end of the source. */
  #share(offset: number, length: number): number {
    const { fd, path } = this.#target;
    const result = native.cloneFileRange(this.#origin.fd, fd, offset, length);
    if (result >= 0) return 0;
    if (!REFUSALS.has(-result)) throw new IoError({ syscall: 'ioctl', errno: result, path, offset });
    assertUnchanged(this.#origin); // EINVAL also stands for a source that has become shorter
    return result;
  }
}

/** Why no reflink was made, from the -errno of shareNext(). */
export function refusalReason(errno: number): string {
  const code = codeOfErrno(errno);
  if (errno === -EXDEV) return `source and target are on different file systems (${code})`;
  if (errno === -EINVAL || errno === -EPERM || errno === -ETXTBSY) {
    return `the file system does not let these two files share blocks (${code})`;
  }
  return `this file system has no reflinks (${code})`;
}
