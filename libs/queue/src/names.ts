/** The names of queues and of jobs, and what a job gets that its producer says nothing of. */
import { ANY_HOST, HOST_NAME, RequestError } from '@penstock/contract';
import { QueueKeys, type JobsOptions, type KeepJobs } from 'bullmq';

/** The BullMQ queue that any host takes writes from. Its keys have BullMQ's default prefix unless told otherwise. */
export const QUEUE_NAME = 'penstock';

/** The prefix of BullMQ's keys unless told otherwise: its own. */
export const DEFAULT_PREFIX = 'bull';

/** The name of a job that is one write. */
export const JOB_NAME = 'write';

/** Stands in a job's id before the name of the one host that is to write it; no host's name has it. */
const HOST_MARK = '@';

/** The queue of the writes for one host; of those for any, where no host is named or it is 'any'. */
export const queueOfHost = (host: string | null | undefined): string =>
  host === undefined || host === null || host === ANY_HOST ? QUEUE_NAME : `${QUEUE_NAME}-${host}`;

/** The host that a job's id names: '7f3k@disk-3' is one for the host 'disk-3'. Undefined: any host. */
function hostOfId(jobId: string): string | undefined {
  const host = jobId.slice(jobId.lastIndexOf(HOST_MARK) + 1);
  return jobId.includes(HOST_MARK) && HOST_NAME.test(host) && host !== ANY_HOST ? host : undefined;
}

/** The queue that the job is in: its id tells, so that whoever has the id alone need not ask around. */
export const queueNameOf = (jobId: string): string => queueOfHost(hostOfId(jobId));

/** What stands beside the jobs in Redis, under names like theirs: a job that is called "wait" would be the queue's end. */
const TAKEN_IDS: ReadonlySet<string> = new Set(Object.keys(new QueueKeys().getKeys(QUEUE_NAME)));

/** What BullMQ keeps beside the jobs under names of three parts. */
const TAKEN_FIRST_PARTS: ReadonlySet<string> = new Set(['de', 'metrics', 'repeat']);

/** False for what no job is called: beside the jobs stand keys of BullMQ and of ours, and a command must not touch them. */
export function isJobId(id: string): boolean {
  if (TAKEN_IDS.has(id)) return false;
  if (!id.includes(':')) return true;
  if (/^repeat:.+:\d+$/s.test(id)) return true; // BullMQ's own, of a schedule
  // BullMQ takes ids of exactly three parts; ours and most of its own keys have two.
  const [first = '', ...others] = id.split(':');
  return others.length === 2 && !TAKEN_FIRST_PARTS.has(first);
}

/**
 * The id of a job that is added for `host`, made of one that its producer chose or was given: the host's name is put
 * behind it.
 * @throws RequestError where `jobId` names another host already, or is none that BullMQ can have
 */
export function idForHost(jobId: string, host: string | undefined): string {
  if (TAKEN_IDS.has(jobId) || /^\d+$|:/.test(jobId)) {
    const accepted = 'a text that is no number, has no ":" and is none of BullMQ\'s own words, like nightly-2026-11-23';
    throw new RequestError({ field: 'jobId', value: jobId, accepted });
  }
  const named = hostOfId(jobId);
  const wanted = host === ANY_HOST ? undefined : host;
  if (named === wanted) return jobId;
  if (named !== undefined) {
    const accepted =
      wanted === undefined
        ? `an id without "${HOST_MARK}${named}", which names a host, or that host as the target`
        : `an id without "${HOST_MARK}${named}": the target is ${wanted}`;
    throw new RequestError({ field: 'jobId', value: jobId, accepted });
  }
  return `${jobId}${HOST_MARK}${wanted}`;
}

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
