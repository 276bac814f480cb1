/**
 * A bulk that several threads carry out: each takes the next file that none has taken, with its own lanes, descriptors and
 * progress, and what they report becomes one result. Apart from that it is one job, with one slot.
 *
 * The decision: libs/README.md#bulk-as-one-job.
 */
import type { BulkItemResult, BulkRequest, BulkResult } from '@penstock/contract';
import { Control, type JobBlock } from '@penstock/matrix';
import { BULK_LANES } from '@penstock/sink';
import type { BulkTask } from '../protocol.ts';

/** A bulk of fewer files is one thread's: to wake another costs more than it saves. */
const SHARED_FILES_MIN = 64;
/** More threads would have too few lanes each to fill a call of io_submit. */
const SHARES_MAX = 2;

type Attempt = Pick<BulkTask, 'jobName' | 'attemptToken' | 'again' | 'job' | 'jobSlot'> & { partPlace: number };

/** The tasks of the threads that carry out `request`, at most `threads`: the first leads, the others help. */
export function bulkTasks(request: BulkRequest, attempt: Attempt, threads: number): BulkTask[] {
  const fileCount = request.files.length;
  // What earlier attempts left has to be removed before the first file is begun, by one thread.
  const isShared = !attempt.again && fileCount >= SHARED_FILES_MIN;
  const count = isShared ? Math.min(threads, SHARES_MAX) : 1;
  const laneCount = Math.min(Math.floor(BULK_LANES / count), fileCount);
  const next = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  return Array.from({ length: count }, (_, index) => {
    const share = count === 1 ? {} : { share: { count, helps: index > 0, next } };
    // Words of the bulk's own, gone with it: few jobs are bulks, and they need many.
    const lanes = new Control(0, index === 0 ? laneCount : laneCount + 1);
    const partPlace = attempt.partPlace + index * laneCount;
    return { bulk: request, ...attempt, partPlace, lanes: lanes.buffer, laneCount: lanes.jobs, ...share };
  });
}

/** The blocks in which the helping threads publish their progress. */
export const helpersOf = (tasks: readonly BulkTask[]): JobBlock[] =>
  tasks.slice(1).map(({ lanes, laneCount }) => new Control(0, laneCount, lanes).job(laneCount - 1));

/** What the threads report, as one result. */
export function joinResults(results: readonly BulkResult[]): BulkResult {
  const [first] = results as [BulkResult, ...BulkResult[]];
  if (results.length === 1) return first;
  const sum = (field: 'failed' | 'bytes' | 'writes' | 'reads' | 'shortWrites' | 'retries' | 'submitCalls'): number =>
    results.reduce((total, result) => total + result[field], 0);
  const items = first.items.map((item, index) => item ?? itemOf(results, index));
  const modes: BulkResult['modes'] = {};
  for (const result of results) {
    for (const [mode, count] of Object.entries(result.modes)) {
      const key = mode as keyof typeof modes;
      modes[key] = (modes[key] ?? 0) + count;
    }
  }
  const fallbackReason = results.find((result) => result.fallbackReason !== undefined)?.fallbackReason;
  const total = Math.max(...results.map(({ durationsMs }) => durationsMs.total));
  const failed = sum('failed');
  const bytes = sum('bytes');
  return {
    ...first,
    items,
    failed,
    bytes,
    modes,
    ...(fallbackReason === undefined ? {} : { fallbackReason }),
    ...(results.some(({ durable }) => durable === false) ? { durable: false as const } : {}),
    durationsMs: { total },
    bytesPerSecond: (bytes / total) * 1000,
    filesPerSecond: ((first.files - failed) / total) * 1000,
    writes: sum('writes'),
    reads: sum('reads'),
    shortWrites: sum('shortWrites'),
    retries: sum('retries'),
    submitCalls: sum('submitCalls'),
  };
}

/** Each file was taken by one thread; the others know nothing of it. */
const itemOf = (results: readonly BulkResult[], index: number): BulkItemResult =>
  results.find(({ items }) => items[index] != null)!.items[index]!;
