/** What the dashboard shows of a job, in words and units that a person reads at a glance. */
import { type WriteProgress, type WriteRequest, type WriteResult, formatBytes } from '@penstock/contract';

const MIB = 1_048_576;

/** A job as bull-board hands it over: whatever a producer sent, and whatever a host said of it. */
export interface ShownJob {
  name: string;
  data: unknown;
  progress: unknown;
  returnvalue: unknown;
  finishedOn?: number | null;
}

/** "run-42.dat", and while it is written "run-42.dat · 440.00 MiB of 1.00 GiB · 1902 MiB/s". */
export function readableName(job: ShownJob): string {
  const request = recordOf(job.data) as Partial<WriteRequest>;
  const root = typeof request.root === 'string' && request.root !== 'data' ? `${request.root}:` : '';
  const parts = [typeof request.path === 'string' ? `${root}${request.path}` : job.name];
  const result = recordOf(job.returnvalue) as Partial<WriteResult>;
  const progress = recordOf(job.progress) as Partial<WriteProgress>;
  if (isCount(result.bytes) && isCount(result.bytesPerSecond)) {
    parts.push(formatBytes(result.bytes));
    parts.push(result.copied === 'reflink' ? 'reflink' : readableRate(result.bytesPerSecond)); // it has no speed
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
  const { bytesWritten, bytesDurable, totalBytes, bytesPerSecond, etaMs, inFlight, phase, host, error } = seen;
  return {
    progress: seen.progress,
    phase: phase === 'waiting' ? 'waiting for row memory' : phase,
    written: `${formatBytes(bytesWritten)} of ${formatBytes(totalBytes)}`,
    ...(isCount(bytesDurable) ? { durable: formatBytes(bytesDurable) } : {}),
    ...(phase !== 'done' && isCount(bytesPerSecond) ? { speed: readableRate(bytesPerSecond) } : {}),
    ...(phase !== 'done' && isCount(etaMs) ? { left: `${(etaMs / 1000).toFixed(1)} s` } : {}),
    ...(phase === 'done' ? {} : { inFlight }),
    ...(host === undefined ? {} : { host }),
    ...(error === undefined ? {} : { error }),
  };
}

/** The result with readable figures first, and every exact one after them. */
export function readableResult(result: unknown): unknown {
  const seen = recordOf(result) as Partial<WriteResult>;
  if (!isCount(seen.bytes) || !isCount(seen.bytesPerSecond)) return result;
  const total = seen.durationsMs?.total;
  return {
    written: formatBytes(seen.bytes),
    ...(seen.copied === 'reflink' ? {} : { speed: readableRate(seen.bytesPerSecond) }),
    ...(isCount(seen.holeBytes) ? { holes: formatBytes(seen.holeBytes) } : {}),
    ...(isCount(total) ? { took: `${(total / 1000).toFixed(2)} s` } : {}),
    ...seen,
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
