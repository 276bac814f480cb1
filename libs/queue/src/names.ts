import type { JobsOptions, KeepJobs } from 'bullmq';

/** The BullMQ queue that any host takes writes from. Its keys have BullMQ's default prefix unless told otherwise. */
export const QUEUE_NAME = 'penstock';

/** The name of a job that is one write. */
export const JOB_NAME = 'write';

/** How many ended jobs are kept to be looked at. */
export const keepCompleted: KeepJobs = { count: 1000 };
export const keepFailed: KeepJobs = { count: 5000 };

/** What a job gets unless its producer says otherwise. Three attempts, a second, two and four seconds apart. */
export const defaultJobOptions: Readonly<JobsOptions> = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 1000 },
  removeOnComplete: keepCompleted,
  removeOnFail: keepFailed,
};
