/** What becomes of a job whose attempt failed: one table, from the failure to what another attempt could change. */
import { ROOT_UNUSABLE, type WireError } from '@penstock/contract';

/** What a job can wait for without an attempt being counted. */
export type WaitCause =
  | 'space'
  | 'the lock of the file'
  | 'descriptors'
  | 'AIO contexts'
  | 'the file system to answer'
  | 'the root'
  | 'other appends to end';

export type Verdict =
  /** Another attempt would end the same way: the job has failed. */
  | { kind: 'never' }
  /** The attempt counts; the next follows as the job's own attempts and backoff say. */
  | { kind: 'retry' }
  /** Nothing is wrong with the job, nor with the disk: it waits, and the attempt does not count. */
  | { kind: 'wait'; cause: WaitCause };

interface Wait {
  codes: readonly string[];
  /** The calls it holds for; absent: any call. */
  syscalls?: readonly string[];
  cause: WaitCause;
}

/**
 * Failures that somebody else ends: by freeing space, by ending a write, by closing files. Time alone decides, so that
 * counting attempts would only fail jobs that are right.
 */
const WAITS: readonly Wait[] = [
  { codes: ['ENOSPC', 'EDQUOT'], cause: 'space' },
  // Held by another attempt at the same file in place: a frozen host's too, which may keep it for as long as it likes.
  { codes: ['EBUSY'], syscalls: ['flock', 'fcntl', 'openat', 'openat2'], cause: 'the lock of the file' },
  // The file's record of unfinished appends is full.
  { codes: ['EBUSY'], syscalls: ['fsetxattr'], cause: 'other appends to end' },
  { codes: ['EMFILE', 'ENFILE'], cause: 'descriptors' },
  { codes: ['EAGAIN'], syscalls: ['io_setup'], cause: 'AIO contexts' },
  { codes: ['ETIMEDOUT'], syscalls: ['statfs'], cause: 'the file system to answer' },
];

/**
 * The verdict on a failure.
 *
 * Never again: whatever says of itself that it is not `retryable`, which for system calls is the contract's list of
 * permanent errno names (EROFS, EACCES, EPERM, ENOENT, EFBIG ...), and every bad request. Waits: the table above, of
 * system calls alone, since an error that only carries such a code (a bulk's, of its first file) speaks of more than one
 * call, and RootError, by which a host reports a root that it cannot use. All else counts as an attempt: EIO, ESTALE, a
 * thread that died, an unknown error.
 */
export function verdictOn({ code, syscall, retryable }: Pick<WireError, 'code' | 'syscall' | 'retryable'>): Verdict {
  if (!retryable) return { kind: 'never' };
  if (code === ROOT_UNUSABLE) return { kind: 'wait', cause: 'the root' };
  if (syscall === undefined) return { kind: 'retry' };
  const wait = WAITS.find(
    ({ codes, syscalls }) => codes.includes(code) && (syscalls === undefined || syscalls.includes(syscall)),
  );
  return wait === undefined ? { kind: 'retry' } : { kind: 'wait', cause: wait.cause };
}
