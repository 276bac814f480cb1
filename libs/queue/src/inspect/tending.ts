/** What operators do with jobs that have ended: try again, remove one, remove old ones. */
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { brokenJob } from '../jobs/broken-jobs.ts';
import { unknown } from '../jobs/job-errors.ts';
import type { OrderSender } from '../steer/order-sender.ts';

/** The job is not in a state in which that can be done. */
export class JobStateError extends Error {
  override readonly name: string = 'JobStateError';
  readonly code = 'EJOBSTATE';
  readonly retryable = false;
  readonly jobId: string;
  /** BullMQ's name of where it is. */
  readonly state: string;
  readonly hint: string;

  constructor(jobId: string, state: string, needed: string, hint: string) {
    super(`Job '${jobId}' is ${state}, and would have to be ${needed}. ${hint}`);
    this.jobId = jobId;
    this.state = state;
    this.hint = hint;
  }
}

/** Which jobs are removed. */
export interface CleanOptions {
  /** Those that ended longer ago than this, in milliseconds. */
  olderThanMs: number;
  /** Those that ended like this; both, if it is left out. */
  states?: readonly ('completed' | 'failed')[];
}

/** Puts a failed job in line again, with all its attempts; if it was cancelled or paused, that is taken back. */
export async function retryJob(redis: Redis, queue: Queue, orders: OrderSender, id: string): Promise<void> {
  const job = await readJob(redis, queue, id);
  const state = await job.getState();
  if (state !== 'failed') throw new JobStateError(id, state, 'failed', `penstock show ${id} shows where it is.`);
  await orders.takeBack(id);
  await job.retry('failed', { resetAttemptsMade: true });
}

/** Removes a job that no host has, with all that Redis keeps of it. What it wrote stays where it is. */
export async function removeJob(redis: Redis, queue: Queue, id: string): Promise<void> {
  const job = await readJob(redis, queue, id);
  const state = await job.getState();
  if (state === 'active') throw new JobStateError(id, state, 'at rest', `penstock cancel ${id} ends it first.`);
  await job.remove({ removeChildren: false }); // of a flow's manifest the shards stay
}

/** Removes the jobs of a queue that ended in `state` longer ago than `olderThanMs`; how many. */
export async function cleanQueue(queue: Queue, state: 'completed' | 'failed', olderThanMs: number): Promise<number> {
  return (await queue.clean(olderThanMs, 0, state)).length;
}

async function readJob(
  redis: Redis,
  queue: Queue,
  id: string,
): Promise<NonNullable<Awaited<ReturnType<Queue['getJob']>>>> {
  try {
    const job = await queue.getJob(id);
    if (job !== undefined) return job;
  } catch (error) {
    throw (await brokenJob(redis, queue.toKey(id), id)) ?? error;
  }
  throw unknown(id);
}
