/** Disk space for a file of known size: reserved before its bytes, so that no write extends the file, and cut at its end. */
import { constants } from 'node:os';
import { IoError, formatBytes } from '@penstock/contract';
import { GATHERED_BYTES_MAX } from '@penstock/matrix';
import { native, roundUp } from '@penstock/native';
import { fillGaps } from './allocated.ts';
import { cutFileOrThrow } from '../device/freed-blocks.ts';
import { fileSystemOf } from '@penstock/disk';
import type { Target } from '../target/target.ts';

const { EFBIG, ENOSPC, ENOSYS, EOPNOTSUPP } = constants.errno;

/** The largest small file: it is one iocb, and shares or avoids the costs of a file besides its bytes. */
export const SMALL_FILE_BYTES_MAX: number = GATHERED_BYTES_MAX;

/**
 * Makes the target ready for `size` bytes from its base offset on: checks that there is room, empties a file that is replaced
 * in place, and reserves space, so that no write extends the file (such a write is synchronous inside io_submit and takes
 * the inode's lock). The space of a new file is rounded up to the offset alignment, and cut once all is written. For a
 * target that is grown or append-only nothing is reserved here.
 * @throws IoError ENOSPC if the bytes do not fit now, EFBIG if the file system could never hold them; an existing file is
 * untouched then
 */
export function reserve(target: Target, size: number): void {
  const { baseOffset, keepsRest, existingBytes, isResumed } = target;
  // For a small file fallocate itself may find out: it takes next to nothing of a full disk before it fails.
  if (size > SMALL_FILE_BYTES_MAX || existingBytes > 0) assertRoom(target, size);
  if (existingBytes > 0 && !keepsRest && !isResumed) cutFileOrThrow(target.fd, target.path, 0);
  if (size === 0 || target.isGrown || target.appendsOnly) return;
  // Behind the range may be bytes of another write: not a byte more than the request's.
  const length = keepsRest ? size : roundUp(size, target.alignment.offset);
  let result = native.fallocate(target.fd, baseOffset, length);
  // XFS requires free space for the whole range, even for what is allocated already.
  if (result === -ENOSPC && (keepsRest || isResumed)) result = fillGaps(target.fd, baseOffset, length);
  if (result === -EOPNOTSUPP || result === -ENOSYS) {
    result = baseOffset + length > existingBytes ? native.ftruncate(target.fd, baseOffset + length) : 0;
  }
  if (result >= 0) return;
  throw new IoError({ syscall: 'fallocate', errno: result, path: target.path, offset: baseOffset, length });
}

/**
 * Makes the target ready for a copy that keeps holes: a file of `size` bytes that is one hole, in which the data will be
 * written. No write extends it, and writes that allocate inside it are about as fast as after fallocate.
 * @throws IoError as reserve() does, for the `dataBytes` that will be written
 */
export function reserveSparse(target: Target, size: number, dataBytes: number): void {
  assertRoom(target, dataBytes);
  if (target.existingBytes > 0 && !target.isResumed) cutFileOrThrow(target.fd, target.path, 0);
  truncateTo(target, roundUp(size, target.alignment.offset));
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
  const { baseOffset, keepsRest, existingBytes, alignment } = target;
  const end = baseOffset + size;
  const fileEnd = keepsRest ? Math.max(end, existingBytes) : end;
  if (grew || roundUp(end, alignment.offset) > fileEnd) truncateTo(target, fileEnd);
}
