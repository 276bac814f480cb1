/** What the dashboard shows of a job, in words and units that a person reads at a glance. */
import {
  type BulkRequest,
  type BulkResult,
  type WriteProgress,
  type WriteRequest,
  type WriteResult,
  formatBytes,
} from '@penstock/contract';

const MIB = 1_048_576;

/** A job as bull-board hands it over: whatever a producer sent, and whatever a host reported of it. */
export interface ShownJob {
  name: string;
  data: unknown;
  progress: unknown;
  returnvalue: unknown;
  finishedOn?: number | null;
}

/** "run-42.dat", and while it is written "run-42.dat · 440.00 MiB of 1.00 GiB · 1902 MiB/s"; "2000 files" of a bulk. */
export function readableName(job: ShownJob): string {
  const request = recordOf(job.data) as Partial<WriteRequest & BulkRequest>;
  const root = typeof request.root === 'string' && request.root !== 'data' ? `${request.root}:` : '';
  const { path, files } = request;
  const what = Array.isArray(files) ? `${files.length} files` : path;
  const parts = [typeof what === 'string' ? `${root}${what}` : job.name];
  const result = recordOf(job.returnvalue) as Partial<WriteResult & BulkResult>;
  const progress = recordOf(job.progress) as Partial<WriteProgress>;
  if (isCount(result.bytes) && isCount(result.bytesPerSecond)) {
    parts.push(formatBytes(result.bytes));
    parts.push(result.copied === 'reflink' ? 'reflink' : readableRate(result.bytesPerSecond)); // it has no speed
    if (isCount(result.failed) && result.failed > 0) parts.push(`${result.failed} failed`);
  } else if (isCount(progress.bytesWritten) && isCount(progress.totalBytes) && job.finishedOn == null) {
    parts.push(`${formatBytes(progress.bytesWritten)} of ${formatBytes(progress.totalBytes)}`);
    if (isCount(progress.bytesPerSecond)) parts.push(readableRate(progress.bytesPerSecond));
  }
  return parts.join(' · ');
}

/**
 * The progress with readable figures. Its key `progress` stays a number: bull-board draws the ring from it. What is no
 * progress of ours is left as it is.
 */
export function readableProgress(progress: unknown): unknown {
  const seen = recordOf(progress) as Partial<WriteProgress>;
  if (!isCount(seen.bytesWritten) || !isCount(seen.totalBytes)) return progress;
  const { bytesWritten, bytesDurable, totalBytes, bytesPerSecond, etaMs, inFlight, phase, host, error, note } = seen;
  return {
    progress: seen.progress,
    phase: phase === 'waiting' ? (note ?? 'waiting for its thread') : phase,
    written: `${formatBytes(bytesWritten)} of ${formatBytes(totalBytes)}`,
    ...(isCount(bytesDurable) ? { durable: formatBytes(bytesDurable) } : {}),
    ...(phase !== 'done' && isCount(bytesPerSecond) ? { speed: readableRate(bytesPerSecond) } : {}),
    ...(phase !== 'done' && isCount(etaMs) ? { left: `${(etaMs / 1000).toFixed(1)} s` } : {}),
    ...(phase === 'done' ? {} : { inFlight }),
    ...(host === undefined ? {} : { host }),
    ...(error === undefined ? {} : { error }),
  };
}

/** Files of a bulk that the page lists: it asks for every job it shows once a second, thousands would choke it. */
const FAILED_SHOWN_MAX = 100;

/** The result with readable figures first, and every exact one after them; of a bulk's files those that failed. */
export function readableResult(result: unknown): unknown {
  const seen = recordOf(result) as Partial<WriteResult & BulkResult>;
  if (!isCount(seen.bytes) || !isCount(seen.bytesPerSecond)) return result;
  const total = seen.durationsMs?.total;
  return {
    written: formatBytes(seen.bytes),
    ...(seen.copied === 'reflink' ? {} : { speed: readableRate(seen.bytesPerSecond) }),
    ...(isCount(seen.holeBytes) ? { holes: formatBytes(seen.holeBytes) } : {}),
    ...(isCount(total) ? { took: `${(total / 1000).toFixed(2)} s` } : {}),
    ...seen,
    ...(Array.isArray(seen.items)
      ? { items: seen.items.filter((item) => 'error' in recordOf(item)).slice(0, FAILED_SHOWN_MAX) }
      : {}),
  };
}

/** "1902 MiB/s", "14.2 MiB/s". */
export function readableRate(bytesPerSecond: number): string {
  const rate = bytesPerSecond / MIB;
  return `${rate.toFixed(rate >= 100 || rate === 0 ? 0 : 1)} MiB/s`;
}

function recordOf(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
