/**
 * Indirect blocks, which list a file's other blocks, are on the disk before the inode lists them: for files without extents
 * on a file system without a journal (ext2).
 *
 * There the flush of a neighbour in the inode table writes a growing file's inode too, but its indirect blocks are written
 * with its own flush, at its end. After a power loss in between they hold what they held for an earlier owner. `e2fsck -y`
 * takes that for a list, and zeroes what cannot be the number of a block, also in the blocks that it leads to: those may
 * belong to a file that was acknowledged long before.
 *
 * In a file with the attribute S (chattr +S) the kernel writes each of them, and waits for it, before it changes the inode.
 * So a file has the attribute while one block behind each of them is written, before its bytes are.
 */
import { constants } from 'node:os';
import { fileSystemOf } from '@penstock/disk';
import { native } from '@penstock/native';

const { EDQUOT, ENOSPC } = constants.errno;

// <linux/fs.h>, of FS_IOC_GETFLAGS.
const FS_SYNC_FL = 0x8;
const FS_EXTENT_FL = 0x80000;

/** Of ext2, ext3 and ext4: so many blocks are listed by the inode itself. */
const LISTED_BY_INODE = 12;
const LISTED_BYTES = 4;

/** Each costs a flush, in a call, and a stop waits for no more than these: the kernel writes the rest when it likes. */
const INDIRECT_BLOCKS_MAX = 16;

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
