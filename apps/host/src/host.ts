/**
 * The host: takes write jobs from the queue, hands each to a writer thread, and reports progress sampled from shared
 * memory. All of it on the main thread, which never touches a file of a job.
 */
import { type IoError, toWire } from '@penstock/contract';
import type { HostSettings, StoreSettings } from '@penstock/config';
import { Fetcher } from '@penstock/fetcher';
import { DevicePools, type SilenceNews } from '@penstock/writer';
import { type Connection, type PartOwner, JobLimit, type TwinHostError, WriteWorker } from '@penstock/queue';
import { makeSegmentDirectory } from '@penstock/sink';
import { RootMounts } from '@penstock/disk';
import { Admission } from './admission/admission.ts';
import { askKernel } from './admission/file-system.ts';
import { askLeavingRoom } from './admission/reserve.ts';
import { Attempts } from './attempts.ts';
import { FallbackLog } from './fallbacks.ts';
import { LeftParts } from './left-parts/left-parts.ts';
import { HostLimits } from './limits.ts';
import { RootHealth } from './roots/health.ts';
import { Sampling } from './sampling.ts';
import { Vitals } from './vitals.ts';

/** Stands for the device of a root that cannot be looked at; no device has this number. */
const NO_DEVICE = -1;

export interface HostOptions extends HostSettings, Pick<StoreSettings, 'redis'> {
  threads: number;
  depth: number;
  connection: Connection;
  libaio?: string;
  /** Called with the reason when writes do not go the best way, once for each root and reason. */
  onFallback: (text: string) => void;
  /** The records of partial files are kept here; without it there are none, and partial files that are left stay. */
  dataDirectory?: string;
  /** By name of each root: the number of its device, or null if its file system has not answered yet. */
  devices: ReadonlyMap<string, number | null>;
  /** Called with what went wrong outside any single job. */
  onError: (error: Error) => void;
  /** Called if another process has taken the name of this host, which is to stop then. */
  onNameLost: (error: TwinHostError) => void;
  /** Called with a line for the log: a change of a root while the host runs, or what the host removed by itself. */
  onNote?: (text: string) => void;
}

export class Host {
  readonly pool: DevicePools;
  /** Why jobs from shared memory will fail; null if they need not. */
  readonly noSegmentsReason: string | null;
  readonly #options: HostOptions;
  readonly #leftParts: LeftParts | null;
  readonly #mounts: RootMounts;
  readonly #health: RootHealth;
  readonly #admission: Admission;
  readonly #limits: HostLimits;
  readonly #sampling: Sampling;
  readonly #vitals: Vitals;
  readonly #fetcher: Fetcher;
  readonly #attempts: Attempts;
  /** One for the queue of any host, one for this host's own. */
  readonly #workers: readonly WriteWorker[];

  private constructor(given: HostOptions) {
    const onError = (error: Error): void => {
      this.#vitals?.note(error);
      given.onError(error);
    };
    const options = { ...given, onError };
    this.#options = options;
    this.noSegmentsReason = refusalOfSegments(options);
    this.#leftParts = this.#openLeftParts(options);
    this.pool = new DevicePools({
      ...options,
      onThreadDeath: options.onError,
      onSilence: (news) => this.#reportSilence(news),
      askQueue: (question) => this.#workers[0]!.answerOnAppends(question),
      partFiles: this.#leftParts?.files,
    });
    this.#mounts = this.#openMounts();
    this.#health = this.#openHealth();
    this.#admission = this.#openAdmission();
    this.#vitals = new Vitals({
      settings: options,
      pool: this.pool,
      mounts: this.#mounts,
      admission: this.#admission,
      health: this.#health,
    });
    this.#limits = new HostLimits(this.pool.rates, options);
    const { name: host, lockDurationMs, stopGraceMs } = options;
    this.#sampling = new Sampling({ pool: this.pool, limits: this.#limits, host, lockDurationMs });
    this.#fetcher = new Fetcher({ urlAllow: options.urlAllow, onThreadDeath: options.onError });
    this.#attempts = new Attempts({
      host,
      pool: this.pool,
      health: this.#health,
      admission: this.#admission,
      sampling: this.#sampling,
      fetcher: this.#fetcher,
      fallbacks: new FallbackLog(options.onFallback),
      stopGraceMs,
    });
    this.#workers = this.#openWorkers();
    this.#sampling.start();
  }

  #openMounts(): RootMounts {
    const { roots, onNote } = this.#options;
    return new RootMounts({
      roots,
      expect: (root, mount) => this.pool.rootWords.expect(root, mount),
      onMoved: (root, { fileSystem, source, device }) => {
        this.pool.setDevice(root, deviceNumber(device));
        this.#admission.add(
          roots.find(({ name }) => name === root)!,
          deviceNumber(device),
        );
        onNote?.(`root ${root} is on another mount now: ${fileSystem} on ${source}`);
      },
    });
  }

  #openHealth(): RootHealth {
    const { roots, name: host, devices, onNote } = this.#options;
    return new RootHealth({
      roots,
      host,
      mounts: this.#mounts,
      silent: roots.filter((root) => devices.get(root.name) == null).map((root) => root.name),
      onNote,
      onChange: (sick) => {
        for (const worker of this.#workers) worker.reportSickRoots(sick);
      },
    });
  }

  #openAdmission(): Admission {
    const { redis, roots, devices } = this.#options;
    const ask = redis.kind === 'embedded' ? askLeavingRoom(askKernel, redis.directory) : undefined;
    const admission = new Admission(ask, this.#mounts, (root) => this.pool.whenFreed(root));
    for (const root of roots) {
      const device = devices.get(root.name) ?? null;
      if (device !== null) admission.add(root, device);
    }
    return admission;
  }

  #openWorkers(): readonly WriteWorker[] {
    const { connection, name: host, waitMsMax, lockDurationMs, onNote, onError, onNameLost } = this.#options;
    const jobLimit = new JobLimit(this.pool.jobSlots);
    const open = (queue: 'any' | 'own', after?: Promise<unknown>): WriteWorker =>
      new WriteWorker({
        connection,
        concurrency: this.pool.jobSlots,
        host,
        queue,
        jobLimit,
        waitMsMax,
        lockDurationMs,
        ...(after === undefined ? {} : { after }),
        // Looked for as often as locks run out: a job of a dead host waits for at most two lock durations.
        stalledIntervalMs: lockDurationMs,
        perform: (request, job, report) => this.#attempts.perform(request, job, report),
        onLimits: (standing) => {
          this.#limits.take(standing);
          this.pool.wake();
        },
        onNote: (text) => onNote?.(text),
        vitals: () => this.#vitals.read(),
        // The writes of the other queue are this host's too.
        ...(queue === 'own' ? { nameKeptUntil: () => any.drain('shutdown') } : {}),
        onNameLost,
        // Both lose the same Redis: it is reported once.
        onError: (error) => {
          if (queue === 'any' || error.name !== 'ConnectionError') onError(error);
        },
      });
    // It takes the name of the host: without that nothing is taken from either queue.
    const own = open('own');
    const any = open('any', own.ready());
    return [any, own];
  }

  /** Null if there is no data directory to record them in, or none that can be used: what this host leaves stays then. */
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

  /** Resolves with a host that takes jobs. @throws (rejects with) why its roots or the queue cannot be used */
  static async start(options: HostOptions): Promise<Host> {
    const host = new Host(options);
    try {
      const answering = options.roots.filter(({ name }) => options.devices.get(name) != null);
      await Promise.all(answering.map(({ name }) => host.#mounts.recheck(name)));
      await Promise.all(host.#workers.map((worker) => worker.ready()));
      return host;
    } catch (error) {
      await host.close();
      throw error;
    }
  }

  #reportSilence({ roots, some, silentMs, silent }: SilenceNews): void {
    const seconds = `${Math.round(silentMs / 1000)} s`;
    const reason = silent ? `it does not answer: nothing has come back from its disk for ${seconds}` : null;
    if (!some) {
      for (const root of roots) this.#health.setSilent(root, reason);
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
    // If it cannot be used, its jobs fail with the reason from now on.
    const device = typeof answer === 'number' ? answer : NO_DEVICE;
    if (typeof answer !== 'number') this.#options.onError(answer);
    this.pool.setDevice(name, device);
    this.#admission.add(root, device);
    void this.#mounts.recheck(name).then(() => this.#health.setSilent(name, null));
  }

  /** Takes no more jobs; running writes stop, drain and go back to the queue. */
  async drain(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.drain('shutdown')));
  }

  /**
   * Drains, and gives everything back: threads, contexts, connections. Resolves with false if a disk that does not
   * answer keeps threads of this process, which can then end by exitNow() alone.
   */
  async close(): Promise<boolean> {
    await this.drain();
    await Promise.all(this.#workers.map((worker) => worker.close()));
    this.#sampling.close();
    this.#vitals.close();
    this.#health.close();
    await this.#fetcher.close();
    const isFree = await this.pool.close();
    this.#leftParts?.close();
    return isFree;
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** The number that stat gives the device which mountinfo calls "8:1". */
function deviceNumber(device: string): number {
  const [major = 0, minor = 0] = device.split(':').map(Number);
  return (minor & 0xff) + major * 256 + (minor >> 8) * 1_048_576;
}

/** Why this host can have no segments of shared memory, or null. Other jobs do not need them and are served anyway. */
function refusalOfSegments({ shmDirectory, shmGroupId }: HostOptions): string | null {
  try {
    makeSegmentDirectory({ directory: shmDirectory, groupId: shmGroupId });
    return null;
  } catch (error) {
    return toWire(error).message;
  }
}
