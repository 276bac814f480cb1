/** One attempt at a job: the job as it was taken, its lock, the orders to it, and when its work has ended. */
import { type ShortResult, WriteAbortedError } from '@penstock/contract';
import type { Job } from 'bullmq';
import { hasPast } from '../jobs/starts.ts';
import type { Order } from '../steer/order.ts';
import type { Lease } from './leases.ts';
import { LockLostError } from './lock-lost-error.ts';
import type { ProgressReporter } from './progress-reporter.ts';

/** A job as BullMQ hands it to a worker. */
export type TakenJob = Job<unknown, ShortResult>;

/** From the moment its job was handed out. What few attempts need is made when it is asked for. */
export class Attempt {
  readonly job: TakenJob;
  readonly jobId: string;
  /** Of the job's lock. */
  readonly token: string;
  readonly progress: ProgressReporter;
  /** The job shows that it was begun before, whatever its counts are. */
  readonly hasPast: boolean;
  hasSettled = false;
  /**
   * The job was put back for other hosts: its slot stays taken for a while, so that they get it first (restraint.ts).
   */
  holdsBack = false;
  #lease: Lease | null = null;
  #abortedWith: Error | null = null;
  readonly #abortListeners: ((reason: Error) => void)[] = [];
  #order: Order | null = null;
  #orderListener: (order: Order) => void = () => {};
  #settled: Promise<void> | undefined;
  #settle: () => void = () => {};

  constructor(job: TakenJob, token: string, progress: ProgressReporter) {
    this.job = job;
    this.jobId = job.id ?? '';
    this.token = token;
    this.progress = progress;
    this.hasPast = hasPast(job);
  }

  /** Resolves when the attempt's work has ended: no byte is written for it after that. */
  get settled(): Promise<void> {
    this.#settled ??= new Promise((resolve) => {
      this.#settle = resolve;
      if (this.hasSettled) resolve();
    });
    return this.#settled;
  }

  /** Calls `listener` once if the attempt is aborted, at once if it is already. */
  whenAborted(listener: (reason: Error) => void): void {
    if (this.#abortedWith === null) this.#abortListeners.push(listener);
    else listener(this.#abortedWith);
  }

  /** Calls `listener` with each newer order, at once with the newest so far. One listener per attempt. */
  whenSteered(listener: (order: Order) => void): void {
    this.#orderListener = listener;
    if (this.#order !== null) listener(this.#order);
  }

  /** Takes an order unless a newer one is known. A cancelled attempt is aborted. */
  steer(order: Order): void {
    if (this.hasSettled || (this.#order !== null && this.#order.rev >= order.rev)) return;
    this.#order = order;
    if (this.cancelled !== null) this.abort(this.cancelled);
    else this.#orderListener(order);
  }

  /** The error of a job that was cancelled; null of any other. */
  get cancelled(): WriteAbortedError | null {
    const cancelled = this.#order?.cancel;
    return cancelled === undefined ? null : new WriteAbortedError('cancel', { cancelled });
  }

  /**
   * The error of a job that was cancelled, with the cause that `end`, the error of its work, has; null of any other.
   */
  cancelledWith(end: unknown): WriteAbortedError | null {
    const { cancelled } = this;
    if (cancelled !== null && end instanceof WriteAbortedError) cancelled.cause = end.cause;
    return cancelled;
  }

  /** The id that its files are named by: its own, unless it is there to remove what another job left. */
  get filesOf(): string {
    return this.#order?.of ?? this.jobId;
  }

  /** If it removes what a cancelled job left (leftovers.ts): how many attempts that one had. Else null. */
  get startsOfOther(): number | null {
    return this.#order?.of === undefined ? null : (this.#order.starts ?? 1);
  }

  /** `attemptsStarted` is one too high: the script that steers raised it before the first attempt. */
  get countedEarly(): boolean {
    return this.#order?.early === true;
  }

  throwIfAborted(): void {
    if (this.#abortedWith !== null) throw this.#abortedWith;
  }

  hold(keep: (onLoss: () => void) => Lease): void {
    const lease = keep(() => this.abort(new LockLostError(this.jobId, lease.lost ?? 'expired')));
    this.#lease = lease;
  }

  /** For how many milliseconds no other worker can have the job, if the lock is not renewed. */
  get lockLeftMs(): number {
    return this.#lease?.leftMs ?? 0;
  }

  /** Why its lock was lost, or null. */
  get lost(): LockLostError | null {
    const why = this.#lease?.lost ?? null;
    return why === null ? null : new LockLostError(this.jobId, why);
  }

  /** True while no other worker can have the job. Asks the clock (Lease.held). */
  get holdsLock(): boolean {
    return this.#lease?.held ?? false;
  }

  /** Resolves when the lock is lost. */
  get loss(): Promise<void> {
    return this.#lease?.loss ?? new Promise(() => {});
  }

  /** The job was handed out again, so this attempt cannot have its lock any more. */
  supersede(): void {
    this.#lease?.lose('taken');
  }

  abort(reason: Error): void {
    if (this.#abortedWith !== null) return;
    this.#abortedWith = reason;
    for (const listener of this.#abortListeners) listener(reason);
  }

  /** Its work has ended; it keeps its lock, to record how. */
  settle(): void {
    this.hasSettled = true;
    this.#settle();
  }

  release(): void {
    this.#lease?.release();
  }
}
