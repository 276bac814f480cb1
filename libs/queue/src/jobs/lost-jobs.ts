/**
 * Jobs that are in no list of their queue: BullMQ calls their state "unknown", and no host ever takes them. A client of
 * BullMQ 5 that resumes a queue does that to the jobs that wait in it for hosts of BullMQ 6.
 */
import type { Redis } from 'ioredis';
import { isJobId } from '../names.ts';

/** The job exists, and no host will ever take it. */
export class LostJobError extends Error {
  override readonly name: string = 'LostJobError';
  readonly code = 'ELOSTJOB';
  readonly retryable = false;
  readonly jobId: string;
  readonly hint: string;

  constructor(jobId: string, queueName: string) {
    const hint = `Put it in line again with penstock resume ${jobId}, or end it with penstock cancel ${jobId}; and keep clients of BullMQ 5 from resuming this queue.`;
    super(
      `Job '${jobId}' stands in no line of the queue '${queueName}' (BullMQ calls its state "unknown"), so that no host ever takes it: a client of BullMQ 5 that resumes a queue drops what waits in it. ${hint}`,
    );
    this.jobId = jobId;
    this.hint = hint;
  }
}

const LISTS = ['wait', 'paused', 'active'] as const;
const SETS = ['prioritized', 'delayed', 'waiting-children', 'completed', 'failed'] as const;

// KEYS: the lists, the sorted sets. ARGV: a prefix of keys, then ids. Returns the ids that have a job's hash and are in
// none.
const FIND = `
local lost = {}
for at = 2, #ARGV do
  local id, isThere = ARGV[at], false
  for key = 1, ${LISTS.length} do isThere = isThere or redis.call('LPOS', KEYS[key], id) end
  for key = ${LISTS.length + 1}, #KEYS do isThere = isThere or redis.call('ZSCORE', KEYS[key], id) end
  if not isThere and redis.call('HEXISTS', ARGV[1] .. id, 'name') == 1 then table.insert(lost, id) end
end
return lost`;

/** Those of `ids` that are jobs and in no list. Redis searches all that waits for each of them. */
export async function lostAmong(
  redis: Redis,
  toKey: (part: string) => string,
  ids: readonly string[],
): Promise<string[]> {
  const keys = [...LISTS, ...SETS].map(toKey);
  return (await redis.eval(FIND, keys.length, ...keys, toKey(''), ...ids)) as string[];
}

/** Longer queues are not examined: their jobs would fill memory and keep Redis busy. */
const JOBS_MAX = 100_000;
const FOUND_MAX = 1000;
/** Keys per SCAN. */
const SCAN_COUNT = 1000;

export interface LostJobs {
  ids: string[];
  /** False if there are more jobs than are examined, or more lost ones than are reported. */
  complete: boolean;
}

/** The jobs of a queue that are in no list. Reads the names of all keys of this Redis, page by page. */
export async function findLostJobs(redis: Redis, toKey: (part: string) => string): Promise<LostJobs> {
  const listed = new Set<string>();
  for (const part of LISTS) for (const id of await redis.lrange(toKey(part), 0, JOBS_MAX)) listed.add(id);
  for (const part of SETS) for (const id of await redis.zrange(toKey(part), '0', String(JOBS_MAX))) listed.add(id);
  if (listed.size > JOBS_MAX) return { ids: [], complete: false };
  const suspects = new Set<string>();
  const prefix = toKey('');
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(
      cursor,
      'MATCH',
      `${prefix.replaceAll(/[*?[\]\\]/g, String.raw`\$&`)}*`,
      'COUNT',
      SCAN_COUNT,
      'TYPE',
      'hash',
    );
    for (const key of keys) {
      const id = key.slice(prefix.length);
      if (isJobId(id) && !listed.has(id)) suspects.add(id);
    }
    cursor = next;
  } while (cursor !== '0' && suspects.size <= JOBS_MAX);
  const ids: string[] = [];
  // Each is asked for again, in one step: it may have moved from one list to another while these were read.
  for (const id of suspects) {
    if (ids.length >= FOUND_MAX) break;
    ids.push(...(await lostAmong(redis, toKey, [id])));
  }
  return { ids, complete: cursor === '0' && ids.length < FOUND_MAX };
}
