/**
 * A result as it is stored and travels: without what goes without saying. Redis gets the result of each job twice, with the
 * job and in the stream of events, and most jobs are small files.
 *
 * The decision: libs/README.md#short-results.
 */
import type { BulkResult, JobResult, LatencySummary, WriteResult } from './result.ts';

/** What is 0 where it is left out. */
type Count = 'reads' | 'shortWrites' | 'retries' | 'submitCalls';
type Durations = WriteResult['durationsMs'];
type Matrix = WriteResult['matrix'];
type ShortLatency = Pick<LatencySummary, 'count' | 'max'> & Partial<LatencySummary>;

/** A WriteResult that leaves out zeros, and what is the same as something beside it. */
export interface ShortWriteResult
  extends
    Omit<WriteResult, Count | 'alignment' | 'matrix' | 'durationsMs' | 'writeLatencyUs'>,
    Partial<Pick<WriteResult, Count>> {
  /** Absent: 512 bytes each. */
  alignment?: WriteResult['alignment'];
  /** Without `ioBytes` that is `rowBytes`. */
  matrix: Pick<Matrix, 'rows' | 'rowBytes'> & Partial<Matrix>;
  /** A phase that is absent took no time. */
  durationsMs: Pick<Durations, 'total'> & Partial<Durations>;
  /** A percentile that is absent is `max`; absent as a whole: no write. */
  writeLatencyUs?: ShortLatency;
}

/** What a host stores as the return value of a job. */
export type ShortResult = ShortWriteResult | BulkResult;

/** True for what a bulk returns, false for what a single write does. */
export const isBulkResult = (result: ShortResult): result is BulkResult => 'items' in result;

/** In bytes: what direct I/O demands of memory and offsets where a result does not say. */
export const USUAL_ALIGNMENT = 512;
/** The phases of which a result has the time. */
export const TIMED_PHASES = ['waiting', 'opening', 'writing', 'syncing', 'verifying', 'publishing', 'paused'] as const;
const NO_TIME: Omit<Durations, 'total'> = {
  waiting: 0,
  opening: 0,
  writing: 0,
  syncing: 0,
  verifying: 0,
  publishing: 0,
  paused: 0,
};
const NO_WRITES: LatencySummary = { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };

/** Without the percentiles that are the maximum, if all are. */
export function shortLatency({ count, p50, p90, p99, max }: LatencySummary): ShortLatency {
  return p50 === max && p90 === max && p99 === max ? { count, max } : { count, p50, p90, p99, max };
}

/** The whole result that `short` stands for. What else it holds stays: it may be another program's, or of a later host. */
export function completeResult(short: ShortWriteResult): WriteResult;
export function completeResult(short: ShortResult): JobResult;
export function completeResult(short: ShortResult): JobResult {
  if (isBulkResult(short)) return short;
  const { alignment, matrix, writeLatencyUs } = short;
  return {
    ...short,
    alignment: alignment ?? { memory: USUAL_ALIGNMENT, offset: USUAL_ALIGNMENT },
    matrix: { ioBytes: matrix.rowBytes, ...matrix },
    durationsMs: { ...NO_TIME, ...short.durationsMs },
    writeLatencyUs: completeLatency(writeLatencyUs),
    reads: short.reads ?? 0,
    shortWrites: short.shortWrites ?? 0,
    retries: short.retries ?? 0,
    submitCalls: short.submitCalls ?? 0,
  };
}

function completeLatency(short: ShortLatency | undefined): LatencySummary {
  if (short === undefined) return NO_WRITES;
  const { count, max, p50 = max, p90 = max, p99 = max } = short;
  return { count, p50, p90, p99, max };
}
