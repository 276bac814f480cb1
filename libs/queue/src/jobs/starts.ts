/** How often a job was begun. BullMQ counts that, but whoever retries a job may set its count back. */
import type { Job } from 'bullmq';
import type { ScriptClient } from '../connection/script-client.ts';

/**
 * The field of the job's hash that counts its attempts after the first. The first needs no count, and most jobs have but
 * one; BullMQ leaves the field alone, also when it sets its own counts back. Partial files are named by these numbers, so
 * none may be given twice.
 */
export const LATER_STARTS_FIELD = 'again';

// KEYS: the job. 0 of one that is gone: it must not come back as a hash with nothing but this in it.
const COUNT = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
return redis.call('HINCRBY', KEYS[1], '${LATER_STARTS_FIELD}', 1)`;

/** Gives each attempt of a job a number of its own: 1 to the first. */
export class StartCounter {
  readonly #client: ScriptClient;

  constructor(client: ScriptClient) {
    this.#client = client;
    client.defineCommand('penstockCountStart', { numberOfKeys: 1, lua: COUNT });
  }

  /** The number of a later attempt, of the job with the key `key`. */
  async next(key: string): Promise<number> {
    return Number(await this.#client.runCommand('penstockCountStart', [key])) + 1;
  }
}

/**
 * True if the job as it was taken shows that it was begun before, whatever its counts were set back to: a host that dies
 * has its job counted as stalled, a longer attempt has reported progress, and a failed one has left its stack. What
 * shows nothing is a job that ended within 750 ms without an error: that has left nothing but its file.
 */
export function hasPast({
  attemptsMade,
  stalledCounter,
  progress,
  stacktrace,
}: Pick<Job, 'attemptsMade' | 'stalledCounter' | 'progress' | 'stacktrace'>): boolean {
  const hasReported = typeof progress === 'object' && progress !== null;
  return attemptsMade > 0 || stalledCounter > 0 || hasReported || (stacktrace?.length ?? 0) > 0;
}

/**
 * How often the job was begun, this time included.
 * @param countedEarly `attemptsStarted` is one too high (Attempt.countedEarly)
 * @param past what hasPast() said when it was taken
 */
export function startsOf(job: Pick<Job, 'attemptsStarted'>, countedEarly: boolean, past: boolean): number {
  return Math.max(job.attemptsStarted - (countedEarly ? 1 : 0), past ? 2 : 1);
}
