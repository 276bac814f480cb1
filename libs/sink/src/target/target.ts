/**
 * The file being written: its record while it is open, its closing, and the taking back of what a failed write did to it.
 */
import { native } from '@penstock/native';
import { type FileStat, statAt } from '@penstock/disk';
import { type Checkpoint, removeCheckpoint } from '../attempt/checkpoint.ts';
import { type Replaced, flushRemoved } from '../device/freed-blocks.ts';
import { type Span, WHOLE_FILE, spanFrom } from './edges.ts';
import type { Lengthening } from './lengthening.ts';
import type { FlushMode, TargetMode } from './mode.ts';

/** An open target. */
export interface Target extends TargetMode, FlushMode {
  fd: number;
  /** The absolute path it will have, for messages. */
  path: string;
  dirFd: number;
  /** True where readers see it under its name while it is written. */
  isSeen: boolean;
  /** True where its size follows the rows of a write that nobody repeats, and that may be longer than anybody knows. */
  isGrown: boolean;
  /** What publishing it has replaced, where that is so. */
  readonly replaced: Replaced;
  /** Bytes of the file that stands there already and is written in place; not touched before reserve(). */
  existingBytes: number;
  /** True where what stands around the bytes that are written stays: overwriting and appending. */
  keepsRest: boolean;
  /** True where the file takes bytes behind its end alone, one write after the other (append-only.ts). */
  appendsOnly: boolean;
  /** Where in the file the first byte goes. */
  baseOffset: number;
  /** What an earlier attempt recorded with this very file, or null. */
  checkpoint: Checkpoint | null;
  /** True where what stands there is this job's own already: it is not emptied. */
  isResumed: boolean;
  /** True where it has its final name and all of its bytes already: an earlier attempt's. */
  isPublished: boolean;
  /** Of a write that keeps the rest of the file: how a later attempt finds its place and its end again. */
  lengthening: Lengthening | null;
  /** Device and inode of the open file. */
  identity: string;
  /** The open file as it was when it was opened. */
  standing: FileStat;
  /** True where a file has the final name that this one will replace. */
  replaces: boolean;
  /** True once a file in place has been closed to whom it will be closed (closeInPlace). */
  isClosed: boolean;
  /** What a file that stood there had and this one has not. */
  readonly notKept: string[];
  /** The name that goes if the write fails: the temporary one, or one that this write made in place. */
  unpublishedName: string | null;
  finalName: string;
}

/** Where the target's bytes go, in whole blocks of `align` bytes. @throws IoError */
export function spanOf({ fd, path, baseOffset, existingBytes, keepsRest }: Target, align: number): Span {
  return keepsRest ? spanFrom(fd, path, baseOffset, existingBytes, align) : WHOLE_FILE;
}

/**
 * Takes back what a failed write did to a file that is not its own: what began at its end is cut off again. What was
 * overwritten stays so. Nothing may be in flight.
 */
export function takeBack({ fd, lengthening, unpublishedName }: Target): void {
  if (unpublishedName !== null) return;
  // A checkpoint speaks of bytes that are cut off next: the next attempt must not go on from them.
  lengthening?.takeBack(() => removeCheckpoint(fd));
}

/** Closes the target and with it its lock; removes what was not published. Nothing may be in flight. */
export function closeTarget(target: Target): void {
  const { dirFd, unpublishedName } = target;
  if (unpublishedName !== null) {
    // Under its lock, and only if the name is still this file's: it may have been replaced meanwhile.
    const standing = statAt(dirFd, unpublishedName);
    if (typeof standing !== 'number' && standing.identity === target.identity) native.unlinkat(dirFd, unpublishedName);
  }
  // Removed here, or replaced by another write while this one ended.
  if (target.forgetsFreed && hasNoName(target.fd)) flushRemoved(dirFd, target.fd);
  native.close(target.fd);
  native.close(dirFd);
}

function hasNoName(fd: number): boolean {
  const stat = statAt(fd, '');
  return typeof stat !== 'number' && stat.linkCount === 0;
}
