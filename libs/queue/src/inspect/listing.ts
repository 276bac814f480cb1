/** Lists jobs of several queues, page by page: a queue of a million jobs is neither loaded nor held up. */
import type { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { type JobState, type JobView, VIEW_FIELDS, viewOf } from './job-view.ts';

/** The states that a job can be listed by, in the order of lists: what runs, what waits, what has ended. */
export const LISTED_STATES = [
  'active',
  'waiting',
  'prioritized',
  'delayed',
  'waiting-children',
  'failed',
  'completed',
] as const;
/** A state that jobs can be listed by. */
export type ListedState = (typeof LISTED_STATES)[number];

/** Which jobs are listed; what is left out does not matter. */
export interface JobFilter {
  /** Any of these. */
  states?: readonly ListedState[];
  /** That this host has, had last, or alone may take. */
  host?: string;
  /** That write to this root. */
  root?: string;
  /** Added, begun or ended since: milliseconds since 1970. */
  sinceMs?: number;
}

/** Ids in one round trip, and fields in another. */
const PAGE = 200;

/**
 * State by state in the order of LISTED_STATES, and in each queue by queue. What waits comes in the order in which it is taken,
 * what has ended the newest first. No job is listed twice; of a queue that is drained meanwhile some may be missing.
 */
export async function* listJobs(
  redis: Redis,
  queues: readonly Queue[],
  filter: JobFilter,
): AsyncGenerator<JobView, void, undefined> {
  const seen = new Set<string>();
  for (const state of LISTED_STATES) {
    if (filter.states !== undefined && !filter.states.includes(state)) continue;
    for (const queue of queues) yield* listState(redis, queue, state, filter, seen);
  }
}

async function* listState(
  redis: Redis,
  queue: Queue,
  state: ListedState,
  filter: JobFilter,
  seen: Set<string>,
): AsyncGenerator<JobView, void, undefined> {
  const list = state === 'waiting' ? 'wait' : state; // BullMQ's name of it
  const hasEnded = state === 'failed' || state === 'completed';
  for (let start = 0; ; start += PAGE) {
    const ids = await queue.getRanges([list], start, start + PAGE - 1, !hasEnded);
    for (const view of await viewsOf(redis, queue, state, ids)) {
      if (seen.has(view.id)) continue;
      seen.add(view.id);
      // Ended jobs come the newest end first: behind this one are none that ended since.
      if (hasEnded && (view.endedAtMs ?? 0) < (filter.sinceMs ?? 0)) return;
      if (isWanted(view, filter)) yield view;
    }
    if (ids.length < PAGE) return;
  }
}

/** Those of the jobs that are still there. @throws (rejects with) what Redis refuses, or why it cannot be asked */
export async function viewsOf(redis: Redis, queue: Queue, state: JobState, ids: readonly string[]): Promise<JobView[]> {
  const pipeline = redis.pipeline();
  for (const id of ids) pipeline.hmget(queue.toKey(id), ...VIEW_FIELDS);
  const replies = (await pipeline.exec()) ?? [];
  return ids.flatMap((id, index) => {
    const [error, values] = replies[index] ?? [null, []];
    // Another type of key than a job's: it is named by `penstock doctor`, and is no job to be shown.
    if (error !== null && !error.message.startsWith('WRONGTYPE')) throw error;
    const view = error === null ? viewOf(id, state, values as (string | null)[]) : null;
    return view === null ? [] : [view];
  });
}

function isWanted(view: JobView, { host, root, sinceMs = 0 }: JobFilter): boolean {
  if (host !== undefined && view.host !== host && view.target !== host) return false;
  if (root !== undefined && view.root !== root) return false;
  return Math.max(view.addedAtMs, view.startedAtMs ?? 0, view.endedAtMs ?? 0) >= sinceMs;
}
