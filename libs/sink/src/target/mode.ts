/** How a file is written: what direct I/O it is opened for, and where its bytes really go. */
import { release } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { BTRFS_MAGIC, EXT4_MAGIC, type Ground, type Alignment, type FileStat, guessAlignment } from '@penstock/disk';

// <linux/fs.h>, of FS_IOC_GETFLAGS.
const FS_EXTENT_FL = 0x80000;
const FS_NOCOW_FL = 0x800000;

/** Since Linux 6.14 btrfs writes through the page cache what it keeps checksums of, so that the two cannot differ. */
const SUMS_THROUGH_CACHE = isSince(release(), 6, 14);

export interface TargetMode {
  /** True while its descriptor has O_DIRECT. */
  direct: boolean;
  /** True where its rows go past the page cache; some file systems take O_DIRECT and do not. */
  bypassesCache: boolean;
  /** What keeps it from direct or asynchronous I/O, or from durability, where anything does. */
  modeReason: string | undefined;
  /** False where nothing of it survives power loss, whatever is flushed. */
  isKept: boolean;
  alignment: Alignment;
}

/** What is asked of an open file. */
export interface ModeOrder {
  /** Why it is not to be used for direct I/O, where that is known already. */
  notDirect: string | undefined;
  /** True where every block that is to be written is the file's by now. */
  isAllocated: boolean;
}

/** How the open file is to be written; takes O_DIRECT from a descriptor that it would do nothing for. @throws IoError */
export function chooseMode(
  fd: number,
  path: string,
  { directAlignment, device }: FileStat,
  ground: Ground,
  { notDirect, isAllocated }: ModeOrder,
): TargetMode {
  const isKept = ground.forgets === null;
  // Said first: it is worse than being slow.
  const lost = isKept ? undefined : `${ground.forgets}: nothing on it survives power loss`;
  const unsupported = 'this file does not support direct I/O (statx DIOALIGN says 0)';
  const why = notDirect ?? (directAlignment?.offset === 0 ? unsupported : undefined);
  // Newer kernels accept O_DIRECT on tmpfs, and ignore it; that nothing is kept says why.
  if (why !== undefined || ground.inMemory) {
    if (notDirect === undefined) setBuffered(fd, path);
    const modeReason = ground.inMemory ? lost : joined(lost, why);
    return { direct: false, bypassesCache: false, modeReason, isKept, alignment: { memory: 1, offset: 1 } };
  }
  const alignment = directAlignment ?? guessAlignment(device);
  const { bypassesCache, reason } = whereTheyGo(fd, ground, isAllocated);
  return { direct: true, bypassesCache, modeReason: joined(lost, reason), isKept, alignment };
}

/** What becomes of direct writes that are accepted. */
function whereTheyGo(
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

const joined = (first: string | undefined, second: string | undefined): string | undefined =>
  first === undefined || second === undefined ? (first ?? second) : `${first}; ${second}`;

/** Takes O_DIRECT from an open descriptor. @throws IoError */
function setBuffered(fd: number, path: string): void {
  const result = native.setStatusFlags(fd, 0);
  if (result < 0) throw new IoError({ syscall: 'fcntl', errno: result, path });
}

/** True if the kernel that calls itself `version` is this one or a newer one. */
function isSince(version: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}
