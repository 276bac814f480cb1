/**
 * The directory of shared-memory segments, and who may put segments there. It is in /dev/shm, where every user may make a
 * directory, and what it contains is read with the host's rights: so the host makes it, and checks it at each use, and each
 * segment too.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { type FileStat, statFd } from '@penstock/disk';

const { EEXIST, EINVAL, ELOOP, ENOTDIR, EPERM } = constants.errno;

const ROOT_USER = 0;
const OF_OWNER = 0o700;
/** With set-group-ID: new files belong to the directory's group, not to that of their writer. */
const OF_GROUP = 0o2770;
const WRITABLE_BY_GROUP_OR_OTHERS = 0o022;
const WRITABLE_BY_OTHERS = 0o002;

/** The directory of segments, and who may put segments there. */
export interface SegmentDirectory {
  directory: string;
  /** Besides the host's user the members of this group may; if undefined, no other user. */
  groupId: number | undefined;
}

/**
 * Makes the directory if there is none, for the host's user alone or for the group too. If there is one of that user, it is
 * given to the group; nothing else is changed.
 * @throws IoError if it cannot be made, or if what is there cannot be trusted
 */
export function makeSegmentDirectory(segments: SegmentDirectory): void {
  const { directory, groupId } = segments;
  const made = native.mkdirat(native.AT_FDCWD, directory, OF_OWNER);
  if (made < 0 && made !== -EEXIST) throw new IoError({ syscall: 'mkdirat', errno: made, path: directory });
  const pathFd = openAsItStands(directory);
  try {
    const stat = statFd(pathFd, directory);
    if (stat.isDirectory && stat.userId === process.geteuid!() && groupId !== undefined)
      giveToGroup(pathFd, directory, stat, groupId);
    assertTrusted(statFd(pathFd, directory), segments);
  } finally {
    native.close(pathFd);
  }
}

function giveToGroup(pathFd: number, directory: string, found: FileStat, groupId: number): void {
  if (found.groupId === groupId && (found.setId | found.permissions) === OF_GROUP) return;
  // By the descriptor that was checked: another directory may stand at the path by now.
  const fd = native.openat(pathFd, '.', native.O_RDONLY | native.O_DIRECTORY, 0);
  if (fd < 0) throw new IoError({ syscall: 'openat', errno: fd, path: directory });
  try {
    const given = native.fchown(fd, -1, groupId);
    if (given < 0) {
      const hint = `It cannot be given to group ${groupId}, of which this user has to be a member.`;
      throw new IoError({ syscall: 'fchown', errno: given, path: directory, hint });
    }
    const opened = native.fchmod(fd, OF_GROUP);
    if (opened < 0) throw new IoError({ syscall: 'fchmod', errno: opened, path: directory });
  } finally {
    native.close(fd);
  }
}

/** Opens the directory: a descriptor, or -errno if there is none. @throws IoError if it cannot be trusted */
export function openSegmentDirectory(segments: SegmentDirectory): number {
  const fd = native.openat(native.AT_FDCWD, segments.directory, native.O_PATH | native.O_NOFOLLOW, 0);
  if (fd < 0) return fd;
  try {
    assertTrusted(statFd(fd, segments.directory), segments);
    return fd;
  } catch (error) {
    native.close(fd);
    throw error;
  }
}

function openAsItStands(directory: string): number {
  const fd = native.openat(native.AT_FDCWD, directory, native.O_PATH | native.O_NOFOLLOW, 0);
  if (fd < 0) throw new IoError({ syscall: 'openat', errno: fd, path: directory });
  return fd;
}

/** @throws IoError if another user may have made the directory, or may put files there */
function assertTrusted(stat: FileStat, { directory, groupId }: SegmentDirectory): void {
  const other = 'or name another directory with --shm, such as';
  const remedy = `Find out who made it, remove it and start the host again; ${other} ${directory}-${process.geteuid!()}.`;
  const refuse = (errno: number, what: string, hint = remedy): never => {
    throw new IoError({ syscall: 'statx', errno, path: directory, hint: `${what}. ${hint}` });
  };
  if (stat.isSymbolicLink) refuse(-ELOOP, 'It is a symbolic link, which could lead anywhere');
  if (!stat.isDirectory) refuse(-ENOTDIR, 'It is no directory');
  if (stat.userId !== process.geteuid!() && stat.userId !== ROOT_USER) {
    refuse(-EPERM, `It belongs to user ${stat.userId}, who decides what is read there`);
  }
  if (groupId === undefined && (stat.permissions & WRITABLE_BY_GROUP_OR_OTHERS) !== 0) {
    const hint = `Close it (chmod 700 ${directory}), or let in a group with --shm-group.`;
    refuse(-EPERM, 'Others may put files there, or links', hint);
  }
  if (groupId !== undefined && stat.groupId !== groupId) {
    const hint = `Give it to that group (chgrp ${groupId} ${directory}; chmod 2770 ${directory}).`;
    refuse(-EPERM, `It belongs to group ${stat.groupId}, and --shm-group says ${groupId}`, hint);
  }
  if ((stat.permissions & WRITABLE_BY_OTHERS) !== 0) {
    refuse(-EPERM, 'Anybody may put files there, or links', `Close it (chmod 2770 ${directory}).`);
  }
}

/** @throws IoError if the open file at `path` was not put there by the host's user, root or the group */
export function assertOwnSegment(stat: FileStat, path: string, { groupId }: SegmentDirectory): void {
  const refuse = (errno: number, hint: string): never => {
    throw new IoError({ syscall: 'openat2', errno, path, hint });
  };
  if (!stat.isFile) refuse(-EINVAL, 'The segment is not a regular file.');
  // Anybody may link a file of another user into the directory, who never put it there.
  if (stat.linkCount > 1)
    refuse(-EPERM, `The segment has ${stat.linkCount} names: a copy of it would be taken, not a link.`);
  const isOwn = stat.userId === process.geteuid!() || stat.userId === ROOT_USER;
  if (isOwn || (groupId !== undefined && stat.groupId === groupId)) return;
  const whose = `The segment belongs to user ${stat.userId} and group ${stat.groupId}`;
  const accepted = groupId === undefined ? 'the user of the host' : `group ${groupId} (chgrp ${groupId})`;
  refuse(
    -EPERM,
    `${whose}, and has to belong to ${accepted}${groupId === undefined ? ', or --shm-group to name a group' : ''}.`,
  );
}
