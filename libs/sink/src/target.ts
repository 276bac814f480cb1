/**
 * The file being written: opened under a temporary name beside its final one, preallocated, cut to its exact size,
 * and renamed into place; or removed again when the write fails.
 */
import { hash } from 'node:crypto';
import { constants } from 'node:os';
import { IoError, RequestError, type WriteRequest, formatBytes } from '@penstock/contract';
import { native } from '@penstock/aio';
import { commitsTogether } from './journal.ts';
import { type Root, openParent } from './roots.ts';
import {
  type Alignment,
  type FileStat,
  type FileSystem,
  fileSystemOf,
  guessAlignment,
  statAt,
  statFd,
} from './stat.ts';

const { EAGAIN, EBUSY, EEXIST, EFBIG, EINVAL, EISDIR, ENOENT, ENOSPC, ENOSYS, EOPNOTSUPP, ESTALE } = constants.errno;

/** Up to this size a file is one iocb, and what every file costs besides its bytes is shared or spared. */
export const SMALL_FILE_BYTES_MAX = 524_288;

/** The extended attribute that tells a retry that the file standing there is its own first attempt's. */
const OWNER_ATTRIBUTE = 'user.penstock.job';

/** The temporary names of one job begin like this; `attemptToken` keeps a stalled attempt from touching a later one's. */
export const partPrefix = (jobKey: string): string => `.penstock-${jobKey}-`;
/** And those of one attempt end like this. */
export const partSuffix = (attemptToken: string): string => `-${attemptToken}.part`;
export const partName = (jobKey: string, attemptToken: string): string =>
  `.penstock-${jobKey}${partSuffix(attemptToken)}`;

/** The job's key in a temporary name; '' in any other. */
export const partKey = (name: string): string => /^\.penstock-([^-]+)-/.exec(name)?.[1] ?? '';

/** The key of the job that `jobName` names for ever, for the one file it writes or for this one of a bulk. */
export function jobKeyOf(jobName: string, { root, path }: Pick<WriteRequest, 'root' | 'path'>): string {
  return hash('sha256', `${jobName}\0${root}\0${path}`).slice(0, 16);
}

/** How one attempt names itself on disk. */
export interface AttemptIdentity {
  /** The same for every attempt of one job, different between jobs: letters and digits. */
  jobKey: string;
  /** Different for every attempt. */
  attemptToken: string;
  /** True when an earlier attempt of the job was begun: what it left may be taken over or removed. */
  again: boolean;
}

/** An open target. */
export interface Target {
  fd: number;
  /** The absolute path it will have, for messages. */
  path: string;
  direct: boolean;
  /** What keeps it from direct or asynchronous I/O, or from durability, where anything does. */
  modeReason: string | undefined;
  alignment: Alignment;
  dirFd: number;
  /** The group of writes that a flush of the directory serves (FlushGroups). */
  flushGroup: string;
  /** True if that flush makes the file's bytes durable too: no flush of its own is needed before it is published. */
  flushedTogether: boolean;
  /** Bytes of the file that stands there already and is written in place; not touched before reserve(). */
  existingBytes: number;
  /** Device and inode of the open file. */
  identity: string;
  /** The name that goes if the write fails: the temporary one, or one that this write made in place. */
  unpublishedName: string | null;
  finalName: string;
}

/**
 * Opens the target of `request` below `root`; what stands there is not changed. `originIdentity` is the source file's
 * device and inode, if there is one.
 * @throws IoError naming the call that failed; EBUSY where another write is at work in place
 * @throws RequestError where writing in place would destroy the source
 */
export function openTarget(
  root: Root,
  request: WriteRequest,
  identity: AttemptIdentity,
  originIdentity: string | undefined,
): Target {
  const { directory, name: finalName } = splitPath(request.path);
  const path = `${root.path}/${request.path}`;
  const dirFd = openParent(root, directory);
  let fd = -1;
  let made: string | null = null;
  try {
    const existing = refuseEarly(dirFd, finalName, path, request, identity, originIdentity);
    const atomic = request.publish === 'atomic';
    const name = atomic ? partName(identity.jobKey, identity.attemptToken) : finalName;
    // A fresh inode of ours alone, but for a file that is to be written where it stands.
    const fresh = atomic || !existing;
    // O_NONBLOCK: a FIFO swapped in must not hang the thread; regular files ignore it.
    const flags = native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK;
    const making = fresh ? native.O_CREAT | native.O_EXCL : 0;
    fd = native.openat(dirFd, name, flags | making | native.O_DIRECT, 0o666);
    const offered = fd !== -EINVAL;
    if (!offered) {
      // The file may exist by now: open(2) checks O_DIRECT after it has created the name.
      if (fresh) native.unlinkat(dirFd, name);
      fd = native.openat(dirFd, name, flags | making, 0o666);
    }
    if (fd < 0) throw openFailure(fd, path, request);
    const stat = statFd(fd, path);
    if (!stat.isFile) throw notRegular(path);
    if (!atomic) lockInPlace(fd, path);
    if (fresh) made = name; // not before it is locked: another write may have been quicker
    const fileSystem = fileSystemOf(fd, path);
    const mode = chooseMode(fd, path, stat, fileSystem, offered);
    if (request.mode === 'create') native.fsetxattr(fd, OWNER_ATTRIBUTE, Buffer.from(identity.jobKey));
    const { sizeBytes: existingBytes, identity: fileIdentity } = stat;
    // Without DIOALIGN (Linux 6.1) an encrypted file may go through the page cache and not tell.
    const directAndRenamed = atomic && mode.direct && stat.directAlignment !== null;
    const flush = chooseFlush(dirFd, path, stat, fileSystem, directAndRenamed);
    return {
      fd,
      path,
      dirFd,
      existingBytes,
      identity: fileIdentity,
      ...mode,
      ...flush,
      unpublishedName: made,
      finalName,
    };
  } catch (error) {
    if (made !== null) native.unlinkat(dirFd, made);
    if (fd >= 0) native.close(fd);
    native.close(dirFd);
    throw error;
  }
}

/** How the open file is to be written; takes O_DIRECT from a descriptor that it would do nothing for. */
function chooseMode(
  fd: number,
  path: string,
  { directAlignment, device }: FileStat,
  { inMemory, synchronousDirect }: FileSystem,
  offered: boolean,
): Pick<Target, 'direct' | 'modeReason' | 'alignment'> {
  let why: string | undefined;
  if (!offered) why = 'this file system does not offer O_DIRECT';
  else if (directAlignment?.offset === 0) why = 'this file does not support direct I/O (statx DIOALIGN says 0)';
  // Newer kernels accept O_DIRECT on tmpfs, and ignore it.
  if (inMemory) why = 'this file system keeps its files in memory: nothing on it survives power loss';
  if (why !== undefined) {
    if (offered) setBuffered(fd, path);
    return { direct: false, modeReason: why, alignment: { memory: 1, offset: 1 } };
  }
  const modeReason = synchronousDirect ? 'btrfs carries out direct I/O while it is submitted' : undefined;
  return { direct: true, modeReason, alignment: directAlignment ?? guessAlignment(device) };
}

/**
 * Whose flush serves the file. It covers the bytes only of a file that is `directAndRenamed`: those in the page cache
 * alone are in no journal, and one written in place changes no directory, so that flushing that need not commit anything.
 */
function chooseFlush(
  dirFd: number,
  path: string,
  { device }: FileStat,
  fileSystem: FileSystem,
  directAndRenamed: boolean,
): Pick<Target, 'flushGroup' | 'flushedTogether'> {
  const flushedTogether = directAndRenamed && commitsTogether(fileSystem, device);
  const flushGroup = flushedTogether ? `${device.major}:${device.minor}` : statFd(dirFd, path).identity;
  return { flushGroup, flushedTogether };
}

/** The directory of a request's path ('' is the root) and the name in it. */
export function splitPath(path: string): { directory: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { directory: slash === -1 ? '' : path.slice(0, slash), name: path.slice(slash + 1) };
}

/** In place, a name that appeared or went between the look and the open is a race: another try settles it. */
function openFailure(errno: number, path: string, request: WriteRequest): IoError {
  const raced =
    request.publish === 'in-place' && request.mode === 'replace' && (errno === -EEXIST || errno === -ENOENT);
  if (!raced) return new IoError({ syscall: 'openat', errno, path });
  return new IoError({ syscall: 'openat', errno: -EBUSY, path, hint: 'Another write makes or removes this file now.' });
}

const notRegular = (path: string): IoError =>
  new IoError({ syscall: 'openat', errno: -EINVAL, path, hint: 'What stands there is not a regular file.' });

/** One writer at a time: two writes in one file, or a woken stale one, would each make a lie of the other's result. */
function lockInPlace(fd: number, path: string): void {
  const locked = native.flock(fd, native.LOCK_EX | native.LOCK_NB);
  if (locked === 0) return;
  const hint = 'Another write is at work in this very file: try again when it has ended.';
  throw new IoError({ syscall: 'flock', errno: locked === -EAGAIN ? -EBUSY : locked, path, hint });
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
  if (!existing.isFile && !existing.isSymbolicLink) throw notRegular(path);
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
  if (!identity.again) return false;
  const fd = native.openat(dirFd, name, native.O_RDONLY | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  if (fd < 0) return false;
  const value = new Uint8Array(new ArrayBuffer(64));
  const length = native.fgetxattr(fd, OWNER_ATTRIBUTE, value);
  native.close(fd);
  return length > 0 && Buffer.from(value.buffer, 0, length).toString('latin1') === identity.jobKey;
}

/** Takes O_DIRECT from an open descriptor. @throws IoError */
function setBuffered(fd: number, path: string): void {
  const result = native.setStatusFlags(fd, 0);
  if (result < 0) throw new IoError({ syscall: 'fcntl', errno: result, path });
}

/**
 * Makes the target ready for `size` bytes: room is there, an existing file is emptied, and space is reserved, so that
 * no write extends the file: writes past the end are synchronous inside io_submit and take the inode's lock. Rounded
 * up to the offset alignment; the end is cut once all is written.
 * @throws IoError ENOSPC where they do not fit now, EFBIG where the file system could never hold them; what stood
 * there is untouched then
 */
export function reserve(target: Target, size: number): void {
  // For a small one fallocate itself may tell: what it took of a full disk before it failed is nothing.
  if (size > SMALL_FILE_BYTES_MAX || target.existingBytes > 0) assertRoom(target, size);
  if (target.existingBytes > 0) truncateTo(target, 0);
  if (size === 0) return;
  const length = roundUp(size, target.alignment.offset);
  let result = native.fallocate(target.fd, 0, length);
  if (result === -EOPNOTSUPP || result === -ENOSYS) result = native.ftruncate(target.fd, length);
  if (result < 0) throw new IoError({ syscall: 'fallocate', errno: result, path: target.path, offset: 0, length });
}

/**
 * Makes the target ready for a copy that keeps holes: `size` bytes, all of it one hole, of which only data is written.
 * No write extends it, which is what counts: writes that allocate inside it are about as fast as after fallocate.
 * @throws IoError as reserve() does, for the `dataBytes` that are to be written
 */
export function reserveSparse(target: Target, size: number, dataBytes: number): void {
  assertRoom(target, dataBytes);
  if (target.existingBytes > 0) truncateTo(target, 0);
  truncateTo(target, roundUp(size, target.alignment.offset));
}

// Asked first: fallocate itself would fill the disk before it failed.
function assertRoom(target: Target, size: number): void {
  const room = fileSystemOf(target.fd, target.path);
  if (room.totalBytes === 0) return; // a file system that does not tell
  const where = { syscall: 'fallocate', path: target.path, offset: 0, length: roundUp(size, target.alignment.offset) };
  if (size > room.totalBytes) {
    const hint = `The whole file system holds ${formatBytes(room.totalBytes)}: ask for less, or name a root on a larger one.`;
    throw new IoError({ ...where, errno: -EFBIG, hint });
  }
  // What the file in place takes up comes free as it is emptied.
  if (size > room.availableBytes + target.existingBytes) {
    const hint = `${formatBytes(size)} asked, ${formatBytes(room.availableBytes)} free: free some, or name another root.`;
    throw new IoError({ ...where, errno: -ENOSPC, hint });
  }
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** Cuts the file to its exact size. Only with nothing in flight: ftruncate waits for every write. @throws IoError */
export function truncateTo(target: Target, size: number): void {
  const result = native.ftruncate(target.fd, size);
  if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path: target.path, length: size });
}

/** Gives the file its final name; readers see the old file or the whole new one. @throws IoError */
export function publish(target: Target, request: WriteRequest, identity: AttemptIdentity): void {
  if (request.publish === 'atomic') {
    const from = target.unpublishedName!;
    let result =
      request.mode === 'create'
        ? renameNoReplace(target.dirFd, from, target.finalName)
        : native.renameat(target.dirFd, from, target.dirFd, target.finalName);
    if (result === -EEXIST && ownedBy(target.dirFd, target.finalName, identity)) {
      result = native.renameat(target.dirFd, from, target.dirFd, target.finalName);
    }
    if (result === -ENOENT) {
      // A later attempt of this job removed it: that one is in charge now. Another try is right where it is not.
      const hint = 'The partial file is gone: another attempt at this job removed it, or the directory went away.';
      throw new IoError({ syscall: 'renameat', errno: -ESTALE, path: target.path, hint });
    }
    if (result < 0) throw new IoError({ syscall: 'renameat', errno: result, path: target.path });
  }
  target.unpublishedName = null; // from here on a failure must not remove it
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
  const { dirFd, unpublishedName } = target;
  if (unpublishedName !== null) {
    // Under its lock, and only if the name is still this file's: it may have been replaced meanwhile.
    const standing = statAt(dirFd, unpublishedName);
    if (typeof standing !== 'number' && standing.identity === target.identity) native.unlinkat(dirFd, unpublishedName);
  }
  native.close(target.fd);
  native.close(dirFd);
}
