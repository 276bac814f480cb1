/**
 * Where a file that others see really ends, while and after somebody writes beyond it. Its size runs ahead of its bytes by
 * the rows in flight, which would be zeros for ever if their writer died: so what it is about to do is recorded with the
 * file, and the next write in the same file cuts off what has not come.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { readBlock } from './edges.ts';
import { cutFile } from '../device/freed-blocks.ts';
import { BLOCK_BYTES_MAX } from '@penstock/disk';

const { ENXIO } = constants.errno;

const ATTRIBUTE = 'user.penstock.growing';
const TEXT_BYTES_MAX = 128;
/** Direct reads that are aligned to it are taken everywhere. */
const PAGE_BYTES = 4096;

/** What a writer records before the file is longer than its bytes. All are file offsets. */
export interface SeenEnd {
  /** Up to here the bytes stand for sure. */
  sure: number;
  /**
   * So long the file becomes at most, in whole steps of `step` before that: at another length somebody else has written
   * in it.
   */
  size: number;
  step: number;
  /** Where the last byte will be, once that is known: what is behind it is the padding of the last row. */
  last: number | null;
}

/** False where that cannot be kept: there are no attributes here, or none for us. */
export function recordSeenEnd(fd: number, { sure, size, step, last }: SeenEnd): boolean {
  return native.fsetxattr(fd, ATTRIBUTE, Buffer.from(`${sure} ${size} ${step} ${last ?? '-'}`)) === 0;
}

export function forgetSeenEnd(fd: number): void {
  native.fremovexattr(fd, ATTRIBUTE);
}

function readSeenEnd(fd: number): SeenEnd | null {
  const value = new Uint8Array(new ArrayBuffer(TEXT_BYTES_MAX));
  const length = native.fgetxattr(fd, ATTRIBUTE, value);
  if (length <= 0) return null;
  const text = Buffer.from(value.buffer, 0, length).toString('latin1');
  const [, sure, size, step, last] = /^(\d+) (\d+) ([1-9]\d*) (\d+|-)$/.exec(text) ?? [];
  if (sure === undefined) return null;
  return { sure: Number(sure), size: Number(size), step: Number(step), last: last === '-' ? null : Number(last) };
}

/**
 * Cuts off what a dead writer left behind its bytes in an open file, whose lock is ours; returns how long the file is. Rows
 * that were not written are holes, or space that was reserved and never written, which the file system tells apart from
 * bytes; behind the first of them nothing was told to be there. @throws IoError
 */
export function cutDeadEnd(fd: number, path: string, fileBytes: number): number {
  const seen = readSeenEnd(fd);
  if (seen === null) return fileBytes;
  const { sure, size, step } = seen;
  const isAsLeft = fileBytes > sure && fileBytes <= size && (size - fileBytes) % step === 0;
  const end = isAsLeft ? realEnd(fd, path, fileBytes, seen) : fileBytes;
  if (end < fileBytes) {
    const result = cutFile(fd, end);
    if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path, length: end });
  }
  forgetSeenEnd(fd);
  return end;
}

function realEnd(fd: number, path: string, fileBytes: number, { sure, last }: SeenEnd): number {
  // A file without extents shows what is only in the page cache as a hole.
  const flushed = native.fdatasync(fd);
  if (flushed < 0) throw new IoError({ syscall: 'fdatasync', errno: flushed, path });
  // And zeros that somebody has read from reserved space are bytes to the file system while they are cached.
  native.dropPageCache(fd);
  const hole = native.lseek(fd, sure, native.SEEK_HOLE);
  if (hole < 0 && hole !== -ENXIO) throw new IoError({ syscall: 'lseek', errno: hole, path, offset: sure });
  const end = Math.min(fileBytes, hole < 0 ? fileBytes : hole, last === null ? fileBytes : Math.max(last, sure));
  return isOldBlock(fd, path, sure, end) ? sure : end;
}

/** True if the bytes end in the block in which they ended before: it is no hole, and says nothing of what came since. */
function isOldBlock(fd: number, path: string, sure: number, end: number): boolean {
  const start = sure - (sure % BLOCK_BYTES_MAX);
  if (end <= sure || end > start + BLOCK_BYTES_MAX) return false;
  const block = readBlock(fd, path, start, BLOCK_BYTES_MAX, PAGE_BYTES);
  return block.subarray(sure - start, end - start).every((byte) => byte === 0);
}
