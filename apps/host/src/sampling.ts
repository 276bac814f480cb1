/** The writes that run: their progress, sampled from shared memory and reported, and their leases, renewed for the threads. */
import type { WriteProgress } from '@penstock/contract';
import type { JobBlock } from '@penstock/matrix';
import { type DevicePools, ProgressMeter } from '@penstock/writer';
import type { WriteJobInfo } from '@penstock/queue';
import type { HostLimits } from './limits.ts';

/** How often running writes are sampled: often enough to watch, rare enough to cost nothing. */
const SAMPLE_MS = 500;
/**
 * A write that is younger is not reported at a sample: most small ones have ended by the next, and a report costs the queue
 * as much as their end does.
 */
const YOUNG_MS = 250;
/**
 * A client that gave an order wants to see its effect before the next sample: mostly the thread has obeyed at the first
 * of these, and at a later one if its disk is slow.
 */
const SAMPLES_AFTER_ORDER_MS = [50, 150, 300];

/** Locks are renewed three times in their duration; the threads learn of it soon enough to miss one renewal as well. */
const RENEWALS_PER_LOCK = 8;

/** One attempt that a thread works on. */
export interface SampledWrite {
  /** The root it writes to. */
  root: string;
  job: WriteJobInfo;
  block: JobBlock;
  meter: ProgressMeter;
  report: (progress: WriteProgress) => void;
  /** When it began, in milliseconds of performance.now(). */
  beganAt: number;
  /** True once anything was reported. */
  seen: boolean;
}

export interface SamplingOptions {
  pool: DevicePools;
  limits: HostLimits;
  /** The name of the host, for its reports. */
  host: string;
  lockDurationMs: number;
}

export class Sampling {
  readonly #options: SamplingOptions;
  readonly #running = new Set<SampledWrite>();
  #sampler: NodeJS.Timeout | undefined;
  #renewer: NodeJS.Timeout | undefined;

  constructor(options: SamplingOptions) {
    this.#options = options;
  }

  start(): void {
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#renewer = setInterval(() => this.#renewLeases(), this.#options.lockDurationMs / RENEWALS_PER_LOCK);
  }

  close(): void {
    clearInterval(this.#sampler);
    clearInterval(this.#renewer);
  }

  /** From now on the write is sampled and its lease is renewed; remove() ends that. */
  add(root: string, job: WriteJobInfo, block: JobBlock, report: SampledWrite['report']): SampledWrite {
    const { pool, host } = this.#options;
    const meter = new ProgressMeter(pool.rowBudgetBytes, host);
    const write = { root, job, block, meter, report, beganAt: performance.now(), seen: false };
    this.#running.add(write);
    return write;
  }

  /** The attempt is over: its block is another write's from now on. */
  remove(write: SampledWrite): void {
    this.#running.delete(write);
  }

  /** Samples a write that has just got an order, ahead of the others. */
  sampleSoon(write: SampledWrite): void {
    for (const ms of SAMPLES_AFTER_ORDER_MS) setTimeout(() => this.#sampleOne(write), ms);
  }

  /** Reports the end of a write that was reported before; one that ended before its first sample costs the queue no round trip. */
  reportEnd(write: SampledWrite): void {
    if (write.seen) write.report(this.#progressOf(write));
  }

  /** Gives the threads the time until which each job is surely this host's: they may run before this thread after a stop. */
  #renewLeases(): void {
    for (const { job, block } of this.#running) block.holdFor(job.lockLeftMs);
    this.#options.pool.rates.refresh();
  }

  #sample(): void {
    this.#options.pool.watch();
    const old = performance.now() - YOUNG_MS;
    for (const write of this.#running) if (write.beganAt <= old) this.#sampleOne(write);
  }

  #sampleOne(write: SampledWrite): void {
    if (!this.#running.has(write)) return; // it has ended
    write.seen = true;
    write.report(this.#progressOf(write));
  }

  #progressOf({ root, block, meter }: SampledWrite): WriteProgress {
    const limit = this.#options.limits.effective(root, block.rate);
    const progress = meter.progress(block.read(), block.rowsWaitedFor());
    return limit === 0 ? progress : { ...progress, limit };
  }
}
