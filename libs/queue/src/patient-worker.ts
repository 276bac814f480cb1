// BullMQ's worker, for a Redis that is there and refuses: a replica after a failover, a full memory or disk, too few
// replicas, a right that is missing. BullMQ takes a refused fetch for an empty one and fetches again at once, thousands
// of times a second; and a refused report of a job's end it reports as the job's failure.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Job, type Span, WaitingError, Worker } from 'bullmq';
import { refusalOf } from './refusals.ts';

const pauseMsMin = 250;
const pauseMsMax = 2000;

export class PatientWorker<Data, Result> extends Worker<Data, Result> {
  /** How often it was refused since it was last served. */
  #refusals = 0;
  /** In time of performance.now(). */
  #pausedUntil = 0;

  /** To be told of each error; a refusal puts off what is asked next. True where it is the first of its kind in a row. */
  noteRefusal(error: unknown): boolean {
    if (refusalOf(error) === null) return true;
    const isFirst = this.#refusals === 0;
    const now = performance.now();
    if (now < this.#pausedUntil) return isFirst; // of the same moment
    this.#pausedUntil = now + Math.min(pauseMsMin * 2 ** Math.min(this.#refusals, 10), pauseMsMax);
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
   * Tells the end again for as long as the job's lock may last: Redis itself compares it. What was refused was not done.
   * @throws WaitingError when that is over, which leaves the job alone: whoever takes it up again finds it written
   */
  async #persist<T>(tell: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.opts.lockDuration!;
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one try after another is the purpose
        const told = await tell();
        this.#refusals = 0;
        return told;
      } catch (error) {
        if (refusalOf(error) === null) throw error;
        this.emit('error', error as Error);
        if (this.closing || this.paused || performance.now() > until) throw new WaitingError((error as Error).message);
        // oxlint-disable-next-line no-await-in-loop
        await this.#pause();
      }
    }
  }

  /** Until what was refused may be asked again; broken off when this is closed. */
  async #pause(): Promise<void> {
    const stepMs = 100;
    while (!this.closing && !this.paused && performance.now() < this.#pausedUntil) {
      // oxlint-disable-next-line no-await-in-loop -- a step at a time: an end must not wait for it
      await sleep(Math.min(stepMs, this.#pausedUntil - performance.now()));
    }
  }
}
