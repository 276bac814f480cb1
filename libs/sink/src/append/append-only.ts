/**
 * Files that are append-only (chattr +a), as some logs are: the kernel only takes bytes behind their end, by descriptors with
 * O_APPEND, and neither cuts them nor changes their attributes. So an append goes through the page cache, one row after the
 * other, each behind whatever the file ends with by then; nothing is reserved, padded or recorded. What a failed attempt has
 * written stays, and a second attempt is refused, since nothing shows what the first has done.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { NO_JOB, addedAtMs, readRecord } from './record.ts';
import type { AttemptIdentity } from '../attempt/parts.ts';

const { EPERM } = constants.errno;

/** The reason in the result of such a file. */
export const APPENDS_ONLY =
  'the file is append-only (chattr +a): its rows go through the page cache, one after the other';

/** @throws IoError EPERM if an earlier attempt of the same job may have appended already */
export function assertFirstAppend(fd: number, path: string, { jobKey, job, again }: AttemptIdentity): void {
  const { entries, newestMs } = readRecord(fd, path); // from a time when the file was not append-only
  const isKnown = entries.some((entry) => entry.jobKey === jobKey) || (job !== NO_JOB && addedAtMs(job) <= newestMs);
  if (!again && !isKnown) return;
  const hint =
    'An earlier attempt may have appended already, and an append-only file (lsattr) keeps no record that would tell: look ' +
    'at its end, and add a new job for what is missing.';
  throw new IoError({ syscall: 'pwrite', errno: -EPERM, path, hint });
}
