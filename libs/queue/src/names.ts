/** The names of queues and of jobs, and the options that a job gets by default. */
import { ANY_HOST, HOST_NAME, RequestError } from '@penstock/contract';
import type { JobsOptions, KeepJobs } from 'bullmq';

/** The BullMQ queue that any host takes writes from. Its keys have BullMQ's default prefix unless another is set. */
export const QUEUE_NAME = 'penstock';

/** The prefix of BullMQ's keys unless another is set: BullMQ's own default. */
export const DEFAULT_PREFIX = 'bull';

/** The key of a part of the queue of any host, as BullMQ makes the keys of its own parts. */
export const anyHostKey = (prefix: string, part: string): string => `${prefix}:${QUEUE_NAME}:${part}`;

/** The name of a job that is one write. */
export const JOB_NAME = 'write';

/** Separates, in a job's id, the name of the one host that is to write it; no host's name contains it. */
const HOST_MARK = '@';

/** The queue of the writes for one host; of those for any host, if none is named or it is 'any'. */
export const queueOfHost = (host: string | null | undefined): string =>
  host === undefined || host === null || host === ANY_HOST ? QUEUE_NAME : `${QUEUE_NAME}-${host}`;

/** The host that a job's id names: 'disk-3' of '7f3k@disk-3'. Undefined: any host. */
function hostOfId(jobId: string): string | undefined {
  const host = jobId.slice(jobId.lastIndexOf(HOST_MARK) + 1);
  return jobId.includes(HOST_MARK) && HOST_NAME.test(host) && host !== ANY_HOST ? host : undefined;
}

/** The queue that the job is in: a job can be found by its id alone. */
export const queueNameOf = (jobId: string): string => queueOfHost(hostOfId(jobId));

/**
 * BullMQ's own keys beside the jobs', which are named alike: a job called "wait" would overwrite the queue's list. They
 * stand here so that BullMQ need not be loaded for a name.
 */
export const TAKEN_IDS: ReadonlySet<string> = new Set([
  '',
  'active',
  'wait',
  'waiting-children',
  'paused',
  'id',
  'delayed',
  'prioritized',
  'stalled-check',
  'completed',
  'failed',
  'stalled',
  'repeat',
  'limiter',
  'meta',
  'events',
  'pc',
  'marker',
  'de',
]);

/** How BullMQ's own keys of three parts begin. */
const TAKEN_FIRST_PARTS: ReadonlySet<string> = new Set(['de', 'metrics', 'repeat']);

/** False for names that no job can have: those of BullMQ's own keys and ours, which no command on a job may touch. */
export function isJobId(id: string): boolean {
  if (TAKEN_IDS.has(id)) return false;
  if (!id.includes(':')) return true;
  if (/^repeat:.+:\d+$/s.test(id)) return true; // BullMQ's own, made by a schedule
  // BullMQ takes ids of exactly three parts; ours and most of its own keys have two.
  const [first = '', ...others] = id.split(':');
  return others.length === 2 && !TAKEN_FIRST_PARTS.has(first);
}

/**
 * The id of a job for `host`: `jobId`, which its producer chose or was given, with the host's name at its end.
 * @throws RequestError if `jobId` names another host, or is an id that BullMQ cannot have
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

/** How many ended jobs are kept, to be watched and inspected. */
export const KEEP_COMPLETED: KeepJobs = { count: 1000 };
export const KEEP_FAILED: KeepJobs = { count: 5000 };

/** What a job gets unless its producer sets it. Three attempts, one and two seconds apart. */
export const defaultJobOptions: Readonly<JobsOptions> = {
  attempts: 3,
  backoff: { type: 'exponential', delay: 1000 },
  removeOnComplete: KEEP_COMPLETED,
  removeOnFail: KEEP_FAILED,
};
