/**
 * One writer a file: two writes in one file, or a woken stale one, would each make a lie of the other's result. Every
 * target is locked from its opening to its end, a temporary one too: so a later attempt can tell what a dead one left
 * from what a living one still fills.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';

const { EACCES, EAGAIN, EBUSY, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP } = constants.errno;

/** Takes the lock of an open file: false where another has it. A file system without locks has none to take. */
export function tryLock(fd: number): boolean {
  const result = native.lockFile(fd);
  return result !== -EAGAIN && result !== -EACCES;
}

/** @throws IoError EBUSY where another write is at work in the file */
export function lockAlone(fd: number, path: string): void {
  const result = native.lockFile(fd);
  if (result === 0) return;
  // No locks here (a network file system may have none): the queue's lock and the temporary name remain.
  if (result === -ENOLCK || result === -EOPNOTSUPP || result === -ENOSYS || result === -EINVAL) return;
  const hint = 'Another write is at work in this very file: try again when it has ended.';
  const errno = result === -EAGAIN || result === -EACCES ? -EBUSY : result;
  throw new IoError({ syscall: 'fcntl', errno, path, hint });
}
