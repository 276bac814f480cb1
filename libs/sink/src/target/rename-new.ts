/** Giving a file a name that nothing has yet, by the best way that its file system offers. */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { statAt } from '@penstock/disk';

const { EEXIST, EINVAL, EMLINK, ENOSYS, EOPNOTSUPP, EPERM } = constants.errno;

/** linkat(2) where a file system has no hard links: exFAT and vfat say EPERM, FUSE file systems the others. */
const NO_LINKS: ReadonlySet<number> = new Set([-EPERM, -EOPNOTSUPP, -ENOSYS, -EMLINK, -EINVAL]);

/**
 * Renames `from` to `to` where nothing has that name: 0 or -errno, -EEXIST where something has.
 * @param seenEmpty called where readers may have seen the new name empty for a moment
 */
export function renameNoReplace(dirFd: number, from: string, to: string, seenEmpty: () => void): number {
  const result = native.renameat2(dirFd, from, dirFd, to, native.RENAME_NOREPLACE);
  if (result !== -EINVAL && result !== -ENOSYS) return result;
  // A file system that does not know the flag: a hard link is refused just as atomically where the name exists.
  const linked = native.linkat(dirFd, from, dirFd, to);
  if (!NO_LINKS.has(linked)) return linked < 0 ? linked : native.unlinkat(dirFd, from);
  return renameOverOwn(dirFd, from, to, seenEmpty);
}

/**
 * The same of a file that is open and empty, and written under its new name: without a hard link, for a file system in user
 * space may know an open file by its first name alone, and says ESTALE once that is unlinked (mergerfs).
 */
export function renameOpenNoReplace(dirFd: number, from: string, to: string): number {
  const result = native.renameat2(dirFd, from, dirFd, to, native.RENAME_NOREPLACE);
  if (result !== -EINVAL && result !== -ENOSYS) return result;
  return renameOverOwn(dirFd, from, to, () => {}); // everybody sees it empty at first
}

/** The name is taken by an empty file of ours, which the rename then replaces: nobody else can take it in between. */
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
