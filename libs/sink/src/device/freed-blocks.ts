/**
 * Blocks that change their owner on a file system without a journal (ext4 made so, ext2).
 *
 * There an fsync writes out its own file and no other. A file that was replaced, removed or cut keeps its blocks on the
 * disk until the kernel happens to write out its inode, half a minute later; whichever file gets the blocks meanwhile is
 * flushed and acknowledged. After a power loss both own them, and e2fsck gives each its own copy, in blocks that it
 * believes to be free and that may be those of yet another acknowledged file. Or its inode is written out too early, for
 * one that shares its block of the inode table was flushed: it has lost its last name then, and the directory still leads
 * to it. e2fsck removes that entry, and neither the old file nor the new one is there.
 *
 * So a file that is replaced first changes names with the new one. The directory is flushed; then the old file loses the
 * name of the part, is flushed itself, and only then closed: its descriptor keeps its blocks until nothing on the disk
 * says that they are its own. A file that is removed is closed after the same flushes. The blocks of one that is cut are
 * free at once; it is flushed right afterwards, before anything else is done.
 *
 * The other remedy, a syncfs before a write is acknowledged, covers other programs' deletions too, but waits for all that
 * anybody has in the page cache of the disk, inside a call that no iocb can carry. It is the last resort here.
 */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { forgetsFreed, fileSystemOf, statAt } from '@penstock/disk';

const { EISDIR, ENOENT } = constants.errno;

/** Nothing stands there. */
export const NO_FILE = -1;
/** It cannot be opened: only a syncfs can flush its end. */
export const CLOSED_FILE = -2;

/** Whether the file system of the open file or directory `fd` is of this kind. */
function isForgetful(fd: number): boolean {
  const stat = statAt(fd, '');
  return typeof stat !== 'number' && forgetsFreed(fileSystemOf(fd, ''), stat.device);
}

/** The descriptor that keeps the blocks of what has this name, or one of the two above. */
function holdFile(dirFd: number, name: string): number {
  const fd = native.openat(dirFd, name, native.O_RDONLY | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  if (fd >= 0) return fd;
  return fd === -ENOENT ? NO_FILE : CLOSED_FILE;
}

/** What a rename has replaced, on such a file system: to be flushed once the directory is. */
export interface Replaced {
  /** Keeps its blocks; or NO_FILE or CLOSED_FILE. */
  fd: number;
  /** The name that it has until then; null where it has none any more. */
  name: string | null;
}

/** Gives the file `from` the name `to`, whatever has it; notes that in `replaced` where it must. 0 or -errno. */
export function renameOver(dirFd: number, from: string, to: string, replaced: Replaced | null): number {
  const exchanged = replaced === null ? -ENOENT : native.renameat2(dirFd, from, dirFd, to, native.RENAME_EXCHANGE);
  // Nothing stands there; or the part is gone, and the rename says so.
  if (replaced === null || exchanged === -ENOENT) return native.renameat(dirFd, from, dirFd, to);
  if (exchanged === 0) {
    if (isDirectory(dirFd, from)) return exchangeBack(dirFd, from, to);
    replaced.name = from;
    const fd = holdFile(dirFd, from);
    replaced.fd = fd === NO_FILE ? CLOSED_FILE : fd; // another attempt has removed it already
    return 0;
  }
  // The old driver of ext2 does not know how; whatever else is wrong the rename says too.
  const fd = holdFile(dirFd, to);
  const result = native.renameat(dirFd, from, dirFd, to);
  if (result === 0) replaced.fd = fd;
  else if (fd >= 0) native.close(fd);
  return result;
}

/** A directory was made there since anybody looked; a plain rename is refused then. */
function exchangeBack(dirFd: number, from: string, to: string): number {
  const result = native.renameat2(dirFd, from, dirFd, to, native.RENAME_EXCHANGE);
  return result < 0 ? result : -EISDIR;
}

function isDirectory(dirFd: number, name: string): boolean {
  const stat = statAt(dirFd, name);
  return typeof stat !== 'number' && stat.isDirectory;
}

/** Removes `name` for good: 0 or -errno. Waits for a flush where it must; for what is seldom done. */
export function removeFile(dirFd: number, name: string): number {
  if (!isForgetful(dirFd)) return native.unlinkat(dirFd, name);
  const fd = holdFile(dirFd, name);
  const result = native.unlinkat(dirFd, name);
  if (result === 0) flushRemoved(dirFd, fd);
  if (fd >= 0) native.close(fd);
  return result;
}

/** The open file has just lost its name in the directory `dirFd`. What fails here is found by whoever gets the blocks. */
export function flushRemoved(dirFd: number, fd: number): void {
  native.fsync(dirFd);
  if (fd >= 0) native.fsync(fd);
  else if (fd === CLOSED_FILE) native.syncfs(dirFd);
}

/** Cuts the open file to `end` bytes, and flushes that where it must: 0 or -errno. */
export function cutFile(fd: number, end: number): number {
  const result = native.ftruncate(fd, end);
  return result < 0 || !isForgetful(fd) ? result : native.fsync(fd);
}
