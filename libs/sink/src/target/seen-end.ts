/**
 * The real end of a file that readers see while it grows. Its size runs ahead of its bytes by the rows in flight, which would
 * stay zeros if the writer died. So the writer records with the file what it is about to do, and the next write in the same
 * file cuts off what was not written.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { readBlock } from './edges.ts';
import { cutFileOrThrow } from '../device/freed-blocks.ts';
import { BLOCK_BYTES_MAX } from '@penstock/disk';

const { ENXIO } = constants.errno;

const ATTRIBUTE = 'user.penstock.growing';
const TEXT_BYTES_MAX = 128;
/** An alignment of direct reads that every file system accepts. */
const PAGE_BYTES = 4096;

/** What a writer records before the file is longer than its bytes. All are file offsets. */
export interface SeenEnd {
  /** Up to here all bytes are written. */
  sure: number;
  /**
   * The file becomes at most this long, and is shorter by whole steps of `step` before that. If it has any other length,
   * another program has written to it.
   */
  size: number;
  step: number;
  /** Where the last byte will be, if that is known: what is behind it is the padding of the last row. */
  last: number | null;
}

/** Records it with the open file; false if the file system keeps no attributes, or refuses this one. */
export function recordSeenEnd(fd: number, { sure, size, step, last }: SeenEnd): boolean {
  return native.fsetxattr(fd, ATTRIBUTE, Buffer.from(`${sure} ${size} ${step} ${last ?? '-'}`)) === 0;
}

/** Removes the record. */
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
 * Cuts off what a dead writer has left behind its bytes in an open file that this write has locked; returns the file's size.
 * Rows that were not written are holes, or reserved space that was never written, which the file system distinguishes from
 * bytes; nothing behind the first of them was ever reported as written.
 * @throws IoError
 */
export function cutDeadEnd(fd: number, path: string, fileBytes: number): number {
  const recorded = readSeenEnd(fd);
  if (recorded === null) return fileBytes;
  const { sure, size, step } = recorded;
  const isAsLeft = fileBytes > sure && fileBytes <= size && (size - fileBytes) % step === 0;
  const end = isAsLeft ? realEnd(fd, path, fileBytes, recorded) : fileBytes;
  if (end < fileBytes) cutFileOrThrow(fd, path, end);
  forgetSeenEnd(fd);
  return end;
}

function realEnd(fd: number, path: string, fileBytes: number, { sure, last }: SeenEnd): number {
  // A file without extents shows what is only in the page cache as a hole.
  const flushed = native.fdatasync(fd);
  if (flushed < 0) throw new IoError({ syscall: 'fdatasync', errno: flushed, path });
  // And zeros that a program has read from reserved space count as bytes while they are in the page cache.
  native.dropPageCache(fd);
  const hole = native.lseek(fd, sure, native.SEEK_HOLE);
  if (hole < 0 && hole !== -ENXIO) throw new IoError({ syscall: 'lseek', errno: hole, path, offset: sure });
  const end = Math.min(fileBytes, hole < 0 ? fileBytes : hole, last === null ? fileBytes : Math.max(last, sure));
  return isOldBlock(fd, path, sure, end) ? sure : end;
}

/** True if `end` is only the end of the block in which the bytes ended before: that block is no hole in any case. */
function isOldBlock(fd: number, path: string, sure: number, end: number): boolean {
  const start = sure - (sure % BLOCK_BYTES_MAX);
  if (end <= sure || end > start + BLOCK_BYTES_MAX) return false;
  const block = readBlock(fd, path, start, BLOCK_BYTES_MAX, PAGE_BYTES);
  return block.subarray(sure - start, end - start).every((byte) => byte === 0);
}
