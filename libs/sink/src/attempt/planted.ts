/**
 * Files that another user may have put where a write looks for its own. Names and attributes tell whose a file is meant
 * to be, and anybody can give them; only its owner tells who made it. Whoever owns a file can keep it open, and reads
 * what is written to it later, whatever its permissions are by then.
 */
import { type FileStat, statAt } from '@penstock/disk';

const WRITABLE_BY_GROUP_OR_OTHERS = 0o022;

/**
 * True if somebody else may have made the file `stat` in the open directory: others can write that, and the file is
 * neither the writer's nor the directory's owner's.
 */
export function isForeign(dirFd: number, stat: FileStat, writerId: number = process.geteuid!()): boolean {
  return ofOther(dirFd, stat, writerId, false);
}

/**
 * The same, but in a sticky directory alone, where nobody can put away what is another's (as fs.protected_regular sees
 * it, proc(5)): in others that many can write, files of each of them are meant to be everybody's.
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
