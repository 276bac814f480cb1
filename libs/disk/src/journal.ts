/** Which file systems commit all their changes together, so that one flush may serve many files. */
import { existsSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { EXT4_MAGIC, XFS_MAGIC } from './file-system-types.ts';
import { readMounts } from './mounts.ts';
import type { Device, FileSystem } from './stat.ts';

/** What was found, by device and file system: sysfs and mountinfo are too slow to be read for every file. */
const known = new Map<string, boolean>();

/**
 * True if an fsync of a directory makes every change durable that came before the newest one in that directory, in
 * whichever files: the bytes, written by direct I/O, are in the device; the blocks, sizes and names are in the journal,
 * which is committed in order and after a flush of the device.
 *
 * This holds for ext4 with a journal (jbd2_complete_transaction in ext4_sync_file) and for XFS (xfs_log_force_seq in
 * xfs_dir_fsync). If it cannot be found out, it is false.
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
 * True if the file system may record the blocks of a removed, replaced or cut file as free before the removal itself is
 * durable (libs/sink, freed-blocks.ts): ext4 without a journal, and ext2. If no journal can be found it is true, at the
 * cost of a flush.
 */
export const forgetsFreed = (fileSystem: FileSystem, device: Device): boolean =>
  fileSystem.type === EXT4_MAGIC && !commitsTogether(fileSystem, device);

/**
 * jbd2 lists a journal in the file system itself as <device>-8, by its inode. A journal on another device is listed by
 * that device's name, and its commit does not flush the device of the data.
 */
function hasInternalJournal({ major, minor }: Device): boolean {
  try {
    return existsSync(`/proc/fs/jbd2/${basename(readlinkSync(`/sys/dev/block/${major}:${minor}`))}-8`);
  } catch {
    return false; // no sysfs in this container
  }
}

/** A commit of XFS's log does not flush a realtime device, which files may lie on instead of the main one. */
function isOnOneDevice({ major, minor }: Device): boolean {
  const mounts = readMounts().filter(({ device }) => device === `${major}:${minor}`);
  return mounts.length > 0 && !mounts.some(({ options }) => options.some((option) => /^(?:rt|log)dev=/.test(option)));
}
