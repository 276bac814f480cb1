/** Making the names in a directory durable, also on file systems whose directories know no fsync. */
import { constants } from 'node:os';
import { native } from '@penstock/native';

const { EINVAL, ENOSYS, EOPNOTSUPP } = constants.errno;

/** True if `result` says that this directory has no fsync (fsync(2): EINVAL), and not that it failed. */
export const hasNoFsync = (result: number): boolean =>
  result === -EINVAL || result === -EOPNOTSUPP || result === -ENOSYS;

/** fsync of an open directory, or of its whole file system where there is no such thing: 0 or -errno. Blocks. */
export function flushDirectory(dirFd: number): number {
  const result = native.fsync(dirFd);
  return hasNoFsync(result) ? native.syncfs(dirFd) : result;
}
