/** Disk space for a file before its bytes: reserved so that no write extends the file, and given back at its end. */
import { constants } from 'node:os';
import { IoError, formatBytes } from '@penstock/contract';
import { native, roundUp } from '@penstock/native';
import { fillGaps } from './allocated.ts';
import { cutFile } from '../device/freed-blocks.ts';
import { fileSystemOf } from '@penstock/disk';
import type { Target } from '../target/target.ts';

const { EFBIG, ENOSPC, ENOSYS, EOPNOTSUPP } = constants.errno;

/** Up to this size a file is one iocb, and what every file costs besides its bytes is shared or spared. */
export const SMALL_FILE_BYTES_MAX = 524_288;

/**
 * Makes the target ready for `size` bytes from its base on: room is there, a file that is replaced in place is emptied,
 * and space is reserved, so that no write extends the file: writes past the end are synchronous inside io_submit and
 * take the inode's lock. A file of its own is rounded up to the offset alignment and cut once all is written. One that is
 * grown has its space and its size follow the rows.
 * @throws IoError ENOSPC where they do not fit now, EFBIG where the file system could never hold them; what stood
 * there is untouched then
 */
export function reserve(target: Target, size: number): void {
  const { baseOffset, keepsRest, existingBytes, isResumed } = target;
  // For a small one fallocate itself may tell: what it took of a full disk before it failed is nothing.
  if (size > SMALL_FILE_BYTES_MAX || existingBytes > 0) assertRoom(target, size);
  if (existingBytes > 0 && !keepsRest && !isResumed) empty(target);
  if (size === 0 || target.isGrown || target.appendsOnly) return;
  // What follows in a file that is kept may be another write's: not a byte more than is asked for.
  const length = keepsRest ? size : roundUp(size, target.alignment.offset);
  let result = native.fallocate(target.fd, baseOffset, length);
  // XFS wants room for all of the range once more, whatever of it is allocated already.
  if (result === -ENOSPC && (keepsRest || isResumed)) result = fillGaps(target.fd, baseOffset, length);
  if (result === -EOPNOTSUPP || result === -ENOSYS) {
    result = baseOffset + length > existingBytes ? native.ftruncate(target.fd, baseOffset + length) : 0;
  }
  if (result >= 0) return;
  throw new IoError({ syscall: 'fallocate', errno: result, path: target.path, offset: baseOffset, length });
}

/**
 * Makes the target ready for a copy that keeps holes: `size` bytes, all of it one hole, of which only data is written.
 * No write extends it, which is what counts: writes that allocate inside it are about as fast as after fallocate.
 * @throws IoError as reserve() does, for the `dataBytes` that are to be written
 */
export function reserveSparse(target: Target, size: number, dataBytes: number): void {
  assertRoom(target, dataBytes);
  if (target.existingBytes > 0 && !target.isResumed) empty(target);
  truncateTo(target, roundUp(size, target.alignment.offset));
}

// Asked first: fallocate itself would fill the disk before it failed.
function assertRoom(target: Target, size: number): void {
  const room = fileSystemOf(target.fd, target.path);
  if (room.totalBytes === 0) return; // a file system that does not tell
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
  // What the file takes up already is written again, or comes free as it is emptied.
  const standing = keepsRest ? Math.max(0, Math.min(size, existingBytes - baseOffset)) : existingBytes;
  if (size > room.availableBytes + standing) {
    const hint = `${formatBytes(size)} asked, ${formatBytes(room.availableBytes)} free: free some, or name another root.`;
    throw new IoError({ ...where, errno: -ENOSPC, hint });
  }
}

/** Empties what stands there. @throws IoError */
function empty(target: Target): void {
  const result = cutFile(target.fd, 0);
  if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path: target.path, length: 0 });
}

/** Cuts the file to its exact size. Only with nothing in flight: ftruncate waits for every write. @throws IoError */
export function truncateTo(target: Target, size: number): void {
  const result = native.ftruncate(target.fd, size);
  if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path: target.path, length: size });
}

/**
 * Cuts off what the write of `size` bytes put behind its end: the padding of its last row to a whole block, and space
 * that it `grew` ahead. The file ends with the write, or where it ended before. @throws IoError
 */
export function cutPadding(target: Target, size: number, grew: boolean): void {
  if (size === 0) return;
  const { baseOffset, keepsRest, existingBytes, alignment } = target;
  const end = baseOffset + size;
  const fileEnd = keepsRest ? Math.max(end, existingBytes) : end;
  if (grew || roundUp(end, alignment.offset) > fileEnd) truncateTo(target, fileEnd);
}
