/** The errors of calls that name a job which is not there, or which has ended. */
import { queueNameOf } from '../names.ts';

/** There is no such job, or there is none any more. */
export class UnknownJobError extends Error {
  override readonly name: string = 'UnknownJobError';
  readonly code = 'ENOJOB';
  readonly retryable = false;
  readonly jobId: string;

  constructor(jobId: string, message: string) {
    super(message);
    this.jobId = jobId;
  }
}

/** The job has come to its end: there is nothing left to steer. */
export class JobEndedError extends Error {
  override readonly name: string = 'JobEndedError';
  readonly code = 'EJOBENDED';
  readonly retryable = false;
  readonly jobId: string;
  readonly state: 'completed' | 'failed';

  constructor(jobId: string, state: 'completed' | 'failed') {
    super(`Job '${jobId}' has ${state}: there is nothing left to steer.`);
    this.jobId = jobId;
    this.state = state;
  }
}

/** The error of a job that is not there. */
export function unknown(jobId: string): UnknownJobError {
  return new UnknownJobError(
    jobId,
    `There is no job '${jobId}' in the queue '${queueNameOf(jobId)}': there never was, or it ended and was not kept.`,
  );
}

/** The error of a job that was there before. */
export function vanished(jobId: string): UnknownJobError {
  return new UnknownJobError(jobId, `Job '${jobId}' is gone: it was removed from the queue '${queueNameOf(jobId)}'.`);
}
