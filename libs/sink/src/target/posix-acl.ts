/**
 * POSIX ACLs (acl(5)), and what is left of one if a file cannot get the owner or group that it is about.
 *
 * The kernel's format (<linux/posix_acl_xattr.h>) is a version word, then entries of 8 bytes: tag u16, permissions u16, user
 * or group id u32. All numbers are little-endian.
 */

/** The extended attribute that holds the ACL of a file. */
export const ACL_ATTRIBUTE = 'system.posix_acl_access';

const VERSION = 2;
const HEADER_BYTES = 4;
const ENTRY_BYTES = 8;

const TAG_OWNER = 0x01;
const TAG_USER = 0x02;
const TAG_OWNING_GROUP = 0x04;
const TAG_GROUP = 0x08;
const TAG_MASK = 0x10;
const TAG_OTHER = 0x20;

/** Who may access a file: decided by its ACL if it has one, else by its permission bits. */
export interface Access {
  bits: number;
  acl: Uint8Array | null;
}

/** Which of the two a file could not be given. */
export interface Lost {
  owner: boolean;
  group: boolean;
}

const ALL = 0o7;

/** The permission bits that grant nobody more than the ACL does, for a file that cannot have one. */
export function bitsOfAcl(acl: Uint8Array): number {
  const mask = maskOf(acl);
  let [owner, group, other] = [0, 0, 0];
  let [everyUser, everyGroup] = [ALL, ALL];
  for (const { tag, permissions } of entriesOf(acl)) {
    if (tag === TAG_OWNER) owner = permissions;
    else if (tag === TAG_OWNING_GROUP) group = permissions & mask;
    else if (tag === TAG_OTHER) other = permissions;
    else if (tag === TAG_USER) everyUser &= permissions & mask;
    else if (tag === TAG_GROUP) everyGroup &= permissions & mask;
  }
  // Users and groups that the ACL names count as group or others then, and may have been granted less than these.
  return (owner << 6) | ((group & everyUser) << 3) | (other & everyUser & everyGroup);
}

/**
 * The access to grant on a file that gets another owner or group than `access` is about, so that nobody may do more than
 * `access` allows. Members of its group were others before, and those of the lost group are others now; the lost owner may
 * be either.
 */
export function narrowed(access: Access, lost: Lost): Access {
  if (!lost.owner && !lost.group) return access;
  return access.acl === null
    ? { bits: narrowedBits(access.bits, lost), acl: null }
    : { bits: access.bits, acl: narrowedAcl(access.acl, lost) };
}

function narrowedBits(bits: number, lost: Lost): number {
  const owner = (bits >> 6) & ALL;
  let [group, other] = [(bits >> 3) & ALL, bits & ALL];
  if (lost.group) group = other = group & other;
  if (lost.owner) [group, other] = [group & owner, other & owner];
  return (owner << 6) | (group << 3) | other;
}

function narrowedAcl(acl: Uint8Array, lost: Lost): Uint8Array {
  const mask = maskOf(acl);
  let [owner, group, other, everyGroup] = [0, 0, 0, ALL];
  for (const { tag, permissions } of entriesOf(acl)) {
    if (tag === TAG_OWNER) owner = permissions;
    else if (tag === TAG_OWNING_GROUP) group = permissions & mask;
    else if (tag === TAG_OTHER) other = permissions;
    else if (tag === TAG_GROUP) everyGroup &= permissions;
  }
  const most = lost.owner ? owner : ALL;
  const copy = Uint8Array.from(acl);
  for (const { tag, permissions, at } of entriesOf(acl)) {
    let granted = permissions;
    // The ACL may name the new group too: then its members had what that entry grants, and not what others had.
    if (lost.group && tag === TAG_OWNING_GROUP) granted = group & other & everyGroup;
    if (lost.group && tag === TAG_OTHER) granted = group & other;
    if (tag !== TAG_OWNER && tag !== TAG_MASK) granted &= most;
    copy[at + 2] = granted;
  }
  return copy;
}

/** True if these bytes are an ACL in this format. */
export function isAcl(bytes: Uint8Array): boolean {
  const whole = bytes.length >= HEADER_BYTES && (bytes.length - HEADER_BYTES) % ENTRY_BYTES === 0;
  return whole && viewOf(bytes).getUint32(0, true) === VERSION;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function* entriesOf(acl: Uint8Array): Generator<{ tag: number; permissions: number; at: number }> {
  const view = viewOf(acl);
  for (let at = HEADER_BYTES; at < acl.length; at += ENTRY_BYTES) {
    yield { tag: view.getUint16(at, true), permissions: view.getUint16(at + 2, true) & ALL, at };
  }
}

function maskOf(acl: Uint8Array): number {
  for (const { tag, permissions } of entriesOf(acl)) if (tag === TAG_MASK) return permissions;
  return ALL;
}
