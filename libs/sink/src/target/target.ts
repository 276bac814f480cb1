/** The file being written: its record while it is open, and its closing. */
import { native } from '@penstock/native';
import { type Alignment, type FileStat, linkCountOf, statAt } from '@penstock/disk';
import type { Checkpoint } from '../attempt/checkpoint.ts';
import { type Replaced, flushRemoved } from '../device/freed-blocks.ts';
import { FREED_ELSEWHERE_BYTES_MIN, type Freeing } from '../device/freeing.ts';
import { type Span, WHOLE_FILE, spanFrom } from './edges.ts';
import type { Lengthening } from '../append/lengthening.ts';
import type { FlushMode, TargetMode } from './io-mode.ts';
import type { SharedDirectory } from './shared-directory.ts';

/** An open target. */
export interface Target extends TargetMode, FlushMode {
  fd: number;
  /** The absolute path that it will have, for messages. */
  path: string;
  dirFd: number;
  /** The directory, if other writes use it too; null if it is this one's own. */
  directory: SharedDirectory | null;
  /** True if readers see it under its final name while it is written. */
  isSeen: boolean;
  /** True if it grows with what arrives, and readers see it meanwhile: its size follows the rows (space/seen-growth.ts). */
  isGrown: boolean;
  /** True if its indirect blocks were allocated, and flushed, before it had a name (device/indirect-blocks.ts). */
  hasIndirect: boolean;
  /** What publishing has replaced, if `forgetsFreed` or `replacedBytes` are many. */
  readonly replaced: Replaced;
  /** How much becomes free with the file that is replaced, as far as was known when this one was opened. */
  readonly replacedBytes: number;
  /** What direct I/O on it demands; its rows may be aligned to more (`alignment`). */
  demands: Alignment;
  /** The size of the existing file that is written in place; nothing of that is changed before reserve(). */
  existingBytes: number;
  /** True if the rest of the file stays as it is: for an overwrite or an append. */
  keepsRest: boolean;
  /** True if the file only takes bytes behind its end, one write after the other (append/append-only.ts). */
  appendsOnly: boolean;
  /** The offset of the write's first byte in the file. */
  baseOffset: number;
  /** The checkpoint that the file has, or null. */
  checkpoint: Checkpoint | null;
  /** True if the existing bytes are this job's own: the file is not emptied. */
  isResumed: boolean;
  /** True if an earlier attempt has given it all its bytes and its final name. */
  isPublished: boolean;
  /** For a write that keeps the rest of the file: how a later attempt finds its place and its end; else null. */
  lengthening: Lengthening | null;
  /**
   * What the kernel reported about the file when it was opened. Of a new file in a shared directory it may be about another
   * that was made there before (FileFacts): all is the same but inode, times and permissions.
   */
  standing: FileStat;
  /** True if a file with the final name exists, which this one will replace. */
  replaces: boolean;
  /** True once closeInPlace() has restricted the permissions of a file that is written in place. */
  isClosed: boolean;
  /** What the replaced file had, or the request wants, and this file does not get. */
  readonly notKept: string[];
  /** The name that is removed if the write fails: the temporary one, or one that this write made in place; else null. */
  unpublishedName: string | null;
  finalName: string;
}

/** The range of the file that the write's bytes go to, in whole blocks of `align` bytes. @throws IoError */
export function spanOf({ fd, path, baseOffset, existingBytes, keepsRest }: Target, align: number): Span {
  return keepsRest ? spanFrom(fd, path, baseOffset, existingBytes, align) : WHOLE_FILE;
}

/**
 * Removes the file if it was not published, then closes it, which releases its lock. Nothing may be in flight.
 * @param bytesMax what it takes up at most
 */
export function closeTarget(target: Target, bytesMax: number, freeing: Freeing): void {
  const { dirFd, directory, unpublishedName } = target;
  if (unpublishedName !== null) {
    // While it is locked, and only if the name is still this file's: another file may have replaced it.
    const standing = statAt(dirFd, unpublishedName);
    const own = statAt(target.fd, '');
    const isOwn = typeof standing !== 'number' && typeof own !== 'number' && standing.identity === own.identity;
    if (isOwn) native.unlinkat(dirFd, unpublishedName);
  }
  // It was removed here, or replaced by another write while this one ended.
  const mayBeLarge = bytesMax >= FREED_ELSEWHERE_BYTES_MIN;
  const isGone = (target.forgetsFreed || mayBeLarge) && linkCountOf(target.fd) === 0;
  if (isGone && target.forgetsFreed) flushRemoved(dirFd, target.fd);
  freeing.close(target.fd, isGone && mayBeLarge ? allocatedBytesOf(target.fd) : 0, target.standing.device);
  if (directory === null) native.close(dirFd);
  else directory.release();
}

function allocatedBytesOf(fd: number): number {
  const stat = statAt(fd, '');
  return typeof stat === 'number' ? 0 : stat.allocatedBytes;
}
