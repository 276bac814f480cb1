/** A job as Redis has it at one position of the queue's event stream, and how such positions compare. */
import type { Redis } from 'ioredis';

/** A job as it was at one position of the stream. */
export interface Snapshot {
  at: string;
  /** The job's hash; empty if there is no job. */
  job: Record<string, string>;
  state: 'waiting' | 'active' | 'completed' | 'failed';
  /** Milliseconds since 1970, or null. */
  delayedUntil: number | null;
}

/** Reads the job and the stream's position in one transaction, so that no event is missed or applied twice. */
export async function readSnapshot(redis: Redis, toKey: (part: string) => string, jobId: string): Promise<Snapshot> {
  const replies = await redis
    .multi()
    .xrevrange(toKey('events'), '+', '-', 'COUNT', 1)
    .hgetall(toKey(jobId))
    .zscore(toKey('completed'), jobId)
    .zscore(toKey('failed'), jobId)
    .zscore(toKey('delayed'), jobId)
    .lpos(toKey('active'), jobId)
    .exec();
  const [newest, job, completed, failed, delayed, active] = (replies ?? []).map(([error, reply]) => {
    if (error !== null) throw error;
    return reply;
  });
  return {
    at: positionIn(newest),
    job: recordOf(job),
    state: completed != null ? 'completed' : failed != null ? 'failed' : active != null ? 'active' : 'waiting',
    // BullMQ keeps the time in the upper bits of the score, above a counter of 12 bits.
    delayedUntil: typeof delayed === 'string' ? Math.floor(Number(delayed) / 4096) : null,
  };
}

function recordOf(reply: unknown): Record<string, string> {
  if (typeof reply !== 'object' || reply === null) return {};
  return Object.fromEntries(Object.entries(reply).map(([key, value]) => [key, String(value)]));
}

/** The id of the one entry in a reply of XREVRANGE. */
function positionIn(reply: unknown): string {
  const entry: unknown = Array.isArray(reply) ? reply[0] : undefined;
  return Array.isArray(entry) ? String(entry[0]) : '0-0';
}

/** Whether `one` is a later position than `other`. Stream ids are `<milliseconds>-<number>`. */
export function isAfter(one: string, other: string): boolean {
  const [oneMs = 0, oneNumber = 0] = one.split('-').map(Number);
  const [otherMs = 0, otherNumber = 0] = other.split('-').map(Number);
  return oneMs > otherMs || (oneMs === otherMs && oneNumber > otherNumber);
}

/** Milliseconds since 1970, by the clock of Redis. */
export function timeOf(id: string): number {
  return Number(id.split('-')[0]);
}
