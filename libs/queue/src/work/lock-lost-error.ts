/** The error of an attempt that lost its job's lock. */

/** The lock belongs to this worker no more: another may be writing the same file, so this one must stop at once. */
export class LockLostError extends Error {
  override readonly name: string = 'LockLostError';
  readonly code = 'ELOCKLOST';
  readonly retryable = true;

  constructor(jobId: string, why: 'taken' | 'expired') {
    const cause =
      why === 'taken'
        ? 'it is in the hands of another worker, or its lock ran out'
        : 'for as long as the lock lasts Redis could not be reached, or this process stood still';
    super(`The write of job ${jobId} was stopped: ${cause}. It is taken up again.`);
  }
}
