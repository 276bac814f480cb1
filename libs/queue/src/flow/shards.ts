/** The shards of a flow as the job that waited for them sees them: what each came to, in the order of the flow. */
import type { JobRequest, ManifestSource, ShortResult } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import type { Redis } from 'ioredis';
import { type Children, faultOfFlow, inOrder } from './whole-flow.ts';

/** How one shard ended. */
export type ShardOutcome = {
  id: string;
  /** What it asked for; null if its job is no longer kept. */
  request: JobRequest | null;
} & ({ result: ShortResult } | { failedReason: string });

/**
 * The ends of the shards that `declared` asks for, of the job whose hash is at `key`.
 * @throws (rejects with) ShardError if one of them is missing, has failed though none may, or was not asked for
 */
export async function shardsOf(key: string, declared: ManifestSource, redis: Redis): Promise<ShardOutcome[]> {
  const { keys, children } = await childrenOf(key, redis);
  const fault = faultOfFlow(declared, children);
  if (fault !== null) throw fault;
  const ids = inOrder(declared, children);
  const requests = await requestsAt(
    ids.map((id) => keys.get(id)!),
    redis,
  );
  return ids.map((id, index): ShardOutcome => {
    const request = requests[index]!;
    const failedReason = children.failures.get(id);
    return failedReason === undefined
      ? { id, request, result: children.results.get(id) as ShortResult }
      : { id, request, failedReason };
  });
}

/**
 * BullMQ keeps four lists beside a parent, and all of them matter: a parent may be begun while some of its children have
 * not ended (continueParentOnFailure), and begun again, by hand, though one has failed it (failParentOnFailure).
 */
async function childrenOf(key: string, redis: Redis): Promise<{ keys: Map<string, string>; children: Children }> {
  const replies = await redis
    .multi()
    .hgetall(`${key}:processed`)
    .hgetall(`${key}:failed`)
    .zrange(`${key}:unsuccessful`, '0', '-1')
    .smembers(`${key}:dependencies`)
    .exec();
  const [processed, ignored, unsuccessful, pending] = (replies ?? []).map(([error, reply]) => {
    if (error !== null) throw error;
    return reply;
  }) as [Record<string, string>, Record<string, string>, string[], string[]];
  const keys = new Map<string, string>();
  const named = (childKey: string): string => {
    const id = idOf(childKey);
    // Of two queues: only with its whole key is each of them one.
    const name = keys.has(id) ? childKey : id;
    keys.set(name, childKey);
    return name;
  };
  const results = new Map(Object.entries(processed).map(([child, json]) => [named(child), parsed(json)]));
  const failures = new Map(Object.entries(ignored).map(([child, reason]) => [named(child), reason]));
  for (const child of unsuccessful) failures.set(named(child), 'its own error says why');
  return { keys, children: { results, failures, unfinished: pending.map(named) } };
}

/** A job's key ends with its id, which in a flow has no colon; behind "@" it may name a host. */
const idOf = (key: string): string => key.slice(key.lastIndexOf(':') + 1);

function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return undefined; // no result of a write
  }
}

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
