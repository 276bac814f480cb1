/** Removes what earlier attempts of a job left at its target or beside it: only a killed process leaves anything. */
import { native } from '@penstock/native';
import { removeCheckpoint } from '../attempt/checkpoint.ts';
import { earlierParts } from '../attempt/earlier-parts.ts';
import { removeFile } from '../device/freed-blocks.ts';
import { cutOffEarlier } from '../target/lengthening.ts';
import { tryLock } from '../attempt/lock.ts';
import { type Root, openBeneath, openDirectory, statAt } from '@penstock/disk';
import { type AttemptIdentity, splitPath } from '../attempt/parts.ts';

/** Which job, and how many attempts it has had. */
type PartOwner = Pick<AttemptIdentity, 'jobKey' | 'attemptToken'>;

/** Removes the partial files that attempts of `jobKey` up to this one left beside `path` below `root`. */
export function sweepParts(root: Root, path: string, { jobKey, attemptToken }: PartOwner): void {
  sweepDirectory(root, splitPath(path).directory, (dirFd) => earlierParts(dirFd, jobKey, attemptToken));
}

/** Removes the partial files with these names in `directory` below `root`. */
export function sweepDirectory(root: Root, directory: string, names: (dirFd: number) => readonly string[]): void {
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return; // no directory, so nothing in it; or the attempt itself will say what is wrong
  try {
    for (const name of names(dirFd)) removeFile(dirFd, name); // most are not there
  } finally {
    native.close(dirFd);
  }
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
