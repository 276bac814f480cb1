/** How jobs are added: each gets an id and a queue, all are counted, and they are sent in groups. */
import { randomBytes } from 'node:crypto';
import { type JobRequestInput, RequestError } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import type { JobsOptions } from 'bullmq';
import type { WaitForRoom } from '../capacity/gate.ts';
import { idForHost, JOB_NAME, queueNameOf } from '../names.ts';
import { admit, JOBS_AT_ONCE_MAX, type NewJob } from './counting.ts';
import { parseNamed } from './given.ts';
import type { OpenQueues } from './open-queues.ts';

/** A job as BullMQ takes it. */
interface JobToAdd extends NewJob {
  name: typeof JOB_NAME;
  opts: JobsOptions & { jobId: string };
}

/** The jobs that `requests` come to. @throws RequestError, naming the request if there are several */
export function jobsFor(requests: readonly JobRequestInput[], options: JobsOptions): JobToAdd[] {
  if (options.jobId !== undefined && requests.length > 1) {
    // BullMQ would add the first alone, and report all of them as added.
    const accepted = 'no id for several writes: each has one of its own';
    throw new RequestError({ field: 'jobId', value: options.jobId, accepted });
  }
  return requests.map((request, index) => {
    const data = requests.length === 1 ? parseJob(request) : parseNamed(`request ${index}`, request);
    // An id of our own making, so that a command sent again after a break adds nothing twice.
    const jobId = idForHost(options.jobId ?? newJobId(), data.target?.host);
    return { name: JOB_NAME, data, opts: { ...options, jobId } };
  });
}

/** Adds the jobs; resolves with their ids in the same order. @throws CapacityError */
export async function addJobs(queues: OpenQueues, jobs: readonly JobToAdd[], wait: WaitForRoom): Promise<string[]> {
  const held = await admit(queues, jobs, wait);
  const ids: string[] = [];
  for (const [queueName, group] of groupByQueue(jobs)) {
    const { queue } = queues.named(queueName);
    for (let start = 0; start < group.length; start += JOBS_AT_ONCE_MAX) {
      const part = group.slice(start, start + JOBS_AT_ONCE_MAX);
      // One after the other, so that each is answered in time.
      const added = await queue.addBulk(part.map(({ job }) => job));
      for (const [index, { id }] of added.entries()) ids[part[index]!.index] = id ?? '';
    }
  }
  // Deduplication: another job does what was asked for, and counts already.
  const unused = held.filter((_job, index) => ids[index] !== jobs[index]?.opts.jobId);
  if (unused.length > 0) await queues.capacity.release(unused.map(({ field }) => field));
  return ids;
}

/** The jobs of each queue, with their indices among all. */
function groupByQueue(jobs: readonly JobToAdd[]): Map<string, { job: JobToAdd; index: number }[]> {
  const groups = new Map<string, { job: JobToAdd; index: number }[]>();
  for (const [index, job] of jobs.entries()) {
    const queueName = queueNameOf(job.opts.jobId);
    const group = groups.get(queueName) ?? [];
    groups.set(queueName, group);
    group.push({ job, index });
  }
  return groups;
}

/** 64 random bits: short enough to be typed, and never met again. */
export function newJobId(): string {
  return randomBytes(8).readBigUInt64BE().toString(36).padStart(13, '0');
}
