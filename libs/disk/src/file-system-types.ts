/** The numbers by which statfs(2) names kinds of file systems: <linux/magic.h>. */

/** The same for ext2, ext3 and ext4. */
export const EXT4_MAGIC = 0xef53;
export const XFS_MAGIC = 0x58465342;
export const BTRFS_MAGIC = 0x9123683e;
const TMPFS_MAGIC = 0x01021994;
const RAMFS_MAGIC = 0x858458f6;
export const OVERLAYFS_MAGIC = 0x794c7630;

/** True for file systems that keep their files in memory: nothing on them survives power loss. */
export const isInMemory = (type: number): boolean => type === TMPFS_MAGIC || type === RAMFS_MAGIC;

/**
 * True where the kernel frees a file's blocks inside the call that lets go of its last name or descriptor. Others leave that
 * to a server, and some (NFS) give a file that is still open another name when it is removed.
 */
export const freesAtOnce = (type: number): boolean =>
  type === EXT4_MAGIC || type === XFS_MAGIC || type === BTRFS_MAGIC || isInMemory(type);
