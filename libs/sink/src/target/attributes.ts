/**
 * What a file has besides its bytes: its owner and group, whom it lets in, its extended attributes, its time.
 *
 * Bytes are never open to more people than the file that they become or replace. So a part is made with what the kernel
 * gives to any new file only where that is what it ends with; else it belongs to its writer alone up to its last byte,
 * and gets what it is to have just before its flush, in an order that opens it to nobody who is let in no longer at the
 * end. A file that is written where it stands is closed to whom it will be closed before its first byte.
 *
 * What a file that is replaced has is read from the file that stands there at the end of the write. Another one may take
 * its place before the rename does: nothing can keep that from happening.
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

/** Of a new file whose umask decides. */
const MODE_OF_NEW = 0o666;
/** Of what is the writer's own for now. */
const MODE_OF_PRIVATE = 0o600;
const OF_OWNER = 0o700;
const OF_GROUP_AND_OTHERS = 0o077;
const SET_USER_ID = 0o4000;
const SET_GROUP_ID = 0o2000;
/** Of owner, group and others; set-user-ID and the like are given once all bytes are there. */
const PERMISSIONS = 0o777;

/** The kernel's limit for a value, and for all names of a file together (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const ATTRIBUTE_BYTES_MAX = 65_536;
/** What is told in a result of one file. */
const NOT_KEPT_MAX = 20;

const OWN_PREFIX = 'user.penstock.';
/** What the kernel's security modules give each file by their policy, or as a signature of its content. */
const LABELS = /^security\.(?:selinux|apparmor|SMACK64\w*|ima|evm)$/;
/** Rights of whoever runs the file: they were given to another content. */
const CAPABILITIES = 'security.capability';

/** The permissions to make a file with; `replaces`: it takes the place of another. */
export function modeOfFresh({ fileMode }: WriteRequest, replaces: boolean): number {
  return fileMode !== undefined || replaces ? MODE_OF_PRIVATE : MODE_OF_NEW;
}

/** Closes a part that an earlier attempt has left more open than this one would make it. */
export function closeTakenOver(fd: number, { permissions }: FileStat, mode: number): void {
  // It fails only where the file system has no permissions of its own.
  if (mode === MODE_OF_PRIVATE && (permissions & OF_GROUP_AND_OTHERS) !== 0) native.fchmod(fd, permissions & OF_OWNER);
}

/**
 * Before the first byte goes into a file where it stands: closes it to whom `fileMode` will, and takes rights from it
 * that were given to another content; a log that it has made gets its permissions. Once for each target.
 * @throws IoError
 */
export function closeInPlace(target: Target, request: WriteRequest, origin: Origin | null): void {
  if (request.publish === 'atomic' || target.isClosed) return;
  target.isClosed = true;
  const { fd, path, standing, unpublishedName } = target;
  const bits = askedBits(request, origin);
  if (unpublishedName !== null && request.source.kind === 'stream') {
    // A log that others follow from its first byte on, however long it grows: what is refused here the end reports.
    if (bits !== undefined) native.fchmod(fd, bits & PERMISSIONS);
    return;
  }
  // What its owner may do the owner can change at any time.
  const left = bits === undefined ? standing.permissions : standing.permissions & (bits | OF_OWNER);
  if (left === standing.permissions && standing.setId === 0) return;
  const result = native.fchmod(fd, left);
  // Of a file of another user the kernel itself takes these two bits with the first write; a file system without
  // permissions of its own takes none, and nobody is let in whom it had kept out.
  if (result < 0 && left === standing.permissions) return;
  if (result < 0) throw new IoError({ syscall: 'fchmod', errno: result, path });
  reportSetId(target, standing);
  if (request.durability === 'none' || left === standing.permissions) return;
  // Bytes that go over old ones are on the disk before any journal is.
  const flushed = native.fsync(fd);
  if (flushed < 0) throw new IoError({ syscall: 'fsync', errno: flushed, path });
}

/**
 * All bytes are written: gives the file what it is to have besides; true if that was anything. Only the file's own fsync
 * makes it durable, or the commit of a journal.
 * @param isSmall a small file is not looked for again that was not there when the write began
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

/** What the request says of permissions; undefined if it says nothing. */
function askedBits({ fileMode }: WriteRequest, origin: Origin | null): number | undefined {
  if (fileMode === undefined) return undefined;
  if (fileMode !== 'keep') return Number.parseInt(fileMode, 8);
  if (origin === null) return undefined;
  const acl = readAcl((name, value) => native.fgetxattr(origin.fd, name, value));
  if (acl === null) return origin.permissions;
  return typeof acl === 'number' ? origin.permissions & OF_OWNER : bitsOfAcl(acl);
}

/** What the rename will replace. */
interface Replaced {
  /** Good for looking at it alone. */
  fd: number;
  stat: FileStat;
}

/** null where that is no regular file. */
function openReplaced(target: Target, { mode, publish }: WriteRequest, isSmall: boolean): Replaced | null {
  if (publish !== 'atomic') return null;
  const mayAppear = mode === 'replace' && !isSmall;
  if (!target.replaces && !mayAppear) return null;
  const fd = native.openat(target.dirFd, target.finalName, native.O_PATH | native.O_NOFOLLOW, 0);
  if (fd < 0) return null; // it has gone meanwhile: what was made in its stead stays its writer's own
  const stat = statAt(fd, '');
  if (typeof stat !== 'number' && stat.isFile) return { fd, stat };
  native.close(fd);
  return null;
}

/** Gives `target` what the replaced file has, as far as that can be; `bits`: but for its permissions. */
function keepAttributes(target: Target, { fd: replacedFd, stat: replaced }: Replaced, bits: number | undefined): void {
  const { fd } = target;
  if (isPlanted(target.dirFd, replaced, target.standing.userId)) {
    report(target, `owner ${replaced.userId} and permissions (anybody could have put it into this sticky directory)`);
    chmod(target, bits ?? MODE_OF_PRIVATE);
    return;
  }
  // It may be that nobody but its owner may read it: attributes can be read by its name in /proc all the same.
  const name = `/proc/self/fd/${replacedFd}`;
  keepExtended(target, name);
  reportSetId(target, replaced);
  const { standing } = target;
  const moved = standing.groupId === replaced.groupId ? 0 : native.fchown(fd, -1, replaced.groupId);
  if (moved < 0) report(target, `group ${replaced.groupId} (${codeOfErrno(moved)})`);
  // The owner comes last: who may give a file away need not be one who may change what belongs to others.
  if (bits === undefined) keepAccess(target, accessOf(target, name, replaced), replaced.userId, moved < 0);
  else chmod(target, bits);
  if (standing.userId !== replaced.userId && bits !== undefined) give(target, replaced.userId);
}

/** Lets in whom `access` does, or fewer where the file cannot be given to the owner or group that it speaks of. */
function keepAccess(target: Target, access: Access, ownerId: number, groupIsLost: boolean): void {
  const gives = target.standing.userId !== ownerId;
  let granted = narrowed(access, { owner: gives, group: groupIsLost });
  const result = grant(target, granted);
  // As on a file system that has no permissions of its own: the file stays as it was made.
  if (result < 0) report(target, `permissions ${shown(access)} (${codeOfErrno(result)})`);
  if (gives && give(target, ownerId)) {
    const wanted = narrowed(access, { owner: false, group: groupIsLost });
    if (!isSame(wanted, granted) && grant(target, wanted) === 0) granted = wanted;
  }
  if (result >= 0 && !isSame(access, granted))
    report(target, `permissions ${shown(access)}: ${shown(granted)} instead`);
}

/** False if it could not be given to that user. */
function give(target: Target, ownerId: number): boolean {
  const result = native.fchown(target.fd, ownerId, -1);
  if (result < 0) report(target, `owner ${ownerId} (${codeOfErrno(result)})`);
  return result >= 0;
}

/** Whom the replaced file lets in. */
function accessOf(target: Target, name: string, { permissions }: FileStat): Access {
  const acl = readAcl((attribute, value) => native.getxattr(name, attribute, value));
  if (typeof acl !== 'number') return { bits: permissions, acl };
  // What its group may is in the ACL alone.
  report(target, `ACL (${codeOfErrno(acl)})`);
  return { bits: permissions & OF_OWNER, acl: null };
}

/** Lets in whom `access` says, and nobody whom an ACL that came from the directory would; 0 or -errno. */
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

/** Gives it the extended attributes of the file `name`, but for those that are of its content or of this program. */
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

/** The ACL that `get` reads, null where there is none; -errno where that cannot be known. */
function readAcl(get: (name: string, value: Uint8Array) => number): Uint8Array | null | number {
  const { value } = buffers();
  const length = get(ACL_ATTRIBUTE, value);
  if (length === -ENODATA || length === -EOPNOTSUPP) return null;
  if (length < 0) return length;
  const acl = Uint8Array.from(value.subarray(0, length));
  return isAcl(acl) ? acl : -EOPNOTSUPP;
}

let shared: { value: Uint8Array; names: Uint8Array } | undefined;
/** Made when a file is replaced for the first time; nothing in them outlives a call. */
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

/** Tells the result that the file has not got `what`. */
function report({ notKept }: Target, what: string): void {
  if (notKept.length === NOT_KEPT_MAX) notKept.push('and more');
  else if (notKept.length < NOT_KEPT_MAX && !notKept.includes(what)) notKept.push(what);
}

/**
 * Gives it these permissions, or fewer where its file system has fewer to give (SMB, some FUSE file systems).
 * @throws IoError where it would stay open to somebody whom they keep out
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
