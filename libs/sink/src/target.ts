/**
 * The file being written: opened under a temporary name beside its final one, preallocated, cut to its exact size,
 * and renamed into place; or removed again when the write fails.
 */
import { constants } from 'node:os';
import { IoError, RequestError, type WriteRequest, formatBytes } from '@penstock/contract';
import { native } from '@penstock/aio';
import { type Root, openParent } from './roots.ts';
import { type Alignment, fileSystemRoom, guessAlignment, statAt, statFd } from './stat.ts';

const { EEXIST, EFBIG, EINVAL, EISDIR, ENOSPC, ENOSYS, EOPNOTSUPP } = constants.errno;

/** The extended attribute that tells a retry that the file standing there is its own first attempt's. */
const OWNER_ATTRIBUTE = 'user.penstock.job';

/** The temporary names of one job begin like this; `attemptToken` keeps a stalled attempt from touching a later one's. */
export const partPrefix = (jobKey: string): string => `.penstock-${jobKey}-`;
export const partName = (jobKey: string, attemptToken: string): string => `${partPrefix(jobKey)}${attemptToken}.part`;

/** How one attempt names itself on disk. */
export interface AttemptIdentity {
  /** The same for every attempt of one job, different between jobs: letters and digits. */
  jobKey: string;
  /** Different for every attempt. */
  attemptToken: string;
}

/** An open target. */
export interface Target {
  fd: number;
  /** The absolute path it will have, for messages. */
  path: string;
  direct: boolean;
  /** Why it is not direct, where it is not. */
  bufferedReason: string | undefined;
  alignment: Alignment;
  dirFd: number;
  /** Directories to fsync once the name is final: its own first. */
  directoryFds: number[];
  /** The name to clean up on failure; null for a file that was there before and is written in place. */
  partName: string | null;
  finalName: string;
}

/**
 * Opens the target of `request` below `root`. `originIdentity` is the source file's device and inode, if there is one.
 * @throws IoError naming the call that failed
 * @throws RequestError where writing in place would destroy the source
 */
export function openTarget(
  root: Root,
  request: WriteRequest,
  identity: AttemptIdentity,
  originIdentity: string | undefined,
): Target {
  const slash = request.path.lastIndexOf('/');
  const finalName = request.path.slice(slash + 1);
  const path = `${root.path}/${request.path}`;
  const parent = openParent(root, slash === -1 ? '' : request.path.slice(0, slash));
  let fd = -1;
  let made: string | null = null;
  try {
    const existing = refuseEarly(parent.fd, finalName, path, request, identity, originIdentity);
    const name = request.publish === 'atomic' ? partName(identity.jobKey, identity.attemptToken) : finalName;
    if (request.publish === 'atomic' || !existing) made = name;
    const fresh = request.publish === 'atomic' || (request.mode === 'create' && !existing);
    // A fresh inode of ours alone; in place, an existing file is emptied instead.
    const exclusive = fresh ? native.O_EXCL : native.O_TRUNC;
    // O_NONBLOCK: a FIFO swapped in must not hang the thread; regular files ignore it.
    const flags = native.O_RDWR | native.O_CREAT | native.O_NOFOLLOW | native.O_NONBLOCK | exclusive;
    let direct = true;
    let bufferedReason: string | undefined;
    fd = native.openat(parent.fd, name, flags | native.O_DIRECT, 0o666);
    if (fd === -EINVAL) {
      // The file may exist by now: open(2) checks O_DIRECT after it has created the name.
      if (made !== null) native.unlinkat(parent.fd, name);
      fd = native.openat(parent.fd, name, flags, 0o666);
      direct = false;
      bufferedReason = 'this file system does not offer O_DIRECT';
    }
    if (fd < 0) {
      if (fd === -EEXIST) made = null; // not ours to remove
      throw new IoError({ syscall: 'openat', errno: fd, path });
    }
    const stat = statFd(fd, path);
    if (!stat.isFile) throw new IoError({ syscall: 'openat', errno: -EINVAL, path, hint: 'It is not a regular file.' });
    let alignment: Alignment = { memory: 1, offset: 1 };
    if (direct && stat.directAlignment?.offset === 0) {
      direct = false;
      bufferedReason = 'this file does not support direct I/O (statx DIOALIGN says 0)';
      reopenBuffered(parent.fd, name, fd, path);
    } else if (direct) {
      alignment = stat.directAlignment ?? guessAlignment(stat.device);
    }
    if (request.mode === 'create') native.fsetxattr(fd, OWNER_ATTRIBUTE, Buffer.from(identity.jobKey));
    const directoryFds = [parent.fd, ...parent.newEntryFds];
    return { fd, path, direct, bufferedReason, alignment, dirFd: parent.fd, directoryFds, partName: made, finalName };
  } catch (error) {
    if (fd >= 0) native.close(fd);
    if (made !== null && fd >= 0) native.unlinkat(parent.fd, made);
    for (const directory of [parent.fd, ...parent.newEntryFds]) native.close(directory);
    throw error;
  }
}

/** What can be known to fail before a byte is written; returns whether the final name exists. */
function refuseEarly(
  dirFd: number,
  name: string,
  path: string,
  request: WriteRequest,
  identity: AttemptIdentity,
  originIdentity: string | undefined,
): boolean {
  const existing = statAt(dirFd, name);
  if (typeof existing === 'number') return false; // absent, or openat will say what is wrong
  if (existing.isDirectory) throw new IoError({ syscall: 'openat', errno: -EISDIR, path });
  if (request.mode === 'create' && !ownedBy(dirFd, name, identity)) {
    throw new IoError({ syscall: 'openat', errno: -EEXIST, path });
  }
  if (request.publish === 'in-place' && existing.identity === originIdentity) {
    // The contract compares names; only here is it known that two of them are one file.
    const accepted = 'another file: it is the file to be written, and writing it in place would destroy the source';
    throw new RequestError({ field: 'source.path', value: request.path, accepted });
  }
  return true;
}

/** True if the file `name` was published by an earlier attempt of the same job that died before it could say so. */
function ownedBy(dirFd: number, name: string, identity: AttemptIdentity): boolean {
  const fd = native.openat(dirFd, name, native.O_RDONLY | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  if (fd < 0) return false;
  const value = new Uint8Array(new ArrayBuffer(64));
  const length = native.fgetxattr(fd, OWNER_ATTRIBUTE, value);
  native.close(fd);
  return length > 0 && Buffer.from(value.buffer, 0, length).toString('latin1') === identity.jobKey;
}

/** Puts a descriptor without O_DIRECT in the place of `fd`, without a moment in which the number is free. */
function reopenBuffered(dirFd: number, name: string, fd: number, path: string): void {
  const buffered = native.openat(dirFd, name, native.O_RDWR | native.O_NOFOLLOW, 0);
  if (buffered < 0) throw new IoError({ syscall: 'openat', errno: buffered, path });
  const moved = native.dup3(buffered, fd);
  native.close(buffered);
  if (moved < 0) throw new IoError({ syscall: 'dup3', errno: moved, path });
}

/**
 * Reserves `size` bytes, so that no write extends the file: writes past the end are synchronous inside io_submit and
 * take the inode's lock. Rounded up to the offset alignment; the end is cut once all is written.
 * @throws IoError ENOSPC where they do not fit now, EFBIG where the file system could never hold them
 */
export function preallocate(target: Target, size: number): void {
  if (size === 0) return; // fallocate of 0 bytes is EINVAL
  const length = Math.ceil(size / target.alignment.offset) * target.alignment.offset;
  const room = fileSystemRoom(target.fd, target.path);
  const where = { syscall: 'fallocate', path: target.path, offset: 0, length };
  // Asked first: fallocate itself would fill the disk before it failed.
  if (room.totalBytes > 0 && size > room.totalBytes) {
    const hint = `The whole file system holds ${formatBytes(room.totalBytes)}: ask for less, or name a root on a larger one.`;
    throw new IoError({ ...where, errno: -EFBIG, hint });
  }
  if (room.totalBytes > 0 && size > room.availableBytes) {
    const hint = `${formatBytes(size)} asked, ${formatBytes(room.availableBytes)} free: free some, or name another root.`;
    throw new IoError({ ...where, errno: -ENOSPC, hint });
  }
  let result = native.fallocate(target.fd, 0, length);
  if (result === -EOPNOTSUPP || result === -ENOSYS) result = native.ftruncate(target.fd, length);
  if (result < 0) throw new IoError({ ...where, errno: result });
}

/** Cuts the file to its exact size. Only with nothing in flight: ftruncate waits for every write. @throws IoError */
export function truncateTo(target: Target, size: number): void {
  const result = native.ftruncate(target.fd, size);
  if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path: target.path, length: size });
}

/** Gives the file its final name; readers see the old file or the whole new one. @throws IoError */
export function publish(target: Target, request: WriteRequest, identity: AttemptIdentity): void {
  if (request.publish === 'atomic') {
    const from = target.partName!;
    let result =
      request.mode === 'create'
        ? renameNoReplace(target.dirFd, from, target.finalName)
        : native.renameat(target.dirFd, from, target.dirFd, target.finalName);
    if (result === -EEXIST && ownedBy(target.dirFd, target.finalName, identity)) {
      result = native.renameat(target.dirFd, from, target.dirFd, target.finalName);
    }
    if (result < 0) throw new IoError({ syscall: 'renameat', errno: result, path: target.path });
  }
  target.partName = null; // from here on a failure must not remove it
}

function renameNoReplace(dirFd: number, from: string, to: string): number {
  const result = native.renameat2(dirFd, from, dirFd, to, native.RENAME_NOREPLACE);
  if (result !== -EINVAL && result !== -ENOSYS) return result;
  // A file system that does not know the flag: a hard link is refused just as atomically where the name exists.
  const linked = native.linkat(dirFd, from, dirFd, to);
  return linked < 0 ? linked : native.unlinkat(dirFd, from);
}

/** Closes the target; removes what was not published. Nothing may be in flight. */
export function closeTarget(target: Target): void {
  native.close(target.fd);
  if (target.partName !== null) native.unlinkat(target.dirFd, target.partName);
  for (const fd of target.directoryFds) native.close(fd);
}
