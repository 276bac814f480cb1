/**
 * Takes over what earlier attempts of a job left beside its target: the part (partial file) that got furthest; the other
 * parts are removed.
 *
 * A part that is locked belongs to an attempt that is alive, though perhaps frozen. The part loses its name, so that it can
 * never be published: that attempt goes on writing into a file without a name, and this one begins anew. A part that is not
 * locked belongs to a dead attempt: the kernel releases a lock when the last iocb of a killed process has ended and its
 * files are closed, so once an attempt gets the lock, nothing else writes there.
 */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { type Checkpoint, readCheckpoint } from '../attempt/checkpoint.ts';
import { earlierParts } from '../attempt/earlier-parts.ts';
import { removeFile } from '../device/freed-blocks.ts';
import type { Freeing } from '../device/freeing.ts';
import { tryLock } from '../attempt/lock.ts';
import { type AttemptIdentity, partName, splitPath } from '../attempt/parts.ts';
import { isForeign, isPlanted } from '../attempt/planted.ts';
import { type Root, openDirectory, statAt } from '@penstock/disk';

const { ENOENT } = constants.errno;

/** Takes over a part for `path` below `root`; true if there was one with a checkpoint: it has this attempt's name now. */
export function takeOverPart(root: Root, path: string, identity: AttemptIdentity, freeing: Freeing): boolean {
  const { jobKey, attemptToken } = identity;
  const dirFd = openDirectory(root, splitPath(path).directory);
  if (dirFd < 0) return false; // no directory, so nothing in it; or the attempt itself will report what is wrong
  try {
    const names = earlierParts(dirFd, jobKey, attemptToken);
    return takeFurthest(dirFd, names, jobKey, partName(jobKey, attemptToken), freeing);
  } finally {
    native.close(dirFd);
  }
}

function takeFurthest(
  dirFd: number,
  names: readonly string[],
  jobKey: string,
  ownName: string,
  freeing: Freeing,
): boolean {
  let furthest = '';
  let furthestBytes = 0;
  for (const name of names) {
    const durableBytes = durableBytesOf(dirFd, name, jobKey);
    if (durableBytes === null) continue;
    const loser = durableBytes > furthestBytes ? furthest : name;
    if (loser !== '') removeFile(dirFd, loser, freeing);
    if (loser === name) continue;
    furthest = name;
    furthestBytes = durableBytes;
  }
  return furthest !== '' && native.renameat(dirFd, furthest, dirFd, ownName) === 0;
}

/**
 * How many bytes of the part are durable; null if there is no such file, 0 if it cannot be taken over. That includes a file
 * that an attempt had replaced when it died (it may have that name for a moment), a file with another name besides (after a
 * power loss on a file system without a journal it may be any file), and one that another user may have put there.
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
 * The checkpoint of the file `path`, if an earlier attempt of the job had published all of it and died before it reported
 * that; null if not.
 */
export function findFinished(root: Root, path: string, jobKey: string): Checkpoint | null {
  const { directory, name } = splitPath(path);
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return null;
  // With the flags that it is opened with next: a file whose permissions forbid that is replaced like any other.
  const fd = native.openat(dirFd, name, native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  const stat = fd < 0 ? fd : statAt(fd, '');
  const checkpoint = typeof stat === 'number' || isPlanted(dirFd, stat) ? null : readCheckpoint(fd, stat);
  native.close(dirFd);
  if (fd >= 0) native.close(fd);
  if (checkpoint?.finished === undefined || checkpoint.jobKey !== jobKey) return null;
  return typeof stat !== 'number' && stat.sizeBytes === checkpoint.durableBytes ? checkpoint : null;
}
