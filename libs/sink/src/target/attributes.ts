/**
 * What a file has besides its bytes: owner, group, permissions or ACL, extended attributes, modification time.
 *
 * Bytes are never accessible to more users than the file that they become or replace. So a temporary file is made with the
 * permissions of any new file only if it also ends with those. If not, only its writer may access it up to the last byte;
 * just before its flush it gets what it is to have, in an order that at no step grants access to a user who has none at the
 * end. A file that is written in place is restricted before its first byte.
 *
 * The attributes of a replaced file are read at the end of the write. Another file may still take its place between that and
 * the rename; nothing can prevent this.
 */
import { IoError, type WriteRequest, codeOfErrno } from '@penstock/contract';
import { native } from '@penstock/native';
import { constants } from 'node:os';
import type { Origin } from '../origin/origin.ts';
import { ACL_ATTRIBUTE, type Access, bitsOfAcl, isAcl, narrowed } from './posix-acl.ts';
import { isPlanted } from '../attempt/planted.ts';
import { type FileStat, statAt, statFd } from '@penstock/disk';
import type { Target } from './target.ts';

const { ENODATA, EOPNOTSUPP } = constants.errno;

/** The mode of a new file, less the umask. */
const MODE_OF_NEW = 0o666;
/** The mode of a file that only its writer may access for now. */
const MODE_OF_PRIVATE = 0o600;
const OF_OWNER = 0o700;
const OF_GROUP_AND_OTHERS = 0o077;
const SET_USER_ID = 0o4000;
const SET_GROUP_ID = 0o2000;
/** The bits of owner, group and others: set-user-ID and the like are set only once all bytes are written. */
const PERMISSIONS = 0o777;

/** The kernel's limit for a value, and for all names of a file together (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const ATTRIBUTE_BYTES_MAX = 65_536;
/** How many attributes a result lists at most. */
const NOT_KEPT_MAX = 20;

const OWN_PREFIX = 'user.penstock.';
/** Attributes that the kernel's security modules set by their policy, or as a signature of the content. */
const LABELS = /^security\.(?:selinux|apparmor|SMACK64\w*|ima|evm)$/;
/** Rights of a process that runs the file: they were granted for another content. */
const CAPABILITIES = 'security.capability';

/** The mode to make a file with; `replaces` if it takes the place of another. */
export function modeOfFresh({ fileMode }: WriteRequest, replaces: boolean): number {
  return fileMode !== undefined || replaces ? MODE_OF_PRIVATE : MODE_OF_NEW;
}

/** Restricts a temporary file that an earlier attempt has made with more permissions than this one would. */
export function closeTakenOver(fd: number, { permissions }: FileStat, mode: number): void {
  // It fails only if the file system has no permissions of its own.
  if (mode === MODE_OF_PRIVATE && (permissions & OF_GROUP_AND_OTHERS) !== 0) native.fchmod(fd, permissions & OF_OWNER);
}

/**
 * To be called before the first byte of a file that is written in place: takes the permissions that `fileMode` does not
 * grant, and rights that were granted for another content. A log that this write has made gets all its permissions now. Does
 * its work once for each target.
 * @throws IoError
 */
export function closeInPlace(target: Target, request: WriteRequest, origin: Origin | null): void {
  if (request.publish === 'atomic' || target.isClosed) return;
  target.isClosed = true;
  const { fd, path, standing, unpublishedName } = target;
  const bits = askedBits(request, origin);
  if (unpublishedName !== null && request.source.kind === 'stream') {
    // Others may follow a log from its first byte on. A refusal here is reported at the end, when this is done again.
    if (bits !== undefined) native.fchmod(fd, bits & PERMISSIONS);
    return;
  }
  // The owner's permissions stay: the owner can change them at any time.
  const left = bits === undefined ? standing.permissions : standing.permissions & (bits | OF_OWNER);
  if (left === standing.permissions && standing.setId === 0) return;
  const result = native.fchmod(fd, left);
  // If only the set-ID bits were to go: from a file of another user the kernel itself takes them with the first write, and a
  // file system without permissions of its own has none.
  if (result < 0 && left === standing.permissions) return;
  if (result < 0) throw new IoError({ syscall: 'fchmod', errno: result, path });
  reportSetId(target, standing);
  if (request.durability === 'none' || left === standing.permissions) return;
  // Flushed at once: bytes that overwrite others reach the disk before the journal does.
  const flushed = native.fsync(fd);
  if (flushed < 0) throw new IoError({ syscall: 'fsync', errno: flushed, path });
}

/**
 * To be called when all bytes are written: gives the file its attributes; true if there were any to give. An fsync of the
 * file, or the commit of a journal, makes them durable.
 * @param isSmall if true, and there was no file to replace when the write began, it is not checked for again
 * @throws IoError
 */
export function applyAttributes(
  target: Target,
  request: WriteRequest,
  origin: Origin | null,
  isSmall: boolean,
): boolean {
  const bits = askedBits(request, origin);
  const replaced = openReplaced(target, request, isSmall);
  if (replaced !== null) {
    try {
      keepAttributes(target, replaced, bits);
    } finally {
      native.close(replaced.fd);
    }
  } else if (bits !== undefined) {
    chmod(target, bits);
  }
  const { source } = request;
  const keepsTime = source.kind === 'file' && source.mtime === 'keep' && origin !== null;
  if (keepsTime) {
    const result = native.setModified(target.fd, origin.modified.seconds, origin.modified.nanoseconds);
    if (result < 0) report(target, `time of modification (${codeOfErrno(result)})`);
  }
  return replaced !== null || bits !== undefined || keepsTime;
}

/** The permission bits that the request asks for; undefined if it asks for none. */
function askedBits({ fileMode }: WriteRequest, origin: Origin | null): number | undefined {
  if (fileMode === undefined) return undefined;
  if (fileMode !== 'keep') return Number.parseInt(fileMode, 8);
  if (origin === null) return undefined;
  const acl = readAcl((name, value) => native.fgetxattr(origin.fd, name, value));
  if (acl === null) return origin.permissions;
  return typeof acl === 'number' ? origin.permissions & OF_OWNER : bitsOfAcl(acl);
}

/** The file that the rename will replace. */
interface Replaced {
  /** Opened with O_PATH: not for its bytes. */
  fd: number;
  stat: FileStat;
}

/** Opens the file that the rename will replace; null if there is none, or it is no regular file. */
function openReplaced(target: Target, { mode, publish }: WriteRequest, isSmall: boolean): Replaced | null {
  if (publish !== 'atomic') return null;
  const mayAppear = mode === 'replace' && !isSmall;
  if (!target.replaces && !mayAppear) return null;
  const fd = native.openat(target.dirFd, target.finalName, native.O_PATH | native.O_NOFOLLOW, 0);
  if (fd < 0) return null; // removed meanwhile: the new file stays accessible to its writer alone
  const stat = statAt(fd, '');
  if (typeof stat !== 'number' && stat.isFile) return { fd, stat };
  native.close(fd);
  return null;
}

/**
 * Gives `target` the attributes of the replaced file, as far as possible.
 * @param bits the permissions that the request asks for, instead of those of the replaced file
 */
function keepAttributes(target: Target, { fd: replacedFd, stat: replaced }: Replaced, bits: number | undefined): void {
  const { fd } = target;
  if (isPlanted(target.dirFd, replaced, target.standing.userId)) {
    report(target, `owner ${replaced.userId} and permissions (anybody could have put it into this sticky directory)`);
    chmod(target, bits ?? MODE_OF_PRIVATE);
    return;
  }
  // Its permissions may forbid reading it: attributes can be read by its name in /proc all the same.
  const name = `/proc/self/fd/${replacedFd}`;
  keepExtended(target, name);
  reportSetId(target, replaced);
  const { standing } = target;
  const moved = standing.groupId === replaced.groupId ? 0 : native.fchown(fd, -1, replaced.groupId);
  if (moved < 0) report(target, `group ${replaced.groupId} (${codeOfErrno(moved)})`);
  // The owner comes last: a process that may give a file away may not be able to change the file after that.
  if (bits === undefined) keepAccess(target, accessOf(target, name, replaced), replaced.userId, moved < 0);
  else chmod(target, bits);
  if (standing.userId !== replaced.userId && bits !== undefined) giveTo(target, replaced.userId);
}

/** Grants `access`, or less if the file cannot be given to the owner or group that it is about. */
function keepAccess(target: Target, access: Access, ownerId: number, groupIsLost: boolean): void {
  const gives = target.standing.userId !== ownerId;
  let granted = narrowed(access, { owner: gives, group: groupIsLost });
  const result = grant(target, granted);
  // For example on a file system that has no permissions of its own: the file stays as it was made.
  if (result < 0) report(target, `permissions ${shown(access)} (${codeOfErrno(result)})`);
  if (gives && giveTo(target, ownerId)) {
    const wanted = narrowed(access, { owner: false, group: groupIsLost });
    if (!isSame(wanted, granted) && grant(target, wanted) === 0) granted = wanted;
  }
  if (result >= 0 && !isSame(access, granted))
    report(target, `permissions ${shown(access)}: ${shown(granted)} instead`);
}

/** Gives the file to that user; false, and reported, if that is refused. */
function giveTo(target: Target, ownerId: number): boolean {
  const result = native.fchown(target.fd, ownerId, -1);
  if (result < 0) report(target, `owner ${ownerId} (${codeOfErrno(result)})`);
  return result >= 0;
}

/** The access that the replaced file grants. */
function accessOf(target: Target, name: string, { permissions }: FileStat): Access {
  const acl = readAcl((attribute, value) => native.getxattr(name, attribute, value));
  if (typeof acl !== 'number') return { bits: permissions, acl };
  // The permissions of its group are in the ACL alone.
  report(target, `ACL (${codeOfErrno(acl)})`);
  return { bits: permissions & OF_OWNER, acl: null };
}

/** Grants this access, without what a default ACL of the directory has added: 0 or -errno. */
function grant(target: Target, { bits, acl }: Access): number {
  const { fd } = target;
  if (acl !== null) {
    const result = native.fsetxattr(fd, ACL_ATTRIBUTE, acl); // the permission bits follow
    if (result >= 0) return 0;
    report(target, `ACL (${codeOfErrno(result)})`);
  }
  const result = native.fremovexattr(fd, ACL_ATTRIBUTE);
  if (result < 0 && result !== -ENODATA && result !== -EOPNOTSUPP) return result;
  return native.fchmod(fd, acl === null ? bits : bitsOfAcl(acl));
}

/** Copies the extended attributes of the file `name`, except those that are about its content or set by this program. */
function keepExtended(target: Target, name: string): void {
  const { names } = buffers();
  const length = native.listxattr(name, names);
  if (length < 0 && length !== -EOPNOTSUPP) report(target, `extended attributes (${codeOfErrno(length)})`);
  if (length <= 0) return;
  for (const attribute of Buffer.from(names.buffer, 0, length).toString().split('\0')) {
    if (attribute === '' || attribute === ACL_ATTRIBUTE) continue;
    if (attribute.startsWith(OWN_PREFIX) || LABELS.test(attribute)) continue;
    const errno = isKept(attribute) ? copyAttribute(target.fd, name, attribute) : 0;
    if (errno < 0) report(target, `${attribute} (${codeOfErrno(errno)})`);
    else if (!isKept(attribute)) report(target, attribute);
  }
}

const isKept = (attribute: string): boolean =>
  attribute.startsWith('user.') || (attribute.startsWith('security.') && attribute !== CAPABILITIES);

function copyAttribute(fd: number, name: string, attribute: string): number {
  const { value } = buffers();
  const length = native.getxattr(name, attribute, value);
  if (length === -ENODATA) return 0; // removed in between
  return length < 0 ? length : native.fsetxattr(fd, attribute, value.subarray(0, length));
}

/** The ACL that `get` reads; null if there is none, -errno if it cannot be read. */
function readAcl(get: (name: string, value: Uint8Array) => number): Uint8Array | null | number {
  const { value } = buffers();
  const length = get(ACL_ATTRIBUTE, value);
  if (length === -ENODATA || length === -EOPNOTSUPP) return null;
  if (length < 0) return length;
  const acl = Uint8Array.from(value.subarray(0, length));
  return isAcl(acl) ? acl : -EOPNOTSUPP;
}

let shared: { value: Uint8Array; names: Uint8Array } | undefined;
/** Made when a file is replaced for the first time; what is in them is valid during one call. */
function buffers(): { value: Uint8Array; names: Uint8Array } {
  shared ??= {
    value: new Uint8Array(new ArrayBuffer(ATTRIBUTE_BYTES_MAX)),
    names: new Uint8Array(new ArrayBuffer(ATTRIBUTE_BYTES_MAX)),
  };
  return shared;
}

function reportSetId(target: Target, { setId }: FileStat): void {
  if ((setId & SET_USER_ID) !== 0) report(target, 'set-user-ID bit');
  if ((setId & SET_GROUP_ID) !== 0) report(target, 'set-group-ID bit');
}

/** Adds `what` to the attributes that the result lists as not kept. */
function report({ notKept }: Target, what: string): void {
  if (notKept.length === NOT_KEPT_MAX) notKept.push('and more');
  else if (notKept.length < NOT_KEPT_MAX && !notKept.includes(what)) notKept.push(what);
}

/**
 * Sets these permissions; fewer, and reported, if the file system has fewer (SMB, some FUSE file systems).
 * @throws IoError if users would keep access that these permissions do not grant
 */
function chmod(target: Target, bits: number): void {
  const { fd, path } = target;
  const result = native.fchmod(fd, bits);
  if (result >= 0) return;
  const { permissions } = statFd(fd, path);
  if (permissions === bits) return;
  if ((permissions & ~bits & OF_GROUP_AND_OTHERS) !== 0) {
    const hint = `Files have permissions ${octal(permissions)} here, whoever asks for ${octal(bits)}: ask for those, or for none.`;
    throw new IoError({ syscall: 'fchmod', errno: result, path, hint });
  }
  report(target, `permissions ${octal(bits)} (${codeOfErrno(result)}): ${octal(permissions)} instead`);
}

const octal = (bits: number): string => bits.toString(8).padStart(3, '0');

const shown = ({ bits, acl }: Access): string =>
  acl === null ? octal(bits) : `of the ACL, at most ${octal(bitsOfAcl(acl))}`;

const isSame = (one: Access, other: Access): boolean =>
  one.bits === other.bits && Buffer.compare(one.acl ?? Buffer.of(), other.acl ?? Buffer.of()) === 0;
