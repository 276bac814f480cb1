/** Removes a partial file that nobody will take up, unless somebody still writes it. */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { removeFile } from '../device/freed-blocks.ts';
import { tryLock } from '../attempt/lock.ts';
import { type Root, openDirectory, statAt } from '@penstock/disk';

const { ENOENT, ENOTDIR } = constants.errno;

/** What became of it: it was removed, with its bytes on the disk; was not there; is still written; or -errno. */
export type LeftPartFate =
  | { kind: 'removed'; bytes: number }
  | { kind: 'gone' }
  | { kind: 'written' }
  | { kind: 'failed'; errno: number };

/** @param name of the partial file in `directory` below `root`. The queue has said that nobody will take it up. */
export function removeLeftPart(root: Root, directory: string, name: string): LeftPartFate {
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return absent(dirFd);
  const fd = native.openat(dirFd, name, native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  try {
    if (fd < 0) return absent(fd);
    // An attempt that still lives has its lock, on this machine or, on a file system that is shared, on another.
    if (!tryLock(fd)) return { kind: 'written' };
    const stat = statAt(fd, '');
    const result = removeFile(dirFd, name);
    if (result < 0) return absent(result);
    return { kind: 'removed', bytes: typeof stat === 'number' ? 0 : stat.sizeBytes };
  } finally {
    if (fd >= 0) native.close(fd);
    native.close(dirFd);
  }
}

const absent = (errno: number): LeftPartFate =>
  errno === -ENOENT || errno === -ENOTDIR ? { kind: 'gone' } : { kind: 'failed', errno };
