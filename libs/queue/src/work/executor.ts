/** Carries an attempt out: waits for a job slot, has the job performed, and makes the outcome of how that ended. */
import {
  ANY_HOST,
  isBulkResult,
  type JobRequest,
  type ShortResult,
  type ManifestSource,
  RequestError,
  type WriteProgress,
} from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import type { Redis } from 'ioredis';
import { BulkError, mayYetSucceed } from '../flow/bulk-error.ts';
import { type ShardOutcome, shardsOf } from '../flow/shards.ts';
import { type StartCounter, startsOf } from '../jobs/starts.ts';
import { JOB_NAME, queueOfHost } from '../names.ts';
import type { AppendPlaces } from '../records/append-places.ts';
import type { Order } from '../steer/order.ts';
import type { Attempt, TakenJob } from './attempt.ts';
import type { Seat } from './job-limit.ts';
import { LOST, type Outcome, outcomeOf } from './outcome.ts';

export interface WriteJobInfo {
  id: string;
  /** 1 for the first. */
  attempt: number;
  /**
   * The number of this attempt: 1 for the first, and no other attempt at the job ever has the same. Above 1, one with a
   * lower number may have left something behind.
   */
  starts: number;
  /** The job as answerOnAppends() knows it, without a blank. */
  readonly reference: string;
  /** True if another attempt follows should this one fail, unless the failure is one that none can mend. */
  willRetry: boolean;
  /** When the job was added, in milliseconds since the epoch: with the id it names the job for ever. */
  createdAtMs: number;
  /**
   * Calls `listener` once if the job is aborted, at once if it is already: when the worker drains (WriteAbortedError
   * 'shutdown'), the job is cancelled ('cancel', with who and why) or its lock is lost (LockLostError). Not an
   * AbortSignal, which costs as much as a small write.
   */
  readonly whenAborted: (listener: (reason: Error) => void) => void;
  /** Calls `listener` when the job is paused, resumed or given another limit, at once if it was before. Once per job. */
  readonly whenSteered: (listener: (order: Pick<Order, 'paused' | 'limit'>) => void) => void;
  /** For how many milliseconds the job is surely this worker's; grows again with each renewal of its lock. */
  readonly lockLeftMs: number;
  /** What the shards returned that a manifest asks for, in their order. Rejects with ShardError unless all are there. */
  readonly shards: (declared: ManifestSource) => Promise<ShardOutcome[]>;
}

/** Performs a job; see WriteWorkerOptions.perform. */
export type Perform = (
  request: JobRequest,
  job: WriteJobInfo,
  report: (progress: WriteProgress) => void,
) => Promise<ShortResult>;

export interface ExecutorOptions {
  /** The name of this host. */
  host: string;
  queueName: string;
  /** True if the queue is this host's own. */
  isOwnQueue: boolean;
  seat: Seat;
  /** False if this host lets no job wait. */
  mayWait: boolean;
  perform: Perform;
  redis: Redis;
  /** Makes keys of the queue, such as that of the job with this id. */
  toKey: (part: string) => string;
  starts: StartCounter;
  places: AppendPlaces;
}

export class Executor {
  readonly #options: ExecutorOptions;

  constructor(options: ExecutorOptions) {
    this.#options = options;
  }

  /** Never rejects. */
  async execute(attempt: Attempt): Promise<Outcome> {
    const { job, progress } = attempt;
    const { seat, perform } = this.#options;
    let isSeated = false;
    try {
      // Asks the clock: after a stop of the process the lease's timer may fire later than the job is begun.
      if (!attempt.holdsLock && attempt.lost !== null) return LOST;
      const starts = startsOf(job, attempt.countedEarly, attempt.hasPast);
      // A cancelled one that was begun before is begun again, for what that has left to be removed.
      if (attempt.cancelled === null || starts === 1) attempt.throwIfAborted();
      const request = this.#requestOf(job);
      isSeated = await this.#sit(attempt, starts > 1);
      const number = starts === 1 ? 1 : await this.#numberOf(attempt);
      const info = this.#infoOf(attempt, number);
      const result = await perform(request, info, (newest) => {
        if (attempt.holdsLock) progress.report(newest);
      });
      // All files are written again then, with the same bytes. The last attempt returns what it came to.
      if (info.willRetry && isBulkResult(result) && mayYetSucceed(result)) throw new BulkError(result);
      return { kind: 'completed', result };
    } catch (caught) {
      return this.#outcomeOf(attempt, caught);
    } finally {
      if (isSeated) seat.leave();
    }
  }

  /** The outcome of an attempt that failed. A job that was cancelled is not tried again and not put back, whatever failed. */
  #outcomeOf(attempt: Attempt, caught: unknown): Outcome {
    if (attempt.lost !== null) return LOST;
    const { attemptsStarted, attemptsMade } = attempt.job;
    const circumstances = { mayWait: this.#options.mayWait, begins: attemptsStarted - attemptsMade };
    return outcomeOf(attempt.cancelledWith(caught) ?? caught, circumstances);
  }

  /** What the job asks for, if it is in the right queue. */
  #requestOf(job: TakenJob): JobRequest {
    const request = requestOf(job);
    const { host, queueName, isOwnQueue } = this.#options;
    const target = request.target?.host ?? ANY_HOST;
    if (target === host || target === ANY_HOST) return request;
    const place = isOwnQueue ? `"${host}" or "${ANY_HOST}" in the queue ${queueName}` : `"${ANY_HOST}" here`;
    const accepted = `${place}; a write for the host ${target} belongs into the queue ${queueOfHost(target)}`;
    throw new RequestError({ field: 'target.host', value: target, accepted });
  }

  /** Takes a job slot, as soon as there is one. @throws the reason of an abort that comes first */
  async #sit(attempt: Attempt, again: boolean): Promise<true> {
    const { seat } = this.#options;
    const turn = seat.enter();
    if (turn === null) return true;
    const aborted = new Promise<void>((resolve) => {
      attempt.whenAborted(() => resolve());
    });
    await Promise.race([turn.granted, aborted]);
    // Begun before, it is begun again, to remove what that has left.
    if (attempt.cancelled !== null && again) await Promise.race([turn.granted, attempt.loss]);
    try {
      if (attempt.lost !== null) throw attempt.lost;
      if (attempt.cancelled === null || !again) attempt.throwIfAborted();
    } catch (error) {
      if (!turn.giveUp()) seat.leave();
      throw error;
    }
    return true;
  }

  /** The number of a later attempt; that of one that removes what another job left is above all of that job's. */
  async #numberOf(attempt: Attempt): Promise<number> {
    if (attempt.startsOfOther !== null) return attempt.startsOfOther + 1;
    const { starts, toKey } = this.#options;
    const number = await Promise.race([starts.next(toKey(attempt.jobId)), attempt.loss]);
    if (number === undefined) throw attempt.lost ?? new Error('the lock was lost');
    return number;
  }

  #infoOf(attempt: Attempt, number: number): WriteJobInfo {
    const { job } = attempt;
    const { redis, toKey } = this.#options;
    const referenceOf = (): string => this.#referenceOf(attempt);
    return {
      id: attempt.filesOf,
      attempt: job.attemptsMade + 1,
      starts: number,
      willRetry: job.attemptsMade + 1 < (job.opts.attempts ?? 1),
      createdAtMs: job.timestamp,
      whenAborted: (listener) => attempt.whenAborted(listener),
      whenSteered: (listener) => attempt.whenSteered(listener),
      get lockLeftMs() {
        return attempt.lockLeftMs;
      },
      get reference() {
        return referenceOf();
      },
      shards: (declared) => shardsOf(toKey(attempt.jobId), declared, redis),
    };
  }

  #referenceOf({ filesOf, job }: Attempt): string {
    const { places, queueName } = this.#options;
    return places.referenceTo({ queueName, id: filesOf, addedAtMs: job.timestamp });
  }
}

function requestOf(job: TakenJob): JobRequest {
  if (job.name === JOB_NAME) return parseJob(job.data);
  throw new RequestError({
    field: 'name',
    value: job.name,
    accepted: `"${JOB_NAME}", the name of every job of this queue`,
  });
}
