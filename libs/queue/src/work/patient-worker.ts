/**
 * BullMQ's worker, for a Redis that answers and refuses: a replica after a failover, a full memory or disk, too few
 * replicas, a right that is missing. BullMQ takes a refused fetch for an empty one and fetches again at once, thousands
 * of times a second; and if Redis refuses the record of a job's completion, BullMQ records a failure instead.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ShortResult } from '@penstock/contract';
import { type Job, type Span, WaitingError, Worker } from 'bullmq';
import { refusalOf } from '../connection/refusals.ts';

const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 2000;
/** How late the end of this worker is noticed in a pause. */
const PAUSE_STEP_MS = 100;

/** The worker of a queue of writes. */
export type JobWorker = PatientWorker<unknown, ShortResult>;

export class PatientWorker<Data, Result> extends Worker<Data, Result> {
  /** Refusals since Redis last carried a command out; those of one pause count as one. */
  #refusals = 0;
  /** In time of performance.now(). */
  #pausedUntil = 0;

  /**
   * To be called with each error: a refusal by Redis puts off the next fetch. Returns false for a refusal that need not
   * be reported, since Redis has refused everything since an earlier one; true for any other error.
   */
  noteRefusal(error: unknown): boolean {
    if (refusalOf(error) === null) return true;
    const isFirst = this.#refusals === 0;
    const now = performance.now();
    if (now < this.#pausedUntil) return isFirst; // this pause is for it too
    this.#pausedUntil = now + Math.min(PAUSE_MS_MIN * 2 ** Math.min(this.#refusals, 10), PAUSE_MS_MAX);
    this.#refusals += 1;
    return isFirst;
  }

  protected override async moveToActive(token: string, name?: string): Promise<Job<Data, Result>> {
    await this.#pause();
    const job = await super.moveToActive(token, name);
    this.#refusals = 0;
    return job;
  }

  protected override handleCompleted(
    result: Result,
    job: Job<Data, Result>,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job<Data, Result>> {
    return this.#persist(() => super.handleCompleted(result, job, token, fetchNext, span));
  }

  protected override handleFailed(
    error: Error,
    job: Job<Data, Result>,
    token: string,
    fetchNext?: () => boolean,
    span?: Span,
  ): Promise<Job<Data, Result>> {
    return this.#persist(() => super.handleFailed(error, job, token, fetchNext, span));
  }

  /**
   * Records the end of a job, again and again while Redis refuses and the job's lock may last. The script compares the
   * lock each time, and a refused script has changed nothing.
   * @throws WaitingError when the lock has run out or this worker ends; BullMQ then leaves the job alone, and the next
   * attempt finds it written
   */
  async #persist<T>(record: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.opts.lockDuration!;
    for (;;) {
      try {
        const recorded = await record();
        this.#refusals = 0;
        return recorded;
      } catch (error) {
        if (refusalOf(error) === null) throw error;
        this.emit('error', error as Error);
        if (this.closing || this.paused || performance.now() > until) throw new WaitingError((error as Error).message);
        await this.#pause();
      }
    }
  }

  /** Resolves when the pause after a refusal is over, or this worker is paused or closed. */
  async #pause(): Promise<void> {
    while (!this.closing && !this.paused && performance.now() < this.#pausedUntil) {
      // A step at a time: an end must not wait for it.
      await sleep(Math.min(PAUSE_STEP_MS, this.#pausedUntil - performance.now()));
    }
  }
}
