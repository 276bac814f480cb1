/** Which file systems commit all their changes together, so that one flush may serve many files. */
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { EXT4_MAGIC, XFS_MAGIC } from './file-system-types.ts';
import type { Device, FileSystem } from './stat.ts';

/** By device and file system: sysfs and mountinfo are too slow to be asked for every file. */
const known = new Map<string, boolean>();

/**
 * True if an fsync of a directory makes every change durable that came before the newest one in that directory,
 * whichever files they were in: written with direct I/O, their bytes are in the device and their blocks, sizes and
 * names in the journal, which is committed in order and after a flush of the device.
 *
 * So it is on ext4 with a journal (jbd2_complete_transaction in ext4_sync_file) and on XFS (xfs_log_force_seq in
 * xfs_dir_fsync). Where it cannot be seen to be so, it is false.
 */
export function commitsTogether({ type, id }: FileSystem, device: Device): boolean {
  if (type !== EXT4_MAGIC && type !== XFS_MAGIC) return false;
  const key = `${device.major}:${device.minor}:${id}`;
  let together = known.get(key);
  if (together === undefined) {
    together = type === XFS_MAGIC ? isOnOneDevice(device) : hasInternalJournal(device);
    known.set(key, together);
  }
  return together;
}

/**
 * True if a file that is replaced, removed or cut keeps its blocks on the disk after every other file's fsync
 * (freed-blocks.ts): ext4 without a journal, and ext2. Where a journal cannot be seen it is true: that costs a flush.
 */
export const forgetsFreed = (fileSystem: FileSystem, device: Device): boolean =>
  fileSystem.type === EXT4_MAGIC && !commitsTogether(fileSystem, device);

/**
 * The journal's inode is 8 in the file system itself. One on another device stands there under that one's name, and its
 * commit does not flush the device of the data.
 */
function hasInternalJournal({ major, minor }: Device): boolean {
  try {
    return existsSync(`/proc/fs/jbd2/${basename(readlinkSync(`/sys/dev/block/${major}:${minor}`))}-8`);
  } catch {
    return false; // no sysfs in this container
  }
}

/** A commit of XFS's log does not flush a realtime device, which files may lie on beside the main one. */
function isOnOneDevice({ major, minor }: Device): boolean {
  const mounts = readFileSync('/proc/self/mountinfo', 'latin1')
    .split('\n')
    .filter((line) => line.split(' ')[2] === `${major}:${minor}`);
  return mounts.length > 0 && mounts.every((line) => !/[ ,](rtdev|logdev)=/.test(line));
}
