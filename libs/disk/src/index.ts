/** Disks as the kernel shows them: what lies where, on which device, and roots that no path of a job leaves. */
export { openBeneath, openDirectory, openParent } from './beneath.ts';
export { type RootDevice, deviceOf, nearestExisting, tagsOf } from './device.ts';
export { BTRFS_MAGIC, EXT4_MAGIC, freesAtOnce, isInMemory } from './file-system-types.ts';
export { flushDirectory, hasNoFsync } from './flush-directory.ts';
export { type Ground, groundOf } from './ground.ts';
export { commitsTogether, forgetsFreed } from './journal.ts';
export { type Mount, isWithin, lineage, mountOf, readMounts, unescapeName } from './mounts.ts';
export { lastMountId, readIdentity } from './root-identity.ts';
export { RootMounts } from './root-mounts.ts';
export { DIRECTORIES_MAX, NO_MOUNT, RootWords } from './root-words.ts';
export { type Root, type RootConfig, Roots } from './roots.ts';
export {
  type Alignment,
  BLOCK_BYTES_MAX,
  type Device,
  type FileStat,
  type FileSystem,
  fileSystemOf,
  guessAlignment,
  linkCountOf,
  statAt,
  statFd,
  timeKey,
} from './stat.ts';
