/** Many small jobs through a queue that waits until all of them are in it; shared by the small-file cases. */
import { performance } from 'node:perf_hooks';
import type { Queue, QueueEvents } from 'bullmq';
import type { Sample } from '../pairs.ts';

export const SMALL_BYTES = 4096;

export interface SmallFiles {
  directory: string;
  count: number;
  /** 1 by default; more make bulks. */
  filesPerJob?: number;
  /** Of each; 4 KiB by default. */
  sizeBytes?: number;
  /** What each is filled with, its number the seed; "stamp" by default. */
  pattern?: 'stamp' | 'byte';
}

/** Jobs for `count` files in `directory`: one each, or bulks of `filesPerJob`. */
export function smallWrites({
  directory,
  count,
  filesPerJob = 1,
  sizeBytes = SMALL_BYTES,
  pattern = 'stamp',
}: SmallFiles): { name: string; data: unknown }[] {
  const requests = Array.from({ length: count }, (_, seed) => ({
    path: `${directory}/${seed}.dat`,
    size: sizeBytes,
    source: { kind: 'pattern', pattern, seed },
  }));
  if (filesPerJob === 1) return requests.map((data) => ({ name: 'write', data }));
  return Array.from({ length: count / filesPerJob }, (_, index) => ({
    name: 'write',
    data: { files: requests.slice(index * filesPerJob, (index + 1) * filesPerJob) },
  }));
}

/** Puts `jobs` into the queue without letting them run; returns their ids. */
export async function addWaiting(queue: Queue, jobs: { name: string; data: unknown }[]): Promise<string[]> {
  await queue.pause();
  const added = await queue.addBulk(jobs);
  return added.map(({ id }) => id!);
}

/** Lets the waiting jobs run; jobs a second until the last is over, and how long each was in a worker's hands. */
export async function runWaiting(
  queue: Queue,
  events: QueueEvents,
  ids: readonly string[],
): Promise<Pick<Sample, 'rate' | 'figures'>> {
  const waiting = new Set(ids);
  const activeAtMs = new Map<string, number>();
  const latenciesMs: number[] = [];
  const { promise, resolve, reject } = withResolvers();
  const onActive = ({ jobId }: { jobId: string }, eventId: string): void => {
    activeAtMs.set(jobId, redisMs(eventId));
  };
  const onCompleted = ({ jobId }: { jobId: string }, eventId: string): void => {
    if (!waiting.delete(jobId)) return; // a large one beside them
    latenciesMs.push(redisMs(eventId) - activeAtMs.get(jobId)!);
    if (waiting.size === 0) resolve();
  };
  const onFailed = ({ failedReason }: { failedReason: string }): void =>
    reject(new Error(`a job failed: ${failedReason}`));
  events.on('active', onActive).on('completed', onCompleted).on('failed', onFailed);
  try {
    const started = performance.now();
    await Promise.all([promise, queue.resume()]);
    const rate = ids.length / ((performance.now() - started) / 1000);
    return { rate, figures: { 'p50 ms': percentile(latenciesMs, 50), 'p99 ms': percentile(latenciesMs, 99) } };
  } finally {
    events.off('active', onActive).off('completed', onCompleted).off('failed', onFailed);
  }
}

/** When Redis recorded the event: its id is "<milliseconds>-<sequence>". */
const redisMs = (eventId: string): number => Number.parseInt(eventId, 10);

function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((percent / 100) * sorted.length) - 1]!;
}

function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve!: () => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
