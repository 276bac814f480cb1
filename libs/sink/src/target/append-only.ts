/**
 * Files that are append-only (chattr +a), as logs are kept: the kernel takes bytes behind their end alone, by
 * descriptors with O_APPEND, and neither cuts them nor changes their attributes. So an append there goes through the page
 * cache, one row after the other, each behind whatever the file has by then; nothing is reserved, padded or recorded.
 * What a failed write has put there stays, and a second attempt at it is refused: nothing could tell what the first did.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { NO_JOB, addedAtMs, readRecord } from '../attempt/append-record.ts';
import type { AttemptIdentity } from '../attempt/parts.ts';

const { EPERM } = constants.errno;

/** What the result says of such a file. */
export const APPENDS_ONLY =
  'the file is append-only (chattr +a): its rows go through the page cache, one after the other';

/** @throws IoError EPERM where an attempt at the same job may have appended already */
export function assertFirstAppend(fd: number, path: string, { jobKey, job, again }: AttemptIdentity): void {
  const { entries, newestMs } = readRecord(fd, path); // of a time when the file was none of these
  const isKnown = entries.some((entry) => entry.jobKey === jobKey) || (job !== NO_JOB && addedAtMs(job) <= newestMs);
  if (!again && !isKnown) return;
  const hint =
    'An earlier attempt may have appended already, and an append-only file (lsattr) keeps no record that would tell: look ' +
    'at its end, and add a new job for what is missing.';
  throw new IoError({ syscall: 'pwrite', errno: -EPERM, path, hint });
}
