/** What the kernel reports about a file and its file system: kind, identity, sizes, and what direct I/O must be aligned to. */
import { readFileSync } from 'node:fs';
import { IoError } from '@penstock/contract';
import { fromWords, native } from '@penstock/native';
import { BTRFS_MAGIC } from './file-system-types.ts';

// <linux/stat.h>, struct statx: byte offsets.
const STX_MASK = 0;
const STX_ATTRIBUTES = 8;
const STX_NLINK = 16;
const STX_UID = 20;
const STX_GID = 24;
const STX_MODE = 28;
const STX_INO = 32;
const STX_SIZE = 40;
const STX_BLOCKS = 48;
const STX_CTIME = 96; // tv_sec i64, tv_nsec u32
const STX_MTIME = 112;
const STX_DEV_MAJOR = 136;
const STX_DEV_MINOR = 140;
const STX_DIO_MEM_ALIGN = 0x98;
const STX_DIO_OFFSET_ALIGN = 0x9c;
const STATX_NLINK = 0x4;
const STATX_BASIC_STATS = 0x7ff;
const STATX_DIOALIGN = 0x2000;

const STATX_ATTR_IMMUTABLE = 0x10;
const STATX_ATTR_APPEND = 0x20;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

const S_IFMT = 0o170000;
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

/**
 * What direct I/O must be multiples of: powers of two, `memory` for addresses, `offset` for lengths and file offsets. 1
 * requires nothing.
 */
export interface Alignment {
  memory: number;
  offset: number;
}

/** A block device's number. */
export interface Device {
  major: number;
  minor: number;
}

/** Whole seconds, and nanoseconds within the second. */
export interface Time {
  seconds: number;
  nanoseconds: number;
}

/** A time as text, as it stands in versions and checkpoints. */
export const timeKey = ({ seconds, nanoseconds }: Time): string => `${seconds}.${nanoseconds}`;

/** What statx(2) reports about a file. */
export interface FileStat {
  isFile: boolean;
  isDirectory: boolean;
  isSymbolicLink: boolean;
  sizeBytes: number;
  /** What it takes up on the disk: less than its size if it has holes. */
  allocatedBytes: number;
  /** Device and inode: the same for every name of the file. */
  identity: string;
  /** Its permission bits. If it has an ACL, the bits of the group are the ACL's mask, not the group's permissions. */
  permissions: number;
  /** When its content last changed; programs can set it. */
  modified: Time;
  /** When its content, attributes or names last changed; programs cannot set it. */
  changed: Time;
  /** How many names it has. */
  linkCount: number;
  /** The set-user-ID and set-group-ID bits. */
  setId: number;
  /** For a directory: a user may not remove or rename files of other users in it. */
  isSticky: boolean;
  /** chattr +i: nobody may change, rename, replace or remove it. */
  isImmutable: boolean;
  /** chattr +a: a file may only be written behind its end; in a directory, names may only be made. */
  isAppendOnly: boolean;
  /** Something is mounted on it. */
  isMountRoot: boolean;
  userId: number;
  groupId: number;
  device: Device;
  /** statx DIOALIGN (Linux 6.1); null if the file system does not report it. `offset` 0: the file has no direct I/O. */
  directAlignment: Alignment | null;
}

const buffer = new Uint8Array(new ArrayBuffer(native.STATX_BYTES));
const words = new DataView(buffer.buffer);

/**
 * Stats `path` below `dirFd`; if its last component is a symbolic link, the link itself. An empty path is `dirFd` itself.
 * Returns -errno on failure.
 */
export function statAt(dirFd: number, path: string): FileStat | number {
  const flags = native.AT_SYMLINK_NOFOLLOW | (path === '' ? native.AT_EMPTY_PATH : 0);
  const result = native.statx(dirFd, path, flags, STATX_BASIC_STATS | STATX_DIOALIGN, buffer);
  if (result < 0) return result;
  const mode = words.getUint16(STX_MODE, true);
  const attributes = words.getUint32(STX_ATTRIBUTES, true);
  const kind = mode & S_IFMT;
  const reportsAlignment = (words.getUint32(STX_MASK, true) & STATX_DIOALIGN) !== 0;
  const device = { major: words.getUint32(STX_DEV_MAJOR, true), minor: words.getUint32(STX_DEV_MINOR, true) };
  return {
    isFile: kind === S_IFREG,
    isDirectory: kind === S_IFDIR,
    isSymbolicLink: kind === S_IFLNK,
    sizeBytes: wholeAt(STX_SIZE),
    allocatedBytes: wholeAt(STX_BLOCKS) * 512,
    identity: `${device.major}:${device.minor}:${words.getUint32(STX_INO + 4, true)}.${words.getUint32(STX_INO, true)}`,
    permissions: mode & 0o777,
    modified: timeAt(STX_MTIME),
    changed: timeAt(STX_CTIME),
    linkCount: words.getUint32(STX_NLINK, true),
    setId: mode & 0o6000,
    isSticky: (mode & 0o1000) !== 0,
    isImmutable: (attributes & STATX_ATTR_IMMUTABLE) !== 0,
    isAppendOnly: (attributes & STATX_ATTR_APPEND) !== 0,
    isMountRoot: (attributes & STATX_ATTR_MOUNT_ROOT) !== 0,
    userId: words.getUint32(STX_UID, true),
    groupId: words.getUint32(STX_GID, true),
    device,
    directAlignment: reportsAlignment
      ? { memory: words.getUint32(STX_DIO_MEM_ALIGN, true), offset: words.getUint32(STX_DIO_OFFSET_ALIGN, true) }
      : null,
  };
}

// As two words: BigInts cost more than the system call.
const wholeAt = (offset: number): number => fromWords(words.getUint32(offset, true), words.getUint32(offset + 4, true));

const timeAt = (offset: number): Time => ({
  seconds: fromWords(words.getUint32(offset, true), words.getInt32(offset + 4, true)),
  nanoseconds: words.getUint32(offset + 8, true),
});

/** How many names the open file has, or -errno. */
export function linkCountOf(fd: number): number {
  const result = native.statx(fd, '', native.AT_EMPTY_PATH, STATX_NLINK, buffer);
  return result < 0 ? result : words.getUint32(STX_NLINK, true);
}

/** Stats an open descriptor. @throws IoError */
export function statFd(fd: number, path: string): FileStat {
  const stat = statAt(fd, '');
  if (typeof stat === 'number') throw new IoError({ syscall: 'statx', errno: stat, path });
  return stat;
}

/** The alignment to use if statx reports none: a page, or the device's logical block if that is larger. */
export function guessAlignment(device: Device): Alignment {
  const node = `/sys/dev/block/${device.major}:${device.minor}`;
  for (const file of [`${node}/queue/logical_block_size`, `${node}/../queue/logical_block_size`]) {
    try {
      const logical = Number(readFileSync(file, 'latin1'));
      if (logical > 0) return { memory: 4096, offset: Math.max(4096, logical) };
    } catch {
      // A partition has its queue one level up; network and virtual file systems have none.
    }
  }
  return { memory: 4096, offset: 4096 };
}

// struct statfs of 64-bit Linux: indexes of 32-bit words.
const STATFS_BYTES = 120;
const F_TYPE = 0;
const F_BSIZE = 2;
const F_BLOCKS = 4;
const F_BAVAIL = 8;
const F_FSID = 14;

/** The largest block of any disk or local file system; network file systems may report a megabyte and have no such blocks. */
export const BLOCK_BYTES_MAX = 65_536;

/** What statfs(2) reports about a file system. */
export interface FileSystem {
  /** Its magic number. */
  type: number;
  /** Distinguishes it from others that were mounted from the same device at other times. */
  id: string;
  /** The size of its blocks as it reports it, at least 512 and at most 64 KiB. */
  blockBytes: number;
  /** Bytes that this user may still take. */
  availableBytes: number;
  totalBytes: number;
  /** True if space that one call has reserved stays taken, even if the file is cut, as long as one byte of it is the file's. */
  keepsCutSpace: boolean;
}

/** The file system of an open descriptor. @throws IoError */
export function fileSystemOf(fd: number, path: string): FileSystem {
  const result = native.fstatfs(fd, statfsWords);
  if (result < 0) throw new IoError({ syscall: 'fstatfs', errno: result, path });
  const type = statfsWords[F_TYPE]!;
  const blockBytes = statfsNumber(F_BSIZE);
  return {
    type,
    id: `${statfsWords[F_FSID]}.${statfsWords[F_FSID + 1]}`,
    blockBytes: Math.min(BLOCK_BYTES_MAX, Math.max(512, blockBytes)),
    availableBytes: statfsNumber(F_BAVAIL) * blockBytes,
    totalBytes: statfsNumber(F_BLOCKS) * blockBytes,
    keepsCutSpace: type === BTRFS_MAGIC,
  };
}

const statfsWords = new Uint32Array(new ArrayBuffer(STATFS_BYTES));
const statfsNumber = (word: number): number => fromWords(statfsWords[word]!, statfsWords[word + 1]!);
