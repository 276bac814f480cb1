/**
 * Gives a file a name that no other file has yet, by the best way that its file system offers.
 * The decision: libs/README.md#new-name-without-noreplace.
 */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { statAt } from '@penstock/disk';

const { EEXIST, EINVAL, EMLINK, ENOSYS, EOPNOTSUPP, EPERM } = constants.errno;

/** What linkat(2) answers if a file system has no hard links: exFAT and vfat EPERM, FUSE file systems the others. */
const NO_LINKS: ReadonlySet<number> = new Set([-EPERM, -EOPNOTSUPP, -ENOSYS, -EMLINK, -EINVAL]);

/**
 * Renames `from` to `to` if nothing has that name: 0 or -errno, -EEXIST if something has.
 * @param seenEmpty called if readers may have seen an empty file under the new name for a moment
 */
export function renameNoReplace(dirFd: number, from: string, to: string, seenEmpty: () => void): number {
  const result = native.renameat2(dirFd, from, dirFd, to, native.RENAME_NOREPLACE);
  if (result !== -EINVAL && result !== -ENOSYS) return result;
  // The file system does not know the flag: a hard link is refused just as atomically if the name exists.
  const linked = native.linkat(dirFd, from, dirFd, to);
  if (!NO_LINKS.has(linked)) return linked < 0 ? linked : native.unlinkat(dirFd, from);
  return renameOverOwn(dirFd, from, to, seenEmpty);
}

/**
 * The same for a file that is open and empty, and will be written under its new name. No hard link is used, since a file
 * system in user space may know an open file by its first name, and answer ESTALE once that is unlinked (mergerfs).
 */
export function renameOpenNoReplace(dirFd: number, from: string, to: string): number {
  const result = native.renameat2(dirFd, from, dirFd, to, native.RENAME_NOREPLACE);
  if (result !== -EINVAL && result !== -ENOSYS) return result;
  return renameOverOwn(dirFd, from, to, () => {}); // it is empty at first in any case
}

/** Takes the name with a new empty file, which the rename then replaces: no other program can take it in between. */
function renameOverOwn(dirFd: number, from: string, to: string, seenEmpty: () => void): number {
  const fd = native.openat(dirFd, to, native.O_WRONLY | native.O_CREAT | native.O_EXCL | native.O_NOFOLLOW, 0o600);
  if (fd < 0) return fd;
  const own = statAt(fd, '');
  native.close(fd);
  const standing = statAt(dirFd, to);
  const isOwn = typeof own !== 'number' && typeof standing !== 'number' && standing.identity === own.identity;
  if (!isOwn) return -EEXIST; // another program has put its file there since
  const result = native.renameat(dirFd, from, dirFd, to);
  if (result < 0) native.unlinkat(dirFd, to);
  else seenEmpty();
  return result;
}
