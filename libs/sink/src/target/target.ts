/**
 * The file being written: opened under a temporary name beside its final one, or where it stands, and locked; renamed
 * into place when all is written, or removed again when the write fails.
 */
import { constants } from 'node:os';
import { IoError, RequestError, type WriteRequest, changesInPlace } from '@penstock/contract';
import { native } from '@penstock/native';
import type { Answers } from '../attempt/append-inquiry.ts';
import { APPENDS_ONLY, assertFirstAppend } from './append-only.ts';
import { closeTakenOver, modeOfFresh } from './attributes.ts';
import { DIRECT_OFF, DIRECT_REFUSED, type RefusingDevices, reopenBuffered } from '../device/direct-refused.ts';
import { refuseEarly } from './early-refusals.ts';
import {
  groundOf,
  commitsTogether,
  forgetsFreed,
  type Root,
  openParent,
  type FileStat,
  type FileSystem,
  fileSystemOf,
  statAt,
  statFd,
} from '@penstock/disk';
import { Lengthening } from './lengthening.ts';
import { cutDeadEnd } from './seen-end.ts';
import { type Checkpoint, readCheckpoint, removeCheckpoint } from '../attempt/checkpoint.ts';
import { type Span, WHOLE_FILE, spanFrom } from './edges.ts';
import { NO_FILE, type Replaced, flushRemoved, removeFile, renameOver } from '../device/freed-blocks.ts';
import { lockAlone } from '../attempt/lock.ts';
import { type AttemptIdentity, partKey, partName, splitPath } from '../attempt/parts.ts';
import { isForeign } from '../attempt/planted.ts';
import { renameNoReplace, renameOpenNoReplace } from './rename-new.ts';
import { type TargetMode, chooseMode } from './mode.ts';

const { EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ESTALE } = constants.errno;

/** The extended attribute that tells a retry that the file standing there is its own first attempt's. */
const OWNER_ATTRIBUTE = 'user.penstock.job';

/** What a result says of a file that was created by the last of the ways there are (rename-new.ts). */
const SEEN_EMPTY =
  'the name appeared with its bytes: it may have been seen empty for a moment (no RENAME_NOREPLACE, no links)';

/** An open target. */
export interface Target extends TargetMode {
  fd: number;
  /** The absolute path it will have, for messages. */
  path: string;
  dirFd: number;
  /** The group of writes that a flush of the directory serves (FlushGroups). */
  flushGroup: string;
  /** True if that flush makes the file's bytes durable too: no flush of its own is needed before it is published. */
  flushedTogether: boolean;
  /** True where readers see it under its name while it is written. */
  isSeen: boolean;
  /** True where its size follows the rows of a write that nobody repeats, and that may be longer than anybody knows. */
  isGrown: boolean;
  /** True where blocks of a file that goes are to be kept until its end is flushed (freed-blocks.ts). */
  forgetsFreed: boolean;
  /** What publishing it has replaced, where that is so. */
  readonly replaced: Replaced;
  /** Bytes of the file that stands there already and is written in place; not touched before reserve(). */
  existingBytes: number;
  /** True where what stands around the bytes that are written stays: overwriting and appending. */
  keepsRest: boolean;
  /** True where the file takes bytes behind its end alone, one write after the other (append-only.ts). */
  appendsOnly: boolean;
  /** Where in the file the first byte goes. */
  baseOffset: number;
  /** What an earlier attempt recorded with this very file, or null. */
  checkpoint: Checkpoint | null;
  /** True where what stands there is this job's own already: it is not emptied. */
  isResumed: boolean;
  /** True where it has its final name and all of its bytes already: an earlier attempt's. */
  isPublished: boolean;
  /** Of a write that keeps the rest of the file: how a later attempt finds its place and its end again. */
  lengthening: Lengthening | null;
  /** Device and inode of the open file. */
  identity: string;
  /** The open file as it was when it was opened. */
  standing: FileStat;
  /** True where a file has the final name that this one will replace. */
  replaces: boolean;
  /** True once a file in place has been closed to whom it will be closed (closeInPlace). */
  isClosed: boolean;
  /** What a file that stood there had and this one has not. */
  readonly notKept: string[];
  /** The name that goes if the write fails: the temporary one, or one that this write made in place. */
  unpublishedName: string | null;
  finalName: string;
}

/** What the opening of a target has to know besides its request. */
export interface TargetOptions {
  identity: AttemptIdentity;
  /** True where takeOverPart() has put an earlier attempt's file under this one's temporary name. */
  takenOver: boolean;
  /** True where an earlier attempt has published the file already, and nothing is left but to make sure of it. */
  isPublished: boolean;
  /** Device and inode of the source file, if there is one. */
  originIdentity: string | undefined;
  /** Bytes that are to be written; null where only their end will tell. */
  size: number | null;
  /** What the queue has answered so far of other appends. */
  answers: Answers;
  /** True where the file grows with what arrives, however much that is to be. */
  grows: boolean;
  /** The devices of this thread that refuse direct I/O. */
  refusingDevices: RefusingDevices;
  /** Takes each descriptor as it is opened, or -1: should the thread be terminated in the next call, others close it. */
  recordFd: (index: number, fd: number) => void;
}

/** Which words of the job's control block name the target's descriptors. */
export const FD_TARGET = 0;
export const FD_DIRECTORY = 1;

/**
 * Opens the target of `request` below `root`; of what stands there nothing is changed but the end that a dead write left.
 * @throws AnswerWanted where the queue has to be asked first
 * @throws IoError naming the call that failed; EBUSY where another write is at work in place
 * @throws RequestError where writing in place would destroy the source
 */
export function openTarget(root: Root, request: WriteRequest, options: TargetOptions): Target {
  const { identity, takenOver, isPublished } = options;
  const { directory, name: finalName } = splitPath(request.path);
  const path = `${root.path}/${request.path}`;
  const dirFd = openParent(root, directory);
  options.recordFd(FD_DIRECTORY, dirFd);
  let fd = -1;
  let made: string | null = null;
  try {
    const existing = standingAt(dirFd, finalName, path, request, options);
    const parent = statFd(dirFd, path);
    refuseEarly(parent, existing, path, request, isPublished);
    const appendsOnly = request.mode === 'append' && existing?.isAppendOnly === true;
    const atomic = request.publish === 'atomic';
    // A fresh inode of ours alone, but for a file that is to be written where it stands or goes on from a checkpoint.
    const fresh = atomic ? !takenOver && !isPublished : existing === null && request.mode !== 'overwrite';
    // What is created in place has its final name only once it says whose it is: else this job's next attempt, should
    // this one die in between, would find a file that is nobody's.
    const marked = fresh && !atomic && request.mode === 'create';
    const part = marked || (atomic && !isPublished);
    const name = part ? partName(identity.jobKey, identity.attemptToken) : finalName;
    if (takenOver) made = name;
    const replaces = atomic && existing?.isFile === true;
    const permissions = modeOfFresh(request, replaces);
    const triesDirect = !appendsOnly && root.direct !== 'off';
    const opened = openFile(dirFd, name, path, fresh ? permissions : null, request, { appendsOnly, triesDirect });
    fd = opened.fd;
    options.recordFd(FD_TARGET, fd);
    const stat = statFd(fd, path);
    if (!stat.isFile) throw notRegular(path);
    const notDirect = whyNotDirect(root, opened.direct, options.refusingDevices.has(stat.device));
    if (notDirect === DIRECT_REFUSED) reopenBuffered(fd, path);
    lockAlone(fd, path);
    if (fresh) made = name; // not before it is locked: another write may have been quicker
    else assertStands(dirFd, name, path, stat.identity);
    if (takenOver) closeTakenOver(fd, stat, permissions);
    const fileSystem = fileSystemOf(fd, path);
    const ground = groundOf(dirFd, fileSystem, stat.device);
    const isAllocated = standsWhole(request, stat, options.size);
    const mode = chooseMode(fd, path, stat, ground, { notDirect: appendsOnly ? APPENDS_ONLY : notDirect, isAllocated });
    const isGrown = options.grows && !atomic;
    // Rows that end where blocks do: what is not written of such a file is a hole then, and found again (seen-end.ts).
    if (isGrown && mode.direct) mode.alignment.offset = Math.max(mode.alignment.offset, fileSystem.blockBytes);
    const mayBeCut = !fresh && !atomic && !appendsOnly;
    const sizeBytes = mayBeCut ? cutDeadEnd(fd, path, stat.sizeBytes) : stat.sizeBytes;
    if (request.mode === 'create') native.fsetxattr(fd, OWNER_ATTRIBUTE, Buffer.from(identity.jobKey));
    if (marked) {
      const result = renameOpenNoReplace(dirFd, name, finalName);
      if (result < 0) throw openFailure(result, path, request);
      made = finalName;
    }
    // Without DIOALIGN (Linux 6.1) an encrypted file may go through the page cache and not tell.
    const directAndRenamed = atomic && mode.direct && stat.directAlignment !== null;
    const flush = chooseFlush(parent, stat, fileSystem, directAndRenamed);
    if (appendsOnly) assertFirstAppend(fd, path, identity);
    const lengthening = appendsOnly ? null : lengthen(fd, path, sizeBytes, mode.alignment.offset, request, options);
    const existingBytes = lengthening?.fileBytes ?? sizeBytes;
    return {
      fd,
      path,
      dirFd,
      isSeen: !atomic,
      isGrown,
      existingBytes,
      keepsRest: changesInPlace(request),
      appendsOnly,
      baseOffset: appendsOnly ? sizeBytes : (lengthening?.offset ?? 0),
      // In place the file tells, whatever the queue says.
      checkpoint: identity.again || !fresh ? readCheckpoint(fd, stat) : null,
      isResumed: false,
      isPublished,
      lengthening,
      identity: stat.identity,
      standing: stat,
      replaces,
      isClosed: false,
      notKept: [],
      ...mode,
      ...flush,
      unpublishedName: made,
      replaced: { fd: NO_FILE, name: null },
      finalName,
    };
  } catch (error) {
    if (made !== null) removeFile(dirFd, made);
    for (const index of [FD_TARGET, FD_DIRECTORY]) options.recordFd(index, -1); // before they may be another file's
    if (fd >= 0) native.close(fd);
    native.close(dirFd);
    throw error;
  }
}

/** Whoever had the lock may have removed what it made, or renamed another over it. @throws IoError EBUSY */
function assertStands(dirFd: number, name: string, path: string, identity: string): void {
  const standing = statAt(dirFd, name);
  if (typeof standing !== 'number' && standing.identity === identity) return;
  const hint = 'Another write has just put another file in its place: try again.';
  throw new IoError({ syscall: 'openat', errno: -EBUSY, path, hint });
}

/** Opens `name`, with O_DIRECT where that is offered; makes it with these `permissions`, less the umask. @throws IoError */
function openFile(
  dirFd: number,
  name: string,
  path: string,
  permissions: number | null,
  request: WriteRequest,
  { appendsOnly, triesDirect }: { appendsOnly: boolean; triesDirect: boolean },
): { fd: number; direct: boolean } {
  const fresh = permissions !== null;
  // O_NONBLOCK: a FIFO swapped in must not hang the thread; regular files ignore it.
  const flags =
    native.O_RDWR |
    native.O_NOFOLLOW |
    native.O_NONBLOCK |
    (request.durability === 'dsync' ? native.O_DSYNC : 0) |
    (appendsOnly ? native.O_APPEND : 0) |
    (fresh ? native.O_CREAT | native.O_EXCL : 0);
  let fd = triesDirect ? native.openat(dirFd, name, flags | native.O_DIRECT, permissions ?? 0) : -EINVAL;
  const direct = fd !== -EINVAL;
  if (!direct) {
    // The file may exist by now: open(2) checks O_DIRECT after it has created the name.
    if (fresh && triesDirect) native.unlinkat(dirFd, name);
    fd = native.openat(dirFd, name, flags, permissions ?? 0);
  }
  if (fd === -EEXIST && partKey(name) !== '') throw earlierStands(path);
  if (fd < 0) throw openFailure(fd, path, request);
  return { fd, direct };
}

/** True where every byte that is written takes the place of one that has its block already. */
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

/** Where the target's bytes go, in whole blocks of `align` bytes. @throws IoError */
export function spanOf({ fd, path, baseOffset, existingBytes, keepsRest }: Target, align: number): Span {
  return keepsRest ? spanFrom(fd, path, baseOffset, existingBytes, align) : WHOLE_FILE;
}

/** Why the file was not opened for direct I/O, or is not to be used so, where that is known before it is looked at. */
function whyNotDirect(root: Root, offered: boolean, refused: boolean): string | undefined {
  if (root.direct === 'off') return DIRECT_OFF;
  if (!offered) return 'this file system does not offer O_DIRECT';
  return refused ? DIRECT_REFUSED : undefined;
}

/**
 * Whose flush serves the file. It covers the bytes only of a file that is `directAndRenamed`: those in the page cache
 * alone are in no journal, and one written in place changes no directory, so that flushing that need not commit anything.
 */
function chooseFlush(
  parent: FileStat,
  { device }: FileStat,
  fileSystem: FileSystem,
  directAndRenamed: boolean,
): Pick<Target, 'flushGroup' | 'flushedTogether' | 'forgetsFreed'> {
  const isTogether = commitsTogether(fileSystem, device);
  const flushedTogether = directAndRenamed && isTogether;
  const flushGroup = flushedTogether ? `${device.major}:${device.minor}` : parent.identity;
  return { flushGroup, flushedTogether, forgetsFreed: !isTogether && forgetsFreed(fileSystem, device) };
}

/** In place, a name that appeared or went between the look and the open is a race: another try settles it. */
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
 * A partial file of this job with this very number: the queue has lost that it began this attempt before, with what it had
 * not yet written to its disk. The next attempt has a higher number, and takes it over.
 */
function earlierStands(path: string): IoError {
  const hint =
    'An attempt at this job that the queue has forgotten has left a partial file: the next one takes it over.';
  return new IoError({ syscall: 'openat', errno: -EBUSY, path, hint });
}

const notRegular = (path: string): IoError =>
  new IoError({ syscall: 'openat', errno: -EINVAL, path, hint: 'What stands there is not a regular file.' });

/** What has the final name, or null, where the request's mode accepts that. @throws IoError, RequestError */
function standingAt(
  dirFd: number,
  name: string,
  path: string,
  request: WriteRequest,
  { identity, originIdentity }: TargetOptions,
): FileStat | null {
  const existing = statAt(dirFd, name);
  if (existing === -ENOENT) return null;
  // Such as a name that is too long here: the part has a shorter one, and only the rename would find out.
  if (typeof existing === 'number') throw new IoError({ syscall: 'statx', errno: existing, path });
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
  return existing;
}

/**
 * True if the file `name` was made by an earlier attempt of the same job, however often that has come to its end since;
 * not if another user may have put it there, who says so.
 */
function ownedBy(dirFd: number, name: string, identity: AttemptIdentity): boolean {
  const fd = native.openat(dirFd, name, native.O_RDONLY | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  if (fd < 0) return false;
  const value = new Uint8Array(new ArrayBuffer(64));
  const length = native.fgetxattr(fd, OWNER_ATTRIBUTE, value);
  const stat = statAt(fd, '');
  native.close(fd);
  if (typeof stat === 'number' || isForeign(dirFd, stat)) return false;
  return length > 0 && Buffer.from(value.buffer, 0, length).toString('latin1') === identity.jobKey;
}

/** Gives the file its final name; readers see the old file or the whole new one. @throws IoError */
export function publish(target: Target, request: WriteRequest, identity: AttemptIdentity): void {
  if (request.publish === 'atomic' && !target.isPublished) {
    const from = target.unpublishedName!;
    const replaced = target.forgetsFreed ? target.replaced : null;
    let result =
      request.mode === 'create'
        ? renameNoReplace(target.dirFd, from, target.finalName, () => target.notKept.push(SEEN_EMPTY))
        : renameOver(target.dirFd, from, target.finalName, replaced);
    if (result === -EEXIST && ownedBy(target.dirFd, target.finalName, identity)) {
      result = renameOver(target.dirFd, from, target.finalName, replaced);
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

/**
 * Takes back what a failed write did to a file that is not its own: what began at its end is cut off again. What was
 * overwritten stays so. Nothing may be in flight.
 */
export function takeBack({ fd, lengthening, unpublishedName }: Target): void {
  if (unpublishedName !== null) return;
  // A checkpoint speaks of bytes that are cut off next: the next attempt must not go on from them.
  lengthening?.takeBack(() => removeCheckpoint(fd));
}

/** Closes the target and with it its lock; removes what was not published. Nothing may be in flight. */
export function closeTarget(target: Target): void {
  const { dirFd, unpublishedName } = target;
  if (unpublishedName !== null) {
    // Under its lock, and only if the name is still this file's: it may have been replaced meanwhile.
    const standing = statAt(dirFd, unpublishedName);
    if (typeof standing !== 'number' && standing.identity === target.identity) native.unlinkat(dirFd, unpublishedName);
  }
  // Removed here, or replaced by another write while this one ended.
  if (target.forgetsFreed && hasNoName(target.fd)) flushRemoved(dirFd, target.fd);
  native.close(target.fd);
  native.close(dirFd);
}

function hasNoName(fd: number): boolean {
  const stat = statAt(fd, '');
  return typeof stat !== 'number' && stat.linkCount === 0;
}
