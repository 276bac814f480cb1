/** What counts against the queue's capacity: jobs that are about to be added, and those that are there already. */
import { type JobRequest, knownBytes, requestsOf } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import type { WaitForRoom } from '../capacity/gate.ts';
import type { Held } from '../capacity/scripts.ts';
import { QUEUE_NAME, queueNameOf, queueOfHost } from '../names.ts';
import type { OpenQueues } from './open-queues.ts';

/** Jobs in one round trip: so few that the last is answered in time, so many that the round trip does not matter. */
export const JOBS_AT_ONCE_MAX = 1000;

/** The states of jobs that have not ended. */
const UNENDED = ['waiting', 'active', 'delayed', 'prioritized', 'waiting-children'] as const;

/** A job before it is added. */
export interface NewJob {
  data: JobRequest;
  opts: { jobId: string };
}

/**
 * Counts the jobs, all or none, if there is a limit; waits for room if the limit says so. Resolves with what was counted:
 * nothing if there is no limit. @throws CapacityError
 */
export async function admit({ gate }: OpenQueues, jobs: readonly NewJob[], wait: WaitForRoom): Promise<Held[]> {
  if (!(await gate.isLimited())) return [];
  const held = jobs.map(({ data, opts: { jobId } }) => ({ field: fieldOf(jobId), bytes: bytesOf(data) }));
  await gate.pass(held, wait);
  return held;
}

/** Counts a job no more that no host will report as ended. */
export async function release({ gate, capacity }: OpenQueues, jobId: string): Promise<void> {
  if (await gate.isLimited()) await capacity.release([fieldOf(jobId)]);
}

/** Counts all jobs that have not ended, in the queues of all hosts, whatever the limit. */
export async function countAll(queues: OpenQueues): Promise<void> {
  const hosts = await queues.hosts();
  for (const queueName of [QUEUE_NAME, ...hosts.map(({ name }) => queueOfHost(name))]) {
    const { queue } = queues.named(queueName);
    for (let start = 0; ; start += JOBS_AT_ONCE_MAX) {
      // A page at a time: there may be very many.
      const page = await queue.getJobs([...UNENDED], start, start + JOBS_AT_ONCE_MAX - 1);
      const held = page.filter(Boolean).flatMap(({ id = '', data }) => heldIfValid(queueName, id, data));
      if (held.length > 0) await queues.capacity.admit(held, true);
      if (page.length === 0) break;
    }
  }
}

/** Of a bulk, all files together; those whose size only their source knows count as 0. */
const bytesOf = (request: JobRequest): number =>
  ('files' in request ? requestsOf(request) : [request]).reduce((sum, each) => sum + knownBytes(each), 0);

const fieldOf = (jobId: string): string => `${queueNameOf(jobId)}:${jobId}`;

/** What another program put into the queue may be no request at all. */
function heldIfValid(queueName: string, jobId: string, data: unknown): Held[] {
  try {
    return [{ field: `${queueName}:${jobId}`, bytes: bytesOf(parseJob(data)) }];
  } catch {
    return []; // the host that takes it refuses it
  }
}
