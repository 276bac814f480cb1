/** Records how an attempt ended, before BullMQ records what becomes of its job: progress, log lines, waits. */
import { escapeControls, isBulkResult, noProgress, type WriteProgress } from '@penstock/contract';
import type { Worker } from 'bullmq';
import { LockWaits, nextLockDelayMs } from '../wait/lock-waits.ts';
import type { OtherHosts } from '../wait/other-hosts.ts';
import type { WaitCause } from '../wait/verdict.ts';
import {
  DELAY_MS_MIN,
  formatWait,
  isLogged,
  nextDelayMs,
  readRecord,
  waitedOut,
  waitNote,
  type WaitRecord,
  WAITS_FIELD,
} from '../wait/waits.ts';
import type { Attempt, TakenJob } from './attempt.ts';
import { failedFilesOf, type Outcome, PUT_BACK, stackHead } from './outcome.ts';

type Wait = Extract<Outcome, { kind: 'wait' }>;
type Failed = Extract<Outcome, { kind: 'failed' | 'retry' }>;

export interface ConclusionOptions {
  /** The name of this host. */
  host: string;
  /** For how long a job may wait in all. */
  waitMsMax: number;
  client: { hget(key: string, field: string): Promise<string | null> };
  backend: Pick<ReturnType<Worker['getBackend']>, 'moveToDelayed'>;
  /** Makes keys of the queue, such as that of the job with this id. */
  toKey: (part: string) => string;
  /** Null in the host's own queue, which no other host takes jobs from. */
  otherHosts: OtherHosts | null;
  /** Called with what could not be recorded. */
  onError: (error: unknown) => void;
}

export class Conclusion {
  readonly #options: ConclusionOptions;
  readonly #lockWaits = new LockWaits();

  constructor(options: ConclusionOptions) {
    this.#options = options;
  }

  /** Resolves with the outcome: the one that was given, or 'failed' if the job has waited for as long as it may. */
  async record(attempt: Attempt, outcome: Outcome): Promise<Outcome> {
    const { job, progress } = attempt;
    switch (outcome.kind) {
      case 'completed':
        await Promise.all([progress.close(), this.#log(job, failedFilesOf(outcome.result))]);
        return outcome;
      case 'failed':
      case 'retry':
        return this.#recordFailure(attempt, outcome);
      case 'wait':
        return this.#wait(attempt, outcome);
      case 'put back':
        await progress.close(); // before another worker takes the job and reports
        return this.putBack(job, attempt.token);
      default:
        return outcome; // lost: nothing may be recorded
    }
  }

  /** Puts the job back to the head of the queue, with as many attempts left as before. */
  async putBack(job: TakenJob, token: string): Promise<Outcome> {
    try {
      await job.moveToWait(token);
    } catch (error) {
      this.#options.onError(error); // its lock expires, and it is taken up as a stalled one
    }
    return PUT_BACK;
  }

  async #recordFailure({ job, progress }: Attempt, outcome: Failed): Promise<Outcome> {
    const { error, details } = outcome.failure;
    progress.report({ ...(progress.newest ?? blankProgress(this.#options.host)), error });
    await Promise.all([progress.close(), this.#log(job, [`failed: ${error.message}`, ...details])]);
    return outcome;
  }

  /** Puts the job off, with as many attempts left as before. */
  async #wait(attempt: Attempt, outcome: Wait): Promise<Outcome> {
    const { job, jobId, token, progress } = attempt;
    const { client, host, otherHosts, toKey, waitMsMax } = this.#options;
    const { cause, failure, root } = outcome;
    attempt.holdsBack = root !== null && (await otherHosts?.canUse(root)) === true;
    const before = readRecord(await client.hget(toKey(jobId), WAITS_FIELD), job.attemptsMade + 1);
    if (before.waitedMs >= waitMsMax) {
      const error = waitedOut(cause, failure.error, before);
      // A stack of the last try would lack how long the job has waited.
      const waited = { ...failure, error, stack: stackHead(error) };
      return this.#recordFailure(attempt, { kind: 'failed', failure: waited });
    }
    const delayMs = attempt.holdsBack ? DELAY_MS_MIN : this.#delayMs(jobId, before, cause);
    const record = { ...before, tries: before.tries + 1, waitedMs: before.waitedMs + delayMs };
    const { error: _error, ...newest } = progress.newest ?? blankProgress(host);
    const still = { bytesPerSecond: 0, etaMs: null, inFlight: 0, phase: 'waiting' } as const;
    progress.report({ ...newest, ...still, note: waitNote(cause, failure.error, delayMs) });
    const soFar = `try ${record.tries}, ${formatWait(before.waitedMs)} so far`;
    const line = `waits for ${cause} (${soFar}): ${failure.error.message}`;
    await Promise.all([progress.close(), this.#log(job, isLogged(record) ? [line] : [])]);
    await this.#putOff(jobId, token, delayMs, record);
    return outcome;
  }

  async #putOff(jobId: string, token: string, delayMs: number, record: WaitRecord): Promise<void> {
    const { backend, onError } = this.#options;
    const fieldsToUpdate = { [WAITS_FIELD]: JSON.stringify(record) };
    try {
      await backend.moveToDelayed(jobId, Date.now(), delayMs, token, { skipAttempt: true, fieldsToUpdate });
    } catch (error) {
      onError(error); // its lock expires, and it is taken up as a stalled one
    }
  }

  #delayMs(jobId: string, before: WaitRecord, cause: WaitCause): number {
    const { waitMsMax } = this.#options;
    if (cause !== 'the lock of the file') return nextDelayMs(before, waitMsMax, Math.random());
    return nextLockDelayMs(before, this.#lockWaits.note(jobId), waitMsMax, Math.random());
  }

  async #log(job: TakenJob, lines: readonly string[]): Promise<void> {
    const begin = `${new Date().toISOString()} attempt ${job.attemptsMade + 1} on ${this.#options.host}`;
    try {
      await Promise.all(lines.map((line) => job.log(`${begin} ${escapeControls(line)}`))); // a line stays one
    } catch (error) {
      this.#options.onError(error);
    }
  }
}

/** The progress of an attempt that has not begun. */
export const blankProgress = (host: string): WriteProgress => ({ ...noProgress('opening'), host });

/** True of most attempts: BullMQ's own record of the job's end is all that there is to record. */
export function hasNothingToRecord(outcome: Outcome, { progress }: Attempt): boolean {
  if (outcome.kind !== 'completed' || !progress.idle) return false;
  return !isBulkResult(outcome.result) || outcome.result.failed === 0;
}
