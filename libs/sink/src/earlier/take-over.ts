/**
 * What earlier attempts of a job left beside its target: the one that got furthest is taken over, the others go.
 *
 * A part that is locked belongs to an attempt that still lives, if only frozen. It loses its name, so that it can never
 * be published, and goes on into a file that nobody sees; this attempt begins anew. A part that is not locked is a dead
 * attempt's: the kernel drops a lock when the last iocb of a killed process has ended and its files are closed, so
 * whoever gets the lock knows that nothing is written there any more.
 */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { type Checkpoint, readCheckpoint } from '../attempt/checkpoint.ts';
import { earlierParts } from '../attempt/earlier-parts.ts';
import { removeFile } from '../device/freed-blocks.ts';
import { tryLock } from '../attempt/lock.ts';
import { type AttemptIdentity, partName, splitPath } from '../attempt/parts.ts';
import { isForeign, isPlanted } from '../attempt/planted.ts';
import { type Root, openDirectory, statAt } from '@penstock/disk';

const { ENOENT } = constants.errno;

/** Takes over what there is for `path` below `root`; true if the attempt's own part is there now, with a checkpoint. */
export function takeOverPart(root: Root, path: string, { jobKey, attemptToken }: AttemptIdentity): boolean {
  const dirFd = openDirectory(root, splitPath(path).directory);
  if (dirFd < 0) return false; // no directory, so nothing in it; or the attempt itself will say what is wrong
  try {
    return takeFurthest(dirFd, earlierParts(dirFd, jobKey, attemptToken), jobKey, partName(jobKey, attemptToken));
  } finally {
    native.close(dirFd);
  }
}

function takeFurthest(dirFd: number, names: readonly string[], jobKey: string, ownName: string): boolean {
  let furthest = '';
  let furthestBytes = 0;
  for (const name of names) {
    const durableBytes = durableBytesOf(dirFd, name, jobKey);
    if (durableBytes === null) continue;
    const loser = durableBytes > furthestBytes ? furthest : name;
    if (loser !== '') removeFile(dirFd, loser);
    if (loser === name) continue;
    furthest = name;
    furthestBytes = durableBytes;
  }
  return furthest !== '' && native.renameat(dirFd, furthest, dirFd, ownName) === 0;
}

/**
 * null if there is no such file, 0 for what cannot be taken over: also a file that an attempt had replaced when it died,
 * one that has another name besides, which after a power loss on a file system without a journal may be anybody's, and
 * one that another user may have put there.
 */
function durableBytesOf(dirFd: number, name: string, jobKey: string): number | null {
  const fd = native.openat(dirFd, name, native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  if (fd < 0) return fd === -ENOENT ? null : 0;
  const stat = statAt(fd, '');
  const readable = typeof stat !== 'number' && stat.linkCount === 1 && !isForeign(dirFd, stat) && tryLock(fd);
  const checkpoint = readable ? readCheckpoint(fd, stat) : null;
  native.close(fd);
  return checkpoint?.jobKey === jobKey ? checkpoint.durableBytes : 0;
}

/**
 * The checkpoint of the file that an earlier attempt of the job had published, all of it, when it died before it could
 * say so; null where there is none.
 */
export function findFinished(root: Root, path: string, jobKey: string): Checkpoint | null {
  const { directory, name } = splitPath(path);
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return null;
  // As it is opened next: one that its own permissions close to us is replaced like any other.
  const fd = native.openat(dirFd, name, native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  const stat = fd < 0 ? fd : statAt(fd, '');
  const checkpoint = typeof stat === 'number' || isPlanted(dirFd, stat) ? null : readCheckpoint(fd, stat);
  native.close(dirFd);
  if (fd >= 0) native.close(fd);
  if (checkpoint?.finished === undefined || checkpoint.jobKey !== jobKey) return null;
  return typeof stat !== 'number' && stat.sizeBytes === checkpoint.durableBytes ? checkpoint : null;
}
