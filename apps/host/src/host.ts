/**
 * The host: takes write jobs from the queue, hands each to a writer thread, and reports progress sampled from shared
 * memory. All of it on the main thread, which never touches a file of a job.
 */
import { IoError, type JobRequest, type JobResult, type WriteProgress } from '@penstock/contract';
import { type HostSettings, makeDirectories } from '@penstock/config';
import type { JobBlock } from '@penstock/matrix';
import { Fetcher } from '@penstock/fetcher';
import { ProgressMeter, type RunningWrite, WriterPool } from '@penstock/pool';
import { type Connection, type WriteJobInfo, WriteWorker } from '@penstock/queue';
import { HostLimits } from './limits.ts';
import { withManifest } from './manifest.ts';
import { stopWrite } from './stopping.ts';

/** How often running writes are sampled: often enough to watch, rare enough to cost nothing. */
const SAMPLE_MS = 500;
/** Who gave an order wants to see what comes of it before the next sample; the thread has obeyed by then, mostly. */
const SAMPLE_STEERED_MS = 50;

/** Locks are renewed three times in their duration; the threads hear of it soon enough to miss one of these as well. */
const KEEPS_PER_LOCK = 8;

export interface HostOptions extends HostSettings {
  threads: number;
  depth: number;
  connection: Connection;
  libaio?: string;
  /** Told of what went wrong outside any single job. */
  onError: (error: Error) => void;
}

interface SampledWrite {
  /** The root it writes to. */
  root: string;
  job: WriteJobInfo;
  block: JobBlock;
  meter: ProgressMeter;
  report: (progress: WriteProgress) => void;
  /** True once anything was reported. */
  seen: boolean;
}

export class Host {
  readonly pool: WriterPool;
  readonly #fetcher: Fetcher;
  readonly #name: string;
  readonly #worker: WriteWorker;
  readonly #limits: HostLimits;
  readonly #stopGraceMs: number;
  readonly #sampled = new Set<SampledWrite>();
  readonly #sampler: NodeJS.Timeout;
  readonly #keeper: NodeJS.Timeout;

  private constructor(options: HostOptions) {
    this.#name = options.name;
    makeRoots(options);
    this.pool = new WriterPool({ ...options, onThreadDeath: options.onError });
    this.#limits = new HostLimits(this.pool.rates, options);
    this.#stopGraceMs = options.stopGraceMs;
    this.#fetcher = new Fetcher({ urlAllow: options.urlAllow, onThreadDeath: options.onError });
    this.#worker = new WriteWorker({
      connection: options.connection,
      concurrency: this.pool.jobSlots,
      host: options.name,
      lockDurationMs: options.lockDurationMs,
      // Looked for as often as locks run out: a job of a dead host waits for at most two lock durations.
      stalledIntervalMs: options.lockDurationMs,
      perform: (request, job, report) => this.#perform(request, job, report),
      onLimits: (standing) => {
        this.#limits.take(standing);
        this.pool.look();
      },
      onError: options.onError,
    });
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#keeper = setInterval(() => this.#keep(), options.lockDurationMs / KEEPS_PER_LOCK);
  }

  /** A host that takes jobs. @throws where its roots or the queue cannot be had */
  static async start(options: HostOptions): Promise<Host> {
    const host = new Host(options);
    try {
      await host.#worker.ready();
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  async #perform(
    request: JobRequest,
    job: WriteJobInfo,
    report: (progress: WriteProgress) => void,
  ): Promise<JobResult> {
    const runnable = await withManifest(request, job);
    const running = this.#start(runnable, `${job.id}@${job.createdAtMs}`, job.starts);
    const { block } = running;
    const sampled: SampledWrite = {
      root: request.root,
      job,
      block,
      meter: new ProgressMeter(this.#name),
      report,
      seen: false,
    };
    block.holdFor(job.lockLeftMs);
    const ownLimit = request.limit?.bytesPerSecond ?? 0;
    if (ownLimit > 0) block.rate.set(ownLimit);
    let ended = false; // the block is another write's then
    let forgetStop: () => void = () => {};
    job.whenAborted((reason) => {
      if (!ended) forgetStop = stopWrite(running, reason, this.#stopGraceMs);
    });
    job.whenSteered(({ paused, limit = ownLimit }) => {
      if (ended) return;
      block.pause(paused);
      if (block.rate.bytesPerSecond !== limit) block.rate.set(limit);
      running.look();
      setTimeout(() => this.#sampleOne(sampled), SAMPLE_STEERED_MS);
    });
    this.#sampled.add(sampled);
    try {
      const result = await running.done;
      // Whoever watched it sees its end; a write that ended before its first sample costs the queue no extra round trip.
      if (sampled.seen) report(this.#progressOf(sampled));
      return { ...result, host: this.#name };
    } finally {
      ended = true;
      forgetStop();
      this.#sampled.delete(sampled);
    }
  }

  #start(request: JobRequest, jobName: string, starts: number): RunningWrite {
    if ('files' in request || request.source.kind !== 'url') return this.pool.run(request, jobName, starts);
    const running = this.pool.runStream(request, jobName, starts);
    this.#fetcher.fetch({ source: request.source, size: request.size, inlet: running.inlet });
    return running;
  }

  /** Tells the threads how long each job is surely this host's: they may run before this thread after a stop. */
  #keep(): void {
    for (const { job, block } of this.#sampled) block.holdFor(job.lockLeftMs);
    this.pool.rates.refresh();
  }

  #sample(): void {
    for (const sampled of this.#sampled) this.#sampleOne(sampled);
  }

  #sampleOne(sampled: SampledWrite): void {
    if (!this.#sampled.has(sampled)) return; // it has ended
    sampled.seen = true;
    sampled.report(this.#progressOf(sampled));
  }

  #progressOf({ root, block, meter }: SampledWrite): WriteProgress {
    const limit = this.#limits.effective(root, block.rate);
    const progress = meter.progress(block.read());
    return limit === 0 ? progress : { ...progress, limit };
  }

  /** Takes no more jobs; running writes stop, drain and go back to the queue. */
  async drain(): Promise<void> {
    await this.#worker.drain('shutdown');
  }

  /** Drains, and gives everything back: threads, contexts, connections. */
  async close(): Promise<void> {
    await this.#worker.drain('shutdown');
    await this.#worker.close();
    clearInterval(this.#sampler);
    clearInterval(this.#keeper);
    await this.#fetcher.close();
    await this.pool.close();
  }
}

/** The default root is made on first use; a root that cannot be had must stop the host before it takes a job. */
function makeRoots(options: HostOptions): void {
  for (const root of options.roots) {
    if (!root.writable) continue;
    try {
      makeDirectories(root.path);
    } catch (error) {
      const { errno = 0, code = 'EUNKNOWN' } = error as NodeJS.ErrnoException;
      throw new IoError({ syscall: 'mkdir', errno, code, path: root.path, cause: error });
    }
  }
}
