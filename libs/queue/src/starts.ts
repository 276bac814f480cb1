// How often a job was begun. BullMQ counts that, and lets whoever retries a job set the count back.
import type { Job } from 'bullmq';

/** What tells of a job's past: all of it comes with the job. */
type Past = Pick<Job, 'attemptsStarted' | 'attemptsMade' | 'stalledCounter' | 'progress' | 'stacktrace'>;

/**
 * True if an earlier attempt may have left something behind, whatever the counts were set back to. What they hide is a
 * job that ended within its first half second without an error: that one has left nothing but its file.
 */
export function wasBegun({ attemptsStarted, attemptsMade, stalledCounter, progress, stacktrace }: Past): boolean {
  // A host that dies has its job counted as stalled, which no retry sets back; a longer one has told of its progress.
  const traces = attemptsMade > 0 || stalledCounter > 0 || (stacktrace?.length ?? 0) > 0;
  return attemptsStarted > 1 || traces || (typeof progress === 'object' && progress !== null);
}

/** How often the job was begun, this time included; `countedEarly`: it counts as begun once more than it was. */
export function startsOf(job: Past, countedEarly: boolean): number {
  const counted = job.attemptsStarted - (countedEarly ? 1 : 0);
  // Steered before it was ever begun, it counts twice at its first start.
  const isFirst = counted <= 1 && (countedEarly ? !wasBegun({ ...job, attemptsStarted: 0 }) : !wasBegun(job));
  return isFirst ? 1 : Math.max(2, counted);
}
