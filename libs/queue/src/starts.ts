// How often a job was begun. BullMQ counts that, and lets whoever retries a job set the count back.
import type { Job } from 'bullmq';

/**
 * True if the job as it was taken shows that it was begun before, whatever its counts were set back to: a host that dies
 * has its job counted as stalled, a longer attempt has told of its progress, and a failed one has left its stack. What
 * shows nothing is a job that ended within its first half second without an error: that has left nothing but its file.
 */
export function hasPast({
  attemptsMade,
  stalledCounter,
  progress,
  stacktrace,
}: Pick<Job, 'attemptsMade' | 'stalledCounter' | 'progress' | 'stacktrace'>): boolean {
  const isTold = typeof progress === 'object' && progress !== null;
  return attemptsMade > 0 || stalledCounter > 0 || isTold || (stacktrace?.length ?? 0) > 0;
}

/**
 * How often the job was begun, this time included.
 * @param countedEarly it counts as begun once more than it was
 * @param past what hasPast() said when it was taken
 */
export function startsOf(job: Pick<Job, 'attemptsStarted'>, countedEarly: boolean, past: boolean): number {
  return Math.max(job.attemptsStarted - (countedEarly ? 1 : 0), past ? 2 : 1);
}
