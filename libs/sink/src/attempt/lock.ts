/**
 * One writer per file, by the lock that every target has from its opening to its end.
 *
 * Two writes in one file, or an attempt that was frozen and wakes, would each spoil what the other reports as written. A
 * temporary file is locked too: so a later attempt knows whether the attempt that made it is dead or still writes.
 *
 * The decision: libs/README.md#lock-on-every-file.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';

const { EACCES, EAGAIN, EBUSY, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP } = constants.errno;

/** Takes the lock of an open file: false if another open of it has the lock. True on a file system without locks. */
export function tryLock(fd: number): boolean {
  const result = native.lockFile(fd);
  return result !== -EAGAIN && result !== -EACCES;
}

/** Takes the lock of an open file. @throws IoError EBUSY if another write has it */
export function lockAlone(fd: number, path: string): void {
  const result = native.lockFile(fd);
  if (result === 0) return;
  // A file system without locks (some network ones): the queue's lock and the temporary name still protect the file.
  if (result === -ENOLCK || result === -EOPNOTSUPP || result === -ENOSYS || result === -EINVAL) return;
  const hint = 'Another write is at work in this very file: try again when it has ended.';
  const errno = result === -EAGAIN || result === -EACCES ? -EBUSY : result;
  throw new IoError({ syscall: 'fcntl', errno, path, hint });
}
