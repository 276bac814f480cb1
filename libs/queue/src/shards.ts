// The shards of a flow as the job that waited for them sees them: what each came to, in the order of the flow.
import { type JobRequest, type JobResult, parseJob } from '@penstock/contract';
import type { Job } from 'bullmq';
import type { Redis } from 'ioredis';

/** How one shard ended. */
export type ShardOutcome = {
  id: string;
  /** What it asked for; null where its job is no longer kept. */
  request: JobRequest | null;
} & ({ result: JobResult } | { failedReason: string });

/** The ends of the shards of `job`; empty where it is no flow's. `redis` is for reading what they asked for. */
export async function shardsOf(job: Job, redis: Redis): Promise<ShardOutcome[]> {
  const [results, failures] = await Promise.all([job.getChildrenValues<JobResult>(), job.getIgnoredChildrenFailures()]);
  const keys = [...Object.keys(results), ...Object.keys(failures)];
  const requests = await requestsAt(keys, redis);
  const shards = keys.map((key, index): ShardOutcome => {
    const id = idOf(key);
    const request = requests[index]!;
    const result = results[key];
    return result === undefined ? { id, request, failedReason: failures[key]! } : { id, request, result };
  });
  return inOrder(shards);
}

/** A job's key ends with its id, which in a flow has no colon; behind "@" it may name a host. */
const idOf = (key: string): string => key.slice(key.lastIndexOf(':') + 1);

async function requestsAt(keys: readonly string[], redis: Redis): Promise<(JobRequest | null)[]> {
  const pipeline = redis.pipeline();
  for (const key of keys) pipeline.hget(key, 'data');
  const replies = (await pipeline.exec()) ?? [];
  return replies.map(([error, data]) => {
    if (error !== null) throw error;
    return typeof data === 'string' ? requestIn(data) : null;
  });
}

/** A shard that failed may have asked for nothing that can be read. */
function requestIn(data: string): JobRequest | null {
  try {
    return parseJob(JSON.parse(data));
  } catch {
    return null;
  }
}

/**
 * Redis keeps a flow's children in no order. Ids that differ only in a number at their end tell it, as those of
 * addFlow() do; others go by the file they wrote, so that each attempt finds the same order.
 */
function inOrder(shards: readonly ShardOutcome[]): ShardOutcome[] {
  const numbered = shards.map((shard) => ({ shard, parts: /^(.*?)(\d+)(?:@.*)?$/s.exec(shard.id) }));
  const prefix = numbered[0]?.parts?.[1];
  if (numbered.every(({ parts }) => parts !== null && parts[1] === prefix)) {
    return numbered.toSorted((one, other) => Number(one.parts![2]) - Number(other.parts![2])).map(({ shard }) => shard);
  }
  const named = shards.map((shard) => ({ shard, name: fileOf(shard) }));
  return named.toSorted((one, other) => (one.name < other.name ? -1 : 1)).map(({ shard }) => shard);
}

function fileOf({ id, request }: ShardOutcome): string {
  if (request === null) return `\uFFFF${id}`;
  const first = 'files' in request ? request.files[0]! : request;
  return `${first.root ?? request.root}\0${first.path}`;
}
