/**
 * Indirect blocks, which list a file's other blocks, are on the disk before the inode lists them: for files without extents
 * on a file system without a journal (ext2).
 *
 * There the flush of a neighbour in the inode table writes a growing file's inode too, but its indirect blocks are written
 * with its own flush, at its end. After a power loss in between they hold what they held for an earlier owner. `e2fsck -y`
 * takes that for a list, and zeroes what cannot be the number of a block, also in the blocks that it leads to: those may
 * belong to a file that was acknowledged long before.
 *
 * So one block behind each of them is written before the file's bytes are. A new file gets its name only after they are
 * flushed: of a file without a name e2fsck follows nothing, whatever the disk has lost. One that is written in place has the
 * attribute S (chattr +S) meanwhile, with which the kernel writes each of them, and waits for it, before it changes the
 * inode: then only a power loss before the flush after it can meet the one without the other.
 */
import { constants } from 'node:os';
import { type FileSystem, fileSystemOf } from '@penstock/disk';
import { native } from '@penstock/native';

const { EDQUOT, ENOENT, ENOSPC } = constants.errno;

// <linux/fs.h>, of FS_IOC_GETFLAGS.
const FS_SYNC_FL = 0x8;
const FS_EXTENT_FL = 0x80000;

/** Of ext2, ext3 and ext4: so many blocks are listed by the inode itself. */
const LISTED_BY_INODE = 12;
const LISTED_BYTES = 4;

/** Each costs a write, or a flush, in a call, and a stop waits for no more than these: the kernel writes the rest when it likes. */
const INDIRECT_BLOCKS_MAX = 16;

/** Flags of openat(2) for a file that has a name. */
const NAMED = native.O_CREAT | native.O_EXCL | native.O_NOFOLLOW;

/**
 * Makes the file `name`, which is to have `size` bytes, with its indirect blocks: a descriptor, or -errno; null if it needs
 * none, or they have to be allocated later. It has no name until they are flushed, and of such a file e2fsck follows nothing.
 * @param flags of openat(2)
 */
export function createIndirect(
  dirFd: number,
  name: string,
  flags: number,
  permissions: number,
  size: number | null,
  { blockBytes }: FileSystem,
): number | null {
  if (size === null || size <= LISTED_BY_INODE * blockBytes) return null;
  const directoryFlags = native.fileFlags(dirFd);
  // Where files have extents, directories have.
  if (directoryFlags < 0 || (directoryFlags & FS_EXTENT_FL) !== 0) return null;
  const fd = native.openat(dirFd, '.', (flags & ~NAMED) | native.O_TMPFILE, permissions);
  if (fd < 0) return null;
  let result = touchBehindEach(fd, blockBytes, blockBytes, size);
  if (result === 0) result = native.fsync(fd);
  const path = `/proc/self/fd/${fd}`;
  if (result === 0) result = native.linkat(native.AT_FDCWD, path, dirFd, name, native.AT_SYMLINK_FOLLOW);
  if (result === 0) return fd;
  native.close(fd);
  return result === -ENOENT ? null : result; // there is no /proc
}

const ZEROS_BYTES = 65_536;
let zeros = 0;

/**
 * Allocates them for an open file without blocks, whose length is to be `length`: 0 or -errno.
 * @param touchBytes what a direct write to it is a multiple of
 */
export function allocateIndirect(fd: number, path: string, touchBytes: number, length: number): number {
  const { blockBytes } = fileSystemOf(fd, path);
  if (length <= LISTED_BY_INODE * blockBytes) return 0;
  const flags = native.fileFlags(fd);
  if (flags < 0 || (flags & FS_EXTENT_FL) !== 0) return 0;
  if (native.setFileFlags(fd, flags | FS_SYNC_FL) < 0) return 0;
  const result = touchBehindEach(fd, blockBytes, touchBytes, length);
  native.setFileFlags(fd, flags);
  return result;
}

function touchBehindEach(fd: number, blockBytes: number, touchBytes: number, length: number): number {
  if (zeros <= 0) zeros = native.mmap(ZEROS_BYTES, native.PROT_READ, native.MAP_PRIVATE | native.MAP_ANONYMOUS, -1);
  const step = (blockBytes / LISTED_BYTES) * blockBytes;
  let offset = LISTED_BY_INODE * blockBytes;
  for (let count = 0; offset < length && count < INDIRECT_BLOCKS_MAX; count += 1) {
    const result = native.pwrite(fd, zeros, touchBytes, offset);
    // Any other failure meets the rows too.
    if (result === -ENOSPC || result === -EDQUOT) return result;
    offset += step;
  }
  return 0;
}
