/** Decides how a file is written: by direct I/O or through the page cache, and which flush makes its bytes durable. */
import { release } from 'node:os';
import { IoError, isAtLeast } from '@penstock/contract';
import { native } from '@penstock/native';
import {
  type Alignment,
  BTRFS_MAGIC,
  EXT4_MAGIC,
  type FileStat,
  type FileSystem,
  type Ground,
  type Root,
  commitsTogether,
  forgetsFreed,
  guessAlignment,
} from '@penstock/disk';
import { DIRECT_OFF, DIRECT_REFUSED } from '../device/direct-refused.ts';

// <linux/fs.h>, of FS_IOC_GETFLAGS.
const FS_EXTENT_FL = 0x80000;
const FS_NOCOW_FL = 0x800000;

/** Since Linux 6.14 btrfs writes through the page cache what it keeps checksums of, so that the two cannot differ. */
const SUMS_THROUGH_CACHE = isAtLeast(release(), [6, 14]);

/** How the bytes of a file are written. */
export interface TargetMode {
  /** True while its descriptor has O_DIRECT. */
  direct: boolean;
  /** True if its rows bypass the page cache; some file systems accept O_DIRECT and use the cache all the same. */
  bypassesCache: boolean;
  /** Why its I/O is not direct, not asynchronous or not durable; undefined if it is all of these. */
  modeReason: string | undefined;
  /** False if nothing of it survives power loss, whatever is flushed. */
  isKept: boolean;
  /** Multiples of which its rows' addresses, offsets and lengths are. */
  alignment: Alignment;
}

/** Which flush makes a file durable. */
export interface FlushMode {
  /** The name of the group of writes that share the flush of the directory (FlushGroups). */
  flushGroup: string;
  /** True if that flush makes the file's bytes durable too: no flush of its own is needed before it is published. */
  flushedTogether: boolean;
  /** True if the blocks of a removed or replaced file must be kept until its removal is flushed (freed-blocks.ts). */
  forgetsFreed: boolean;
}

/**
 * What was found out about a file and follows from its file system and its directory, but not from its bytes: of files that
 * are made in one directory within moments it is the same, so that the second one need not be asked.
 */
export interface FileFacts {
  stat: FileStat;
  ground: Ground;
  mode: TargetMode;
  /** Multiples of which its rows are: at least what direct I/O demands (`mode.alignment`). */
  alignment: Alignment;
  flush: FlushMode;
}

/** What is known of an open file before its mode is chosen. */
export interface ModeOrder {
  /** Why direct I/O is not to be used, if that is known already. */
  notDirect: string | undefined;
  /** True if every block that will be written is allocated already. */
  isAllocated: boolean;
}

/** Why the file was not opened for direct I/O, or is not to be used for it; undefined if no such reason is known yet. */
export function whyNotDirect(root: Root, offered: boolean, refused: boolean): string | undefined {
  if (root.direct === 'off') return DIRECT_OFF;
  if (!offered) return 'this file system does not offer O_DIRECT';
  return refused ? DIRECT_REFUSED : undefined;
}

/** How the open file is written; clears O_DIRECT of the descriptor if it would have no effect. @throws IoError */
export function chooseMode(
  fd: number,
  path: string,
  { directAlignment, device }: FileStat,
  ground: Ground,
  { notDirect, isAllocated }: ModeOrder,
): TargetMode {
  const isKept = ground.forgets === null;
  // Reported first: it is worse than being slow.
  const lost = isKept ? undefined : `${ground.forgets}: nothing on it survives power loss`;
  const unsupported = 'this file does not support direct I/O (statx DIOALIGN says 0)';
  const why = notDirect ?? (directAlignment?.offset === 0 ? unsupported : undefined);
  // Newer kernels accept O_DIRECT on tmpfs and ignore it; the reason `lost` is enough then.
  if (why !== undefined || ground.inMemory) {
    if (notDirect === undefined) setBuffered(fd, path);
    const modeReason = ground.inMemory ? lost : joinedReasons(lost, why);
    return { direct: false, bypassesCache: false, modeReason, isKept, alignment: { memory: 1, offset: 1 } };
  }
  const alignment = directAlignment ?? guessAlignment(device);
  const { bypassesCache, reason } = pathOfDirect(fd, ground, isAllocated);
  return { direct: true, bypassesCache, modeReason: joinedReasons(lost, reason), isKept, alignment };
}

/** Whether direct writes that are accepted bypass the page cache, and why not. */
function pathOfDirect(
  fd: number,
  { type }: Ground,
  isAllocated: boolean,
): { bypassesCache: boolean; reason: string | undefined } {
  if (type !== EXT4_MAGIC && type !== BTRFS_MAGIC) return PAST_THE_CACHE;
  const flags = native.fileFlags(fd);
  if (flags < 0) return PAST_THE_CACHE; // not known: an old kernel, or an overlay
  if (type === EXT4_MAGIC) return isAllocated || (flags & FS_EXTENT_FL) !== 0 ? PAST_THE_CACHE : NO_EXTENTS;
  if ((flags & FS_NOCOW_FL) !== 0) return PAST_THE_CACHE;
  return SUMS_THROUGH_CACHE ? BTRFS_SUMS : BTRFS_SYNCHRONOUS;
}

const PAST_THE_CACHE = { bypassesCache: true, reason: undefined };
const NO_EXTENTS = {
  bypassesCache: false,
  reason:
    'this file has no extents (a file system made as ext2 or ext3, or chattr -e): what is not allocated yet goes through the page cache, inside io_submit',
};
const BTRFS_SUMS = {
  bypassesCache: false,
  reason:
    'btrfs puts what it keeps checksums of through the page cache, inside io_submit (chattr +C on the directory: no checksums, and direct)',
};
const BTRFS_SYNCHRONOUS = { bypassesCache: true, reason: 'btrfs carries out direct I/O while it is submitted' };

/** Two reasons of a result as one; undefined if there is none. */
export const joinedReasons = (first: string | undefined, second: string | undefined): string | undefined =>
  first === undefined || second === undefined ? (first ?? second) : `${first}; ${second}`;

/**
 * Which flush makes the file durable. A flush that commits all changes together covers the bytes only if the file is
 * `directAndRenamed`: bytes in the page cache are in no journal, and a file written in place changes no directory, so that
 * the directory's flush need not commit anything.
 */
export function chooseFlush(
  parent: FileStat,
  { device }: FileStat,
  fileSystem: FileSystem,
  directAndRenamed: boolean,
): FlushMode {
  const isTogether = commitsTogether(fileSystem, device);
  const flushedTogether = directAndRenamed && isTogether;
  const flushGroup = flushedTogether ? `${device.major}:${device.minor}` : parent.identity;
  return { flushGroup, flushedTogether, forgetsFreed: !isTogether && forgetsFreed(fileSystem, device) };
}

/** Clears O_DIRECT of an open descriptor. @throws IoError */
function setBuffered(fd: number, path: string): void {
  const result = native.setStatusFlags(fd, 0);
  if (result < 0) throw new IoError({ syscall: 'fcntl', errno: result, path });
}
