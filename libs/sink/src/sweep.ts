/** Removes what earlier attempts of a job left at its target or beside it: only a killed process leaves anything. */
import { readdirSync } from 'node:fs';
import { native } from '@penstock/aio';
import { removeCheckpoint } from './checkpoint.ts';
import { removeFile } from './freed-blocks.ts';
import { cutOffEarlier } from './lengthening.ts';
import { tryLock } from './lock.ts';
import { type Root, openBeneath, openDirectory } from './roots.ts';
import { statAt } from './stat.ts';
import { partPrefix, splitPath } from './parts.ts';

/** Removes the partial files of `jobKey` beside `path` below `root`. Returns how many. */
export function sweepParts(root: Root, path: string, jobKey: string): number {
  const prefix = partPrefix(jobKey);
  return sweepDirectory(root, splitPath(path).directory, (name) => name.startsWith(prefix));
}

/** Removes those partial files in `directory` below `root` that are `left`. Returns how many. */
export function sweepDirectory(root: Root, directory: string, left: (name: string) => boolean): number {
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return 0; // no directory, so nothing in it; or the attempt itself will say what is wrong
  let removed = 0;
  try {
    for (const name of readdirSync(`/proc/self/fd/${dirFd}`)) {
      if (name.endsWith('.part') && left(name) && removeFile(dirFd, name) === 0) removed += 1;
    }
  } finally {
    native.close(dirFd);
  }
  return removed;
}

/** Cuts off what earlier attempts of `jobKey` have left at the end of the file `path`, which is not theirs alone. */
export function sweepLengthening(root: Root, path: string, jobKey: string): void {
  const fd = openBeneath(root.fd, path, native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK);
  if (fd < 0) return;
  const stat = statAt(fd, '');
  // Who has the lock is at work in it, and leaves no end of the file as it is now.
  if (typeof stat !== 'number' && stat.isFile && tryLock(fd)) {
    cutOffEarlier(fd, `${root.path}/${path}`, jobKey, stat.sizeBytes, () => removeCheckpoint(fd));
  }
  native.close(fd);
}
