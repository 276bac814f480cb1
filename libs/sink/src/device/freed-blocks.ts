/**
 * Replaces, removes and cuts files without giving their blocks away too early, on file systems without a journal (ext4 made
 * so, ext2).
 *
 * There an fsync writes out its own file and no other. The inode of a file that was replaced, removed or cut still lists its
 * blocks on the disk until the kernel happens to write it out, half a minute later; meanwhile another file may get the
 * blocks, be flushed and be acknowledged. After a power loss both own them, and e2fsck copies them for each, into blocks
 * that it believes to be free and that may belong to yet another acknowledged file. Or the inode is written out too early,
 * because one in the same block of the inode table was flushed: then it has no name any more while the directory on the disk
 * still leads to it. e2fsck removes that entry, and neither the old file nor the new one is there.
 *
 * So a file that is replaced first exchanges names with the new one. The directory is flushed; then the old file loses the
 * temporary name, is flushed itself, and only then closed: its descriptor keeps the blocks until nothing on the disk lists
 * them as its own. A file that is removed is closed after the same flushes. The blocks of a file that is cut are free at
 * once, so it is flushed right after, before anything else is done.
 *
 * The other remedy is a syncfs before a write is acknowledged. It covers deletions by other programs too, but waits for all
 * that the page cache has for the disk, in a call that no iocb can carry. Here it is the last resort.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { forgetsFreed, fileSystemOf, freesAtOnce, statAt } from '@penstock/disk';
import { Freeing } from './freeing.ts';

const { EISDIR, ENOENT } = constants.errno;

/** Instead of a descriptor: there is no such file. */
export const NO_FILE = -1;
/** Instead of a descriptor: the file cannot be opened, so only a syncfs can flush its removal. */
export const CLOSED_FILE = -2;

const FREED_HERE = new Freeing();

/** True if the open file `fd` is on such a file system. */
function isForgetful(fd: number): boolean {
  const stat = statAt(fd, '');
  return typeof stat !== 'number' && forgetsFreed(fileSystemOf(fd, ''), stat.device);
}

/** Opens the file `name`, so that its blocks are kept: a descriptor, NO_FILE or CLOSED_FILE. */
function holdFile(dirFd: number, name: string): number {
  const fd = native.openat(dirFd, name, native.O_RDONLY | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  if (fd >= 0) return fd;
  return fd === -ENOENT ? NO_FILE : CLOSED_FILE;
}

/** What a rename has replaced: on such a file system it is to be flushed after the directory. */
export interface Replaced {
  /** Keeps the blocks of the replaced file; or NO_FILE or CLOSED_FILE. */
  fd: number;
  /** The name that it has until then; null if it has none. */
  name: string | null;
}

/**
 * Renames the file `from` to `to`, in place of what has that name: 0 or -errno.
 * @param replaced filled with what was replaced; null on a file system with a journal
 */
export function renameOver(dirFd: number, from: string, to: string, replaced: Replaced | null): number {
  const exchanged = replaced === null ? -ENOENT : native.renameat2(dirFd, from, dirFd, to, native.RENAME_EXCHANGE);
  // There is no file `to`; or `from` is gone, which the rename reports.
  if (replaced === null || exchanged === -ENOENT) return native.renameat(dirFd, from, dirFd, to);
  if (exchanged === 0) {
    if (isDirectory(dirFd, from)) return exchangeBack(dirFd, from, to);
    replaced.name = from;
    const fd = holdFile(dirFd, from);
    replaced.fd = fd === NO_FILE ? CLOSED_FILE : fd; // NO_FILE: another attempt has removed it already
    return 0;
  }
  // The old driver of ext2 knows no exchange; any other error is reported by the rename too.
  const fd = holdFile(dirFd, to);
  const result = native.renameat(dirFd, from, dirFd, to);
  if (result === 0) replaced.fd = fd;
  else if (fd >= 0) native.close(fd);
  return result;
}

/**
 * The same on a file system with a journal, if the file that is replaced is so large that another thread is to free it:
 * `replaced` gets a descriptor of it.
 */
export function renameKeeping(dirFd: number, from: string, to: string, replaced: Replaced): number {
  const fd = keepFile(dirFd, to);
  const result = native.renameat(dirFd, from, dirFd, to);
  if (result === 0) replaced.fd = fd;
  else if (fd >= 0) native.close(fd);
  return result;
}

/** Keeps the blocks of the file `name`, whatever its permissions are: a descriptor or NO_FILE. */
function keepFile(dirFd: number, name: string): number {
  const fd = native.openat(dirFd, name, native.O_PATH | native.O_NOFOLLOW, 0);
  return fd >= 0 ? fd : NO_FILE;
}

/** A directory was made under the name since it was checked. A plain rename would be refused, so this one is undone. */
function exchangeBack(dirFd: number, from: string, to: string): number {
  const result = native.renameat2(dirFd, from, dirFd, to, native.RENAME_EXCHANGE);
  return result < 0 ? result : -EISDIR;
}

function isDirectory(dirFd: number, name: string): boolean {
  const stat = statAt(dirFd, name);
  return typeof stat !== 'number' && stat.isDirectory;
}

/**
 * Removes `name`: 0 or -errno. On such a file system it waits for flushes, so it is for what is seldom done.
 * @param freeing frees its blocks if they are many; absent: this thread does
 */
export function removeFile(dirFd: number, name: string, freeing: Freeing = FREED_HERE): number {
  const stat = statAt(dirFd, name);
  if (typeof stat === 'number') return stat;
  const { device, linkCount, allocatedBytes } = stat;
  const fileSystem = fileSystemOf(dirFd, '');
  const forgets = forgetsFreed(fileSystem, device);
  const bytes = linkCount === 1 && freesAtOnce(fileSystem.type) ? allocatedBytes : 0;
  let fd = NO_FILE;
  if (forgets) fd = holdFile(dirFd, name);
  else if (freeing.takes(bytes)) fd = keepFile(dirFd, name);
  const result = native.unlinkat(dirFd, name);
  if (result === 0 && forgets) flushRemoved(dirFd, fd);
  if (fd >= 0) freeing.close(fd, bytes, device);
  return result;
}

/** Flushes an open file that has just lost its name in the directory `dirFd`. A failure is not reported. */
export function flushRemoved(dirFd: number, fd: number): void {
  native.fsync(dirFd);
  if (fd >= 0) native.fsync(fd);
  else if (fd === CLOSED_FILE) native.syncfs(dirFd);
}

/** Cuts the open file to `end` bytes, and flushes that on such a file system: 0 or -errno. */
export function cutFile(fd: number, end: number): number {
  const result = native.ftruncate(fd, end);
  return result < 0 || !isForgetful(fd) ? result : native.fsync(fd);
}

/** Cuts the open file at `path` in the same way. @throws IoError */
export function cutFileOrThrow(fd: number, path: string, end: number): void {
  const result = cutFile(fd, end);
  if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path, length: end });
}
