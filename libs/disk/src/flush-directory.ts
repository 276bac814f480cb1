/** Makes the names in a directory durable, also on file systems that have no fsync for directories. */
import { constants } from 'node:os';
import { native } from '@penstock/native';

const { EINVAL, ENOSYS, EOPNOTSUPP } = constants.errno;

/** True if `result` of an fsync means that this directory has none (fsync(2): EINVAL), and not that it failed. */
export const hasNoFsync = (result: number): boolean =>
  result === -EINVAL || result === -EOPNOTSUPP || result === -ENOSYS;

/** Flushes an open directory, or its whole file system if directories have no fsync there: 0 or -errno. Blocks. */
export function flushDirectory(dirFd: number): number {
  const result = native.fsync(dirFd);
  return hasNoFsync(result) ? native.syncfs(dirFd) : result;
}
