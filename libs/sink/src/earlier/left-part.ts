/** Removes a partial file that no later attempt will take over, unless an attempt still writes it. */
import { constants } from 'node:os';
import { native } from '@penstock/native';
import { removeFile } from '../device/freed-blocks.ts';
import { tryLock } from '../attempt/lock.ts';
import { type Root, openDirectory, statAt } from '@penstock/disk';

const { ENOENT, ENOTDIR } = constants.errno;

/** What became of it: removed, with the bytes that it had; not there; still being written; or not removed, with -errno. */
export type LeftPartFate =
  | { kind: 'removed'; bytes: number }
  | { kind: 'gone' }
  | { kind: 'written' }
  | { kind: 'failed'; errno: number };

/**
 * Removes the partial file `name` in `directory` below `root`. To be called once the queue has answered that no attempt will
 * take it over.
 */
export function removeLeftPart(root: Root, directory: string, name: string): LeftPartFate {
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return absent(dirFd);
  const fd = native.openat(dirFd, name, native.O_RDWR | native.O_NOFOLLOW | native.O_NONBLOCK, 0);
  try {
    if (fd < 0) return absent(fd);
    // A living attempt has the lock: on this machine, or on another that shares the file system.
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
