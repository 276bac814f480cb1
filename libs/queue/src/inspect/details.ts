/** One job with all that is known of it: its view, its request, its result, its log. */
import type { JobResult } from '@penstock/contract';
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { jobResultOf } from '../jobs/foreign.ts';
import { unknown } from '../jobs/job-errors.ts';
import type { JobState, JobView } from './job-view.ts';
import { viewsOf } from './listing.ts';

/** A job, and what only a look at it alone shows. */
export interface JobDetails extends JobView {
  /** What was asked for, as it stands in the job; null if it cannot be read. */
  request: unknown;
  /** What it came to, if it has completed; null also if another program's worker took it. */
  result: JobResult | null;
  /** Its log, oldest first: each line has its time, attempt and host. */
  logs: string[];
}

/** The job as it is now. @throws (rejects with) UnknownJobError */
export async function readDetails(redis: Redis, queue: Queue, id: string): Promise<JobDetails> {
  const state = await queue.getJobState(id);
  const [[view], [request, returned], { logs }] = await Promise.all([
    viewsOf(redis, queue, stateOf(state), [id]),
    redis.hmget(queue.toKey(id), 'data', 'returnvalue'),
    queue.getJobLogs(id),
  ]);
  if (view === undefined) throw unknown(id);
  return { ...view, request: parsed(request), result: jobResultOf(parsed(returned)), logs };
}

/** BullMQ calls a job unknown that exists and is in no list. */
const stateOf = (state: string): JobState => (state === 'unknown' ? 'lost' : (state as JobState));

function parsed(json: string | null | undefined): unknown {
  try {
    return JSON.parse(json ?? 'null');
  } catch {
    return null;
  }
}
