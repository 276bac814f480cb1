/**
 * The host: takes write jobs from the queue, hands each to a writer thread, and reports progress sampled from shared
 * memory. All of it on the main thread, which never touches a file of a job.
 */
import {
  IoError,
  type JobRequest,
  type JobResult,
  WriteAbortedError,
  type WriteProgress,
  isBulkResult,
  toWire,
} from '@penstock/contract';
import type { HostSettings, StoreSettings } from '@penstock/config';
import type { JobBlock } from '@penstock/matrix';
import { Fetcher } from '@penstock/fetcher';
import { DevicePools, ProgressMeter, type RunningWrite, type SilenceNews, type SlotTurn } from '@penstock/writer';
import { type Connection, type PartOwner, Slots, type WriteJobInfo, WriteWorker } from '@penstock/queue';
import { makeSegmentDirectory } from '@penstock/sink';
import { RootMounts } from '@penstock/disk';
import { Admission, type Applicant, NOTHING_RESERVED, type Ticket } from './admission/admission.ts';
import { askKernel } from './admission/file-system.ts';
import { askLeavingRoom } from './admission/reserve.ts';
import { FallbackLog } from './fallbacks.ts';
import { RootHealth } from './roots/health.ts';
import { FileTurns, turnOf, wantedFile } from './file-turns.ts';
import { LeftParts } from './left-parts/left-parts.ts';
import { HostLimits } from './limits.ts';
import { withManifest } from './manifest.ts';
import { stopWrite } from './stopping.ts';

/** How often running writes are sampled: often enough to watch, rare enough to cost nothing. */
const SAMPLE_MS = 500;
/** Who gave an order wants to see what comes of it before the next sample: the thread has obeyed at the first of these,
 * mostly, or at a later one where its disk is slow. */
const SAMPLES_STEERED_MS = [50, 150, 300];

/** The device of a root that cannot be looked at: no other's. */
const NO_DEVICE = -1;

/** Locks are renewed three times in their duration; the threads hear of it soon enough to miss one of these as well. */
const KEEPS_PER_LOCK = 8;

/** How often a write is begun while its root is another directory each time. */
const TRIES_MAX = 3;

export interface HostOptions extends HostSettings, Pick<StoreSettings, 'redis'> {
  threads: number;
  depth: number;
  connection: Connection;
  libaio?: string;
  /** Told of writes that do not go the best way, once for each root and reason. */
  onFallback: (text: string) => void;
  /** Where it is recorded which partial files there are; absent: nowhere, and those that are left stay. */
  dataDirectory?: string;
  /** By name of each root: the number of its device, or null where its file system has not answered yet. */
  devices: ReadonlyMap<string, number | null>;
  /** Told of what went wrong outside any single job. */
  onError: (error: Error) => void;
  /** Told in words of what becomes of roots while the host runs, and of what it removes by itself. */
  onNote?: (text: string) => void;
}

/** An attempt that has been let through. */
interface Begun {
  job: WriteJobInfo;
  jobName: string;
  ticket: Ticket;
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
  readonly pool: DevicePools;
  /** Why jobs from shared memory will fail; null where they need not. */
  readonly noSegmentsReason: string | null;
  readonly #leftParts: LeftParts | null;
  readonly #fetcher: Fetcher;
  readonly #name: string;
  readonly #mounts: RootMounts;
  readonly #health: RootHealth;
  readonly #admission: Admission;
  readonly #options: HostOptions;
  /** One for the queue of any host, one for this host's own. */
  readonly #workers: readonly WriteWorker[];
  readonly #limits: HostLimits;
  readonly #turns: FileTurns;
  readonly #stopGraceMs: number;
  readonly #fallbacks: FallbackLog;
  readonly #sampled = new Set<SampledWrite>();
  readonly #sampler: NodeJS.Timeout;
  readonly #keeper: NodeJS.Timeout;

  private constructor(options: HostOptions) {
    this.#name = options.name;
    this.#options = options;
    this.noSegmentsReason = refusalOfSegments(options);
    this.#leftParts = this.#openLeftParts(options);
    this.pool = new DevicePools({
      ...options,
      onThreadDeath: options.onError,
      onSilence: (news) => this.#tellSilence(news),
      askQueue: (question) => this.#workers[0]!.answerOnAppends(question),
      partFiles: this.#leftParts?.files,
    });
    this.#mounts = new RootMounts({
      roots: options.roots,
      expect: (root, mount) => this.pool.rootWords.expect(root, mount),
      onMoved: (root, { fileSystem, source, device }) => {
        this.pool.setDevice(root, deviceNumber(device));
        this.#admission.add(
          options.roots.find(({ name }) => name === root)!,
          deviceNumber(device),
        );
        options.onNote?.(`root ${root} is on another mount now: ${fileSystem} on ${source}`);
      },
    });
    const { roots, name: host, onNote } = options;
    this.#health = new RootHealth({
      roots,
      host,
      mounts: this.#mounts,
      silent: roots.filter((root) => options.devices.get(root.name) == null).map((root) => root.name),
      onNote,
      onChange: (sick) => {
        for (const worker of this.#workers) worker.tellSickRoots(sick);
      },
    });
    this.#turns = new FileTurns(this.pool.jobSlots);
    this.#limits = new HostLimits(this.pool.rates, options);
    this.#stopGraceMs = options.stopGraceMs;
    this.#fallbacks = new FallbackLog(options.onFallback);
    this.#fetcher = new Fetcher({ urlAllow: options.urlAllow, onThreadDeath: options.onError });
    const { redis } = options;
    const ask = redis.kind === 'embedded' ? askLeavingRoom(askKernel, redis.directory) : undefined;
    this.#admission = new Admission(ask, this.#mounts);
    for (const root of options.roots) {
      const device = options.devices.get(root.name) ?? null;
      if (device !== null) this.#admission.add(root, device);
    }
    const slots = new Slots(this.pool.jobSlots);
    this.#workers = (['any', 'own'] as const).map(
      (queue) =>
        new WriteWorker({
          connection: options.connection,
          concurrency: this.pool.jobSlots,
          host: options.name,
          queue,
          slots,
          waitMsMax: options.waitMsMax,
          lockDurationMs: options.lockDurationMs,
          // Looked for as often as locks run out: a job of a dead host waits for at most two lock durations.
          stalledIntervalMs: options.lockDurationMs,
          perform: (request, job, report) => this.#perform(request, job, report),
          onLimits: (standing) => {
            this.#limits.take(standing);
            this.pool.look();
          },
          onNote: (text) => options.onNote?.(text),
          // Both lose the same Redis: it is reported once.
          onError: (error) => {
            if (queue === 'any' || error.name !== 'ConnectionError') options.onError(error);
          },
        }),
    );
    this.#sampler = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#keeper = setInterval(() => this.#keep(), options.lockDurationMs / KEEPS_PER_LOCK);
  }

  /** Other jobs do not need it: a host that cannot have it says so, and what it leaves stays. */
  #openLeftParts({ dataDirectory, name: host, roots, onNote, onError }: HostOptions): LeftParts | null {
    if (dataDirectory === undefined) return null;
    const judge = (jobs: readonly string[]): Promise<PartOwner[]> => this.#workers[0]!.judgeParts(jobs);
    const onRemoved = (text: string): void => onNote?.(text);
    try {
      return new LeftParts({
        dataDirectory,
        host,
        roots,
        judge,
        mayStart: () => !this.pool.mayBeSilent,
        onRemoved,
        onError: (error) => onError(asError(error)),
      });
    } catch (error) {
      const { message } = asError(error);
      onNote?.(`partial files that this host leaves are not recorded, and stay: ${message}`);
      return null;
    }
  }

  /** A host that takes jobs. @throws where its roots or the queue cannot be had */
  static async start(options: HostOptions): Promise<Host> {
    const host = new Host(options);
    try {
      const answering = options.roots.filter(({ name }) => options.devices.get(name) != null);
      await Promise.all(answering.map(({ name }) => host.#mounts.lookAgain(name)));
      await Promise.all(host.#workers.map((worker) => worker.ready()));
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
    const jobName = `${job.id}@${job.createdAtMs}`;
    const refusal = this.#health.refusalOf(runnable);
    if (refusal !== null) throw refusal;
    const silence = this.pool.silenceOf(runnable);
    if (silence !== null) throw silence;
    const file = wantedFile(runnable);
    const write = (): Promise<JobResult> => this.#tryAgain(runnable, job, jobName, report);
    const turn = file === null ? null : await this.#turns.take(file, turnOf(runnable, job));
    try {
      return await (turn === null ? write() : turn.hold(write));
    } finally {
      turn?.end();
    }
  }

  async #tryAgain(
    request: JobRequest,
    job: WriteJobInfo,
    jobName: string,
    report: (progress: WriteProgress) => void,
  ): Promise<JobResult> {
    for (let tries = 1; ; tries += 1) {
      // oxlint-disable-next-line no-await-in-loop -- a second time only where a root was to be opened anew
      const result = await this.#try(request, job, jobName, tries, report);
      if (result !== 'again') return result;
    }
  }

  /** 'again' where a root has another directory at its path than the write was begun in. */
  async #try(
    request: JobRequest,
    job: WriteJobInfo,
    jobName: string,
    tries: number,
    report: (progress: WriteProgress) => void,
  ): Promise<JobResult | 'again'> {
    const applicant = { request, jobName, starts: job.starts };
    let ticket: Ticket | null = null;
    try {
      ticket = this.#admission.tryAdmit(request) ?? (await this.#admit(applicant, job));
      const result = await this.#write(request, { job, jobName, ticket }, report);
      if (!isBulkResult(result) || result.failed === 0) this.#health.succeeded(request);
      else if (await this.#isToComeAgain(request, { result }, tries)) return 'again';
      return result;
    } catch (error) {
      if (await this.#isToComeAgain(request, { error }, tries)) return 'again';
      throw error;
    } finally {
      ticket?.release();
    }
  }

  /** @throws RootError where a root is at fault, and not the job */
  async #isToComeAgain(
    request: JobRequest,
    outcome: { error: unknown } | { result: JobResult },
    tries: number,
  ): Promise<boolean> {
    const fault = await this.#health.judge(request, outcome);
    if (fault instanceof Error) throw fault;
    if (fault === 'again' && tries === TRIES_MAX) throw this.#health.unsteady(request);
    return fault === 'again';
  }

  /** Waits for a closer look at the disk; not any longer than the job is this host's. */
  async #admit(applicant: Applicant, job: WriteJobInfo): Promise<Ticket> {
    const admitted = this.#admission.admit(applicant);
    try {
      return await Promise.race([admitted, abortOf(job)]);
    } catch (error) {
      admitted.then(
        (late) => late.release(),
        () => {}, // thrown by the race, or of no interest any more
      );
      // A cancelled one still goes to a thread: what an earlier attempt left is to be removed, and nothing is written.
      if (isCancel(error)) return NOTHING_RESERVED;
      throw error;
    }
  }

  async #write(
    request: JobRequest,
    { job, jobName, ticket }: Begun,
    report: (progress: WriteProgress) => void,
  ): Promise<JobResult> {
    const turn = this.pool.enter(request);
    if (turn !== null) await this.#sit(turn, job);
    const running = this.#start(request, jobName, job);
    const { block } = running;
    ticket.follow(block);
    const sampled: SampledWrite = {
      root: request.root,
      job,
      block,
      meter: new ProgressMeter(this.pool.rowBudgetBytes, this.#name),
      report,
      seen: false,
    };
    block.holdFor(job.lockLeftMs);
    const ownLimit = request.limit?.bytesPerSecond ?? 0;
    if (ownLimit > 0) block.rate.set(ownLimit);
    let ended = false; // the block is another write's then
    let forgetStop: () => void = () => {};
    let hasBegun = false;
    job.whenAborted((reason) => {
      if (!ended) forgetStop = stopWrite(running, reason, this.#stopGraceMs, hasBegun);
    });
    hasBegun = true;
    job.whenSteered(({ paused, limit = ownLimit }) => {
      if (ended) return;
      block.pause(paused);
      if (block.rate.bytesPerSecond !== limit) block.rate.set(limit);
      running.look();
      for (const ms of SAMPLES_STEERED_MS) setTimeout(() => this.#sampleOne(sampled), ms);
    });
    this.#sampled.add(sampled);
    try {
      const result = await running.done;
      this.#fallbacks.note(request.root, result);
      // Whoever watched it sees its end; a write that ended before its first sample costs the queue no extra round trip.
      if (sampled.seen) report(this.#progressOf(sampled));
      return { ...result, host: this.#name };
    } finally {
      ended = true;
      forgetStop();
      this.#sampled.delete(sampled);
    }
  }

  /** Waits until its file system's threads can take one more; not any longer than the job is this host's. */
  async #sit(turn: SlotTurn, job: WriteJobInfo): Promise<void> {
    try {
      await Promise.race([turn.granted, abortOf(job)]);
    } finally {
      turn.leave();
    }
  }

  #start(request: JobRequest, jobName: string, job: WriteJobInfo): RunningWrite {
    const { starts, comesAgain } = job;
    // Files that others write to as well, and partial ones that are left, name the job.
    const { reference } = job;
    if ('files' in request || request.source.kind !== 'url') return this.pool.run(request, jobName, starts, reference);
    const running = this.pool.runStream(request, jobName, starts, comesAgain, reference);
    this.#fetcher.fetch({ source: request.source, size: request.size, inlet: running.inlet });
    return running;
  }

  /** Tells the threads how long each job is surely this host's: they may run before this thread after a stop. */
  #keep(): void {
    for (const { job, block } of this.#sampled) block.holdFor(job.lockLeftMs);
    this.pool.rates.refresh();
  }

  #sample(): void {
    this.pool.watch();
    for (const sampled of this.#sampled) this.#sampleOne(sampled);
  }

  #sampleOne(sampled: SampledWrite): void {
    if (!this.#sampled.has(sampled)) return; // it has ended
    sampled.seen = true;
    sampled.report(this.#progressOf(sampled));
  }

  #progressOf({ root, block, meter }: SampledWrite): WriteProgress {
    const limit = this.#limits.effective(root, block.rate);
    const progress = meter.progress(block.read(), block.rowsWaitedFor());
    return limit === 0 ? progress : { ...progress, limit };
  }

  #tellSilence({ roots, some, silentMs, silent }: SilenceNews): void {
    const seconds = `${Math.round(silentMs / 1000)} s`;
    const reason = silent ? `it does not answer: nothing has come back from its disk for ${seconds}` : null;
    if (!some) {
      for (const root of roots) this.#health.tellSilent(root, reason);
      return;
    }
    const words = silent
      ? `do not come on: nothing has come back to them for ${seconds}`
      : `come on again, after ${seconds}`;
    this.#options.onNote?.(`jobs of several file systems ${words} (roots ${roots.join(', ')})`);
  }

  /** The root named `name`, which had not answered when this host began, is on this device, or cannot be used. */
  rootAnswered(name: string, answer: number | IoError): void {
    const root = this.#options.roots.find((each) => each.name === name);
    if (root === undefined) return;
    // From now on the jobs of one that cannot be used report it.
    const device = typeof answer === 'number' ? answer : NO_DEVICE;
    if (typeof answer !== 'number') this.#options.onError(answer);
    this.pool.setDevice(name, device);
    this.#admission.add(root, device);
    void this.#mounts.lookAgain(name).then(() => this.#health.tellSilent(name, null));
  }

  /** Takes no more jobs; running writes stop, drain and go back to the queue. */
  async drain(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.drain('shutdown')));
  }

  /**
   * Drains, and gives everything back: threads, contexts, connections. Resolves with false where a disk that does not
   * answer keeps threads of this process, which can then end by exitNow() alone.
   */
  async close(): Promise<boolean> {
    await this.drain();
    await Promise.all(this.#workers.map((worker) => worker.close()));
    clearInterval(this.#sampler);
    clearInterval(this.#keeper);
    this.#health.close();
    await this.#fetcher.close();
    const isFree = await this.pool.close();
    this.#leftParts?.close();
    return isFree;
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** As statx and stat have the device that mountinfo calls "8:1". */
function deviceNumber(device: string): number {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return (minor & 0xff) + major * 256 + (minor >> 8) * 1_048_576;
}

/** Rejects with the reason once `job` is aborted. */
const abortOf = (job: WriteJobInfo): Promise<never> =>
  new Promise((_resolve, reject) => {
    job.whenAborted(reject);
  });

const isCancel = (reason: unknown): boolean => reason instanceof WriteAbortedError && reason.reason === 'cancel';

/** Other jobs do not need it: a host that cannot have it says so and serves them. */
function refusalOfSegments({ shmDirectory, shmGroupId }: HostOptions): string | null {
  try {
    makeSegmentDirectory({ directory: shmDirectory, groupId: shmGroupId });
    return null;
  } catch (error) {
    return toWire(error).message;
  }
}
