/**
 * Opens the file to be written, as a new file under a temporary name or as the existing one; locks it, and decides how it is
 * written.
 */
import { constants } from 'node:os';
import { IoError, RequestError, type WriteRequest, changesInPlace } from '@penstock/contract';
import {
  type Alignment,
  type FileStat,
  type Root,
  fileSystemOf,
  forgetsFreed,
  freesAtOnce,
  groundOf,
  openParent,
  statAt,
  statFd,
} from '@penstock/disk';
import { native } from '@penstock/native';
import type { Answers } from '../append/inquiry.ts';
import { readCheckpoint } from '../attempt/checkpoint.ts';
import { lockAlone } from '../attempt/lock.ts';
import { type AttemptIdentity, partKey, partName, splitPath } from '../attempt/parts.ts';
import { DIRECT_REFUSED, type RefusingDevices, reopenBuffered } from '../device/direct-refused.ts';
import { NO_FILE, removeFile } from '../device/freed-blocks.ts';
import type { Freeing } from '../device/freeing.ts';
import { createIndirect } from '../device/indirect-blocks.ts';
import { APPENDS_ONLY, assertFirstAppend } from '../append/append-only.ts';
import { closeTakenOver, modeOfFresh } from './attributes.ts';
import { refuseEarly } from './early-refusals.ts';
import { Lengthening } from '../append/lengthening.ts';
import { type FileFacts, chooseFlush, chooseMode, whyNotDirect } from './io-mode.ts';
import { markOwner, ownedBy } from './publish.ts';
import { renameOpenNoReplace } from './rename-new.ts';
import { cutDeadEnd } from './seen-end.ts';
import type { SharedDirectory } from './shared-directory.ts';
import type { Target } from './target.ts';

const { EBUSY, EEXIST, EINVAL, EISDIR, ENOENT } = constants.errno;

/** What openTarget() needs besides the request. */
export interface TargetOptions {
  identity: AttemptIdentity;
  /** True if takeOverPart() has given an earlier attempt's file this attempt's temporary name. */
  takenOver: boolean;
  /** True if an earlier attempt has published the file already, and it is only to be flushed and reported. */
  isPublished: boolean;
  /** Device and inode of the source file; undefined if there is none. */
  originIdentity: string | undefined;
  /** How many bytes will be written; null if that is known only at their end. */
  size: number | null;
  /** The queue's answers about other appends, as far as they were asked for. */
  answers: Answers;
  /** True if the file grows with what arrives, even if the size is declared. */
  grows: boolean;
  /** The devices of this thread that refuse direct I/O. */
  refusingDevices: RefusingDevices;
  /** The directory of the file, if this write shares it with others; null: it opens its own. */
  directory: SharedDirectory | null;
  freeing: Freeing;
  /**
   * Records each descriptor as it is opened, and -1 before it is closed: if the thread is terminated, the main thread closes
   * what is recorded. `index` is FD_TARGET or FD_DIRECTORY.
   */
  recordFd: (index: number, fd: number) => void;
}

/** The indexes of the target's descriptors in the job's control block. */
export const FD_TARGET = 0;
export const FD_DIRECTORY = 1;

/**
 * Opens the target of `request` below `root`. Nothing of an existing file is changed, except that an end which a dead write
 * has left is cut off.
 * @throws AnswerWanted if the queue has to be asked first
 * @throws IoError naming the call that failed; EBUSY if another write is at work in the file
 * @throws RequestError if writing in place would destroy the source
 */
export function openTarget(root: Root, request: WriteRequest, options: TargetOptions): Target {
  const { identity, takenOver, isPublished } = options;
  const { directory: shared } = options;
  const { directory, name: finalName } = splitPath(request.path);
  const path = `${root.path}/${request.path}`;
  const dirFd = shared?.fd ?? openParent(root, directory);
  if (shared === null) options.recordFd(FD_DIRECTORY, dirFd);
  let fd = -1;
  let made: string | null = null;
  try {
    const existing = standingAt(dirFd, finalName, path, request, options);
    const parent = shared?.stat ?? statFd(dirFd, path);
    refuseEarly(parent, existing, path, request, isPublished);
    const appendsOnly = request.mode === 'append' && existing?.isAppendOnly === true;
    const atomic = request.publish === 'atomic';
    // A new file, unless an existing one is written in place or gone on with.
    const fresh = atomic ? !takenOver && !isPublished : existing === null && request.mode !== 'overwrite';
    // A file that is created in place gets its final name once it is marked with its job: else, if this attempt died in
    // between, the next one would find a file whose job is not known.
    const marked = fresh && !atomic && request.mode === 'create';
    const part = marked || (atomic && !isPublished);
    const name = part ? partName(identity.jobKey, identity.attemptToken) : finalName;
    if (takenOver) made = name;
    const replaces = atomic && existing?.isFile === true;
    const permissions = modeOfFresh(request, replaces);
    const triesDirect = !appendsOnly && root.direct !== 'off';
    const how = { appendsOnly, triesDirect, size: part ? options.size : null, parent, shared };
    const opened = openFile(dirFd, name, path, fresh ? permissions : null, request, how);
    fd = opened.fd;
    options.recordFd(FD_TARGET, fd);
    // O_EXCL has made a regular file, on the file system of its directory.
    const isAlike = shared !== null && fresh && opened.direct && !opened.hasIndirect && !identity.again;
    const known = isAlike ? factsOf(shared, options.refusingDevices) : null;
    const stat = known?.stat ?? statFd(fd, path);
    if (!stat.isFile) throw notRegular(path);
    const refuses = known === null && options.refusingDevices.has(stat.device);
    const notDirect = whyNotDirect(root, opened.direct, refuses);
    if (notDirect === DIRECT_REFUSED) reopenBuffered(fd, path);
    lockAlone(fd, path);
    if (fresh) made = name; // only now that it is locked: another write may have locked it first, and it is that one's
    else assertStands(dirFd, name, path, stat.identity);
    if (takenOver) closeTakenOver(fd, stat, permissions);
    const isGrown = options.grows && !atomic;
    let facts = known;
    if (facts === null) {
      const why = appendsOnly ? APPENDS_ONLY : notDirect;
      facts = findOut({ fd, dirFd, path, stat, parent, atomic, isGrown, notDirect: why, fresh }, request, options);
      if (isAlike && facts.mode.direct) shared.facts = facts;
    }
    const { ground, mode, alignment, flush } = facts;
    const mayBeCut = !fresh && !atomic && !appendsOnly;
    const sizeBytes = mayBeCut ? cutDeadEnd(fd, path, stat.sizeBytes) : fresh ? 0 : stat.sizeBytes;
    if (request.mode === 'create') markOwner(fd, identity);
    if (marked) {
      const result = renameOpenNoReplace(dirFd, name, finalName);
      if (result < 0) throw openFailure(result, path, request);
      made = finalName;
    }
    if (appendsOnly) assertFirstAppend(fd, path, identity);
    const lengthening = appendsOnly ? null : lengthen(fd, path, sizeBytes, alignment.offset, request, options);
    const existingBytes = lengthening?.fileBytes ?? sizeBytes;
    return {
      fd,
      path,
      dirFd,
      directory: shared,
      isSeen: !atomic,
      isGrown,
      existingBytes,
      keepsRest: changesInPlace(request),
      appendsOnly,
      baseOffset: appendsOnly ? sizeBytes : (lengthening?.offset ?? 0),
      // An existing file may have one even if the queue knows of no earlier attempt.
      checkpoint: identity.again || !fresh ? readCheckpoint(fd, stat) : null,
      isResumed: false,
      isPublished,
      lengthening,
      standing: stat,
      replaces,
      isClosed: false,
      notKept: [],
      direct: mode.direct,
      bypassesCache: mode.bypassesCache,
      modeReason: mode.modeReason,
      isKept: mode.isKept,
      alignment,
      demands: mode.alignment,
      flushGroup: flush.flushGroup,
      flushedTogether: flush.flushedTogether,
      forgetsFreed: flush.forgetsFreed,
      hasIndirect: opened.hasIndirect,
      unpublishedName: made,
      replaced: { fd: NO_FILE, name: null },
      replacedBytes: replaces && existing.linkCount === 1 && freesAtOnce(ground.type) ? existing.allocatedBytes : 0,
      finalName,
    };
  } catch (error) {
    if (made !== null) removeFile(dirFd, made, options.freeing);
    for (const index of [FD_TARGET, FD_DIRECTORY]) options.recordFd(index, -1); // before the numbers are used again, for other files
    if (fd >= 0) native.close(fd);
    if (shared === null) native.close(dirFd); // whoever passed it releases it
    throw error;
  }
}

/** What files made in the directory have in common; null if none was made yet, or its device refuses direct I/O by now. */
function factsOf({ facts }: SharedDirectory, refusing: RefusingDevices): FileFacts | null {
  return facts !== null && refusing.has(facts.stat.device) ? null : facts;
}

/** An open file, before it is known how it is written. */
interface Found {
  fd: number;
  dirFd: number;
  path: string;
  stat: FileStat;
  parent: FileStat;
  atomic: boolean;
  isGrown: boolean;
  fresh: boolean;
  /** Why direct I/O is not to be used, if that is known already. */
  notDirect: string | undefined;
}

/** @throws IoError */
function findOut(
  { fd, dirFd, path, stat, parent, atomic, isGrown, fresh, notDirect }: Found,
  request: WriteRequest,
  { directory: shared, size }: TargetOptions,
): FileFacts {
  // Of a file that was just made in it the directory's are true; one that stood there may be a mount of its own.
  const isShared = shared !== null && fresh;
  const fileSystem = isShared ? shared.fileSystem : fileSystemOf(fd, path);
  const ground = isShared ? shared.ground : groundOf(dirFd, fileSystem, stat.device);
  const isAllocated = standsWhole(request, stat, size);
  const mode = chooseMode(fd, path, stat, ground, { notDirect, isAllocated });
  // Rows end at block boundaries: then every row that was not written is a hole, which a later write finds (seen-end.ts).
  // And ext4 and XFS carry out a direct write that ends within a new block while it is submitted, with the file locked.
  const endsRowsAtBlocks = isGrown || (!changesInPlace(request) && stat.directAlignment !== null);
  const isWidened = endsRowsAtBlocks && mode.direct;
  const alignment = isWidened ? wholeBlocks(mode.alignment, fileSystem.blockBytes) : mode.alignment;
  // Without DIOALIGN (Linux 6.1) direct writes of an encrypted file may go through the page cache unnoticed.
  const directAndRenamed = atomic && mode.direct && stat.directAlignment !== null;
  return { stat, ground, mode, alignment, flush: chooseFlush(parent, stat, fileSystem, directAndRenamed) };
}

/** The write that had the lock before may have removed its file, or renamed another over it. @throws IoError EBUSY if so */
function assertStands(dirFd: number, name: string, path: string, identity: string): void {
  const standing = statAt(dirFd, name);
  if (typeof standing !== 'number' && standing.identity === identity) return;
  const hint = 'Another write has just put another file in its place: try again.';
  throw new IoError({ syscall: 'openat', errno: -EBUSY, path, hint });
}

/** How a file is opened. */
interface Opening {
  appendsOnly: boolean;
  triesDirect: boolean;
  /** How many bytes a new file will have, if that is known, and it gets its final name later. */
  size: number | null;
  /** The directory. */
  parent: FileStat;
  shared: SharedDirectory | null;
}

/**
 * Opens `name`, with O_DIRECT if the file system offers it.
 * @param permissions of the file to make, less the umask; null to open an existing one
 * @throws IoError
 */
function openFile(
  dirFd: number,
  name: string,
  path: string,
  permissions: number | null,
  request: WriteRequest,
  { appendsOnly, triesDirect, size, parent, shared }: Opening,
): { fd: number; direct: boolean; hasIndirect: boolean } {
  const fresh = permissions !== null;
  // O_NONBLOCK: a FIFO swapped in must not hang the thread; regular files ignore it.
  const flags =
    native.O_RDWR |
    native.O_NOFOLLOW |
    native.O_NONBLOCK |
    (request.durability === 'dsync' ? native.O_DSYNC : 0) |
    (appendsOnly ? native.O_APPEND : 0) |
    (fresh ? native.O_CREAT | native.O_EXCL : 0);
  if (fresh && triesDirect && size !== null) {
    const fileSystem = shared?.fileSystem ?? fileSystemOf(dirFd, path);
    if (forgetsFreed(fileSystem, parent.device)) {
      const made = createIndirect(dirFd, name, flags | native.O_DIRECT, permissions, size, fileSystem);
      if (made === -EEXIST && partKey(name) !== '') throw earlierStands(path);
      if (made !== null && made < 0) throw openFailure(made, path, request);
      if (made !== null) return { fd: made, direct: true, hasIndirect: true };
    }
  }
  let fd = triesDirect ? native.openat(dirFd, name, flags | native.O_DIRECT, permissions ?? 0) : -EINVAL;
  const direct = fd !== -EINVAL;
  if (!direct) {
    // The file may exist by now: open(2) checks O_DIRECT after it has created the name.
    if (fresh && triesDirect) native.unlinkat(dirFd, name);
    fd = native.openat(dirFd, name, flags, permissions ?? 0);
  }
  if (fd === -EEXIST && partKey(name) !== '') throw earlierStands(path);
  if (fd < 0) throw openFailure(fd, path, request);
  return { fd, direct, hasIndirect: false };
}

const wholeBlocks = ({ memory, offset }: Alignment, blockBytes: number): Alignment => ({
  memory,
  offset: Math.max(offset, blockBytes),
});

/** True if every byte overwrites one whose block is allocated already. */
function standsWhole({ mode, offset = 0 }: WriteRequest, stat: FileStat, size: number | null): boolean {
  if (mode !== 'overwrite' || size === null) return false;
  return offset + size <= stat.sizeBytes && stat.allocatedBytes >= stat.sizeBytes;
}

function lengthen(
  fd: number,
  path: string,
  fileBytes: number,
  grain: number,
  request: WriteRequest,
  { identity, size, grows, answers }: TargetOptions,
): Lengthening | null {
  if (!changesInPlace(request)) return null;
  const { jobKey, job, again } = identity;
  const order = { jobKey, job, again, fileBytes, length: grows ? null : size, grain, answers };
  return new Lengthening(fd, path, request.mode === 'append' ? order : { ...order, fixedOffset: request.offset ?? 0 });
}

/** The error of a failed open. In place, a name that appeared or went since it was checked is a race: EBUSY, to be retried. */
function openFailure(errno: number, path: string, request: WriteRequest): IoError {
  const { mode } = request;
  if (mode === 'overwrite' && errno === -ENOENT) {
    const hint = 'There is no such file, and "overwrite" makes none: mode "create", "replace" or "append" does.';
    return new IoError({ syscall: 'openat', errno, path, hint });
  }
  const raced = request.publish === 'in-place' && mode !== 'create' && (errno === -EEXIST || errno === -ENOENT);
  if (!raced) return new IoError({ syscall: 'openat', errno, path });
  return new IoError({ syscall: 'openat', errno: -EBUSY, path, hint: 'Another write makes or removes this file now.' });
}

/**
 * The error if there is a partial file of this very attempt: Redis has lost, with what was not yet on its disk, that this
 * number was given before. The next attempt has a higher number, and takes the file over.
 */
function earlierStands(path: string): IoError {
  const hint =
    'An attempt at this job that the queue has forgotten has left a partial file: the next one takes it over.';
  return new IoError({ syscall: 'openat', errno: -EBUSY, path, hint });
}

const notRegular = (path: string): IoError =>
  new IoError({ syscall: 'openat', errno: -EINVAL, path, hint: 'What stands there is not a regular file.' });

/** The existing file, or null. @throws IoError, RequestError if the request's mode does not accept it */
function standingAt(
  dirFd: number,
  name: string,
  path: string,
  request: WriteRequest,
  { identity, originIdentity }: TargetOptions,
): FileStat | null {
  const existing = statAt(dirFd, name);
  if (existing === -ENOENT) return null;
  // For example a name that is too long: the temporary one is shorter, and only the rename would fail.
  if (typeof existing === 'number') throw new IoError({ syscall: 'statx', errno: existing, path });
  if (existing.isDirectory) throw new IoError({ syscall: 'openat', errno: -EISDIR, path });
  if (!existing.isFile && !existing.isSymbolicLink) throw notRegular(path);
  if (request.mode === 'create' && !ownedBy(dirFd, name, identity)) {
    throw new IoError({ syscall: 'openat', errno: -EEXIST, path });
  }
  if (request.publish === 'in-place' && existing.identity === originIdentity) {
    // The contract compares names; only here it is known that two names mean one file.
    const accepted = 'another file: it is the file to be written, and writing it in place would destroy the source';
    throw new RequestError({ field: 'source.path', value: request.path, accepted });
  }
  return existing;
}
