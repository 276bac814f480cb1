/**
 * Recognizes files that another user may have put where a write expects its own.
 *
 * Names and attributes can be forged; only a file's owner shows who made it. Whoever owns a file can keep it open and read
 * what is written to it later, whatever its permissions are by then.
 */
import { type FileStat, statAt } from '@penstock/disk';

const WRITABLE_BY_GROUP_OR_OTHERS = 0o022;

/**
 * True if another user may have made the file `stat` in the open directory: others can write to that directory, and the
 * file belongs neither to the writer nor to the directory's owner.
 */
export function isForeign(dirFd: number, stat: FileStat, writerId: number = process.geteuid!()): boolean {
  return ofOther(dirFd, stat, writerId, false);
}

/**
 * The same, but only in a sticky directory, as for fs.protected_regular (proc(5)). In a directory that several users can
 * write to and that is not sticky, they are meant to share their files.
 */
export function isPlanted(dirFd: number, stat: FileStat, writerId: number = process.geteuid!()): boolean {
  return ofOther(dirFd, stat, writerId, true);
}

function ofOther(dirFd: number, { userId }: FileStat, writerId: number, inStickyAlone: boolean): boolean {
  if (userId === writerId) return false;
  const directory = statAt(dirFd, '');
  if (typeof directory === 'number') return true;
  if (userId === directory.userId || (inStickyAlone && !directory.isSticky)) return false;
  return (directory.permissions & WRITABLE_BY_GROUP_OR_OTHERS) !== 0;
}
