/** Removes what earlier attempts of a job left beside its target or at the target's end; only killed processes leave anything. */
import { native } from '@penstock/native';
import { removeCheckpoint } from '../attempt/checkpoint.ts';
import { earlierParts } from '../attempt/earlier-parts.ts';
import { removeFile } from '../device/freed-blocks.ts';
import type { Freeing } from '../device/freeing.ts';
import { cutOffEarlier } from '../append/lengthening.ts';
import { tryLock } from '../attempt/lock.ts';
import { type Root, openBeneath, openDirectory, statAt } from '@penstock/disk';
import { type AttemptIdentity, splitPath } from '../attempt/parts.ts';

/** The job, and its attempt that removes. */
type PartOwner = Pick<AttemptIdentity, 'jobKey' | 'attemptToken'>;

/** Removes the partial files that attempts of `jobKey` up to this one left beside `path` below `root`. */
export function sweepParts(root: Root, path: string, { jobKey, attemptToken }: PartOwner, freeing: Freeing): void {
  sweepDirectory(root, splitPath(path).directory, (dirFd) => earlierParts(dirFd, jobKey, attemptToken), freeing);
}

/** Removes the partial files with these names in `directory` below `root`. */
export function sweepDirectory(
  root: Root,
  directory: string,
  names: (dirFd: number) => readonly string[],
  freeing: Freeing,
): void {
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return; // no directory, so nothing in it; or the attempt itself will report what is wrong
  try {
    for (const name of names(dirFd)) removeFile(dirFd, name, freeing); // most are not there
  } finally {
    native.close(dirFd);
  }
}

/** Cuts off what earlier attempts of `jobKey` have left at the end of the file `path`, which others write to as well. */
export function sweepLengthening(root: Root, path: string, jobKey: string): void {
  const fd = openBeneath(root.fd, path, native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK);
  if (fd < 0) return;
  const stat = statAt(fd, '');
  // If another write has the lock, it is at work in the file and will itself cut off what is left there.
  if (typeof stat !== 'number' && stat.isFile && tryLock(fd)) {
    cutOffEarlier(fd, `${root.path}/${path}`, jobKey, stat.sizeBytes, () => removeCheckpoint(fd));
  }
  native.close(fd);
}
