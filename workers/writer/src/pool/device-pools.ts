/**
 * The writer pools of a host, one per file system: what can hang does not share threads, slots or row memory with what
 * need not. A host whose roots are all on one file system has one pool. Jobs of several file systems at once (a copy from
 * one to another) have a pool of their own, so that they hold up each other at most.
 *
 * The decision: libs/README.md#pool-per-file-system.
 */
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { IoError, type JobRequest, rootsOf, type WriteRequest } from '@penstock/contract';
import { RateTable } from '@penstock/matrix';
import type { RootWords } from '@penstock/disk';
import type { PoolOptions } from './options.ts';
import { PoolSum } from './census.ts';
import { WriterPool } from './pool.ts';
import type { RunningStream, RunningWrite } from './running.ts';
import { SlotLine, type SlotTurn } from './slot-line.ts';

/** The device of a root whose file system has not answered since the host began. */
const UNKNOWN_DEVICE = null;

/** Roots whose disk has fallen silent, or answers again. */
export interface SilenceNews {
  roots: readonly string[];
  /** True if it may be only some of them: jobs of several file systems hang. */
  some: boolean;
  /** For how many milliseconds nothing has come back, or had come back. */
  silentMs: number;
  silent: boolean;
}

export interface DevicePoolsOptions extends Omit<PoolOptions, 'rates' | 'onFree' | 'idleMs'> {
  /** By name of each root: the device number of its file system (st_dev), or UNKNOWN_DEVICE. */
  devices: ReadonlyMap<string, number | null>;
  onSilence?: (news: SilenceNews) => void;
}

/** Names the pool for jobs of several file systems, and for what belongs to no known device. */
const SEVERAL = 'several';

/** A pool, and who waits for its slots. */
interface DevicePool {
  pool: WriterPool;
  line: SlotLine;
  /** Since when it was silent at the last look, or null. */
  silentSinceMs: number | null;
}

export class DevicePools {
  /** Writes that run at once in all pools together. */
  readonly jobSlots: number;
  /** Row memory of one thread. */
  readonly rowBudgetBytes: number;
  /** The limits of the host and its roots, in the order of the roots. */
  readonly rates: RateTable;
  /** Which mount each root is to be found on, by its index: for every pool, those that are made later included. */
  readonly rootWords: Pick<RootWords, 'expect'> = { expect: (root, mount) => this.#expect(root, mount) };
  readonly #mounts = new Map<number, number>();
  readonly #options: DevicePoolsOptions;
  /** By name of the root. */
  readonly #devices: Map<string, number | null>;
  /** By device, made with the first job for it. */
  readonly #pools = new Map<number | typeof SEVERAL, DevicePool>();
  /** Roots whose device is UNKNOWN_DEVICE. */
  #unknown = 0;
  /** True if all roots are on one file system. */
  readonly #isOne: boolean;
  /** File systems that are written to: each has a share of the row memory. */
  readonly #shares: number;
  /** Of a host whose roots are on one file system. */
  #only: DevicePool | null = null;
  readonly #memoryBytes: number;

  constructor(options: DevicePoolsOptions) {
    this.#options = options;
    this.#devices = new Map(options.devices);
    this.rates = new RateTable(options.roots.length);
    this.#countUnknown();
    this.#isOne = countOf(options.roots, this.#devices) <= 1;
    // What is only read from needs a share of the threads by copies alone, and those have one for all.
    this.#shares = Math.max(
      1,
      countOf(
        options.roots.filter(({ writable }) => writable),
        this.#devices,
      ),
    );
    const pools = this.#isOne ? 1 : this.#shares + 1;
    this.#memoryBytes = Math.floor(options.memoryBytes / pools);
    // As many as all pools have: those of one that hangs take none from the others.
    this.jobSlots = pools * options.threads * options.jobs;
    this.rowBudgetBytes = Math.floor(this.#memoryBytes / options.threads);
    // Threads take long to start: those of the first root that can be written are likely to be wanted.
    const first = options.roots.find(({ name, writable }) => writable && this.#devices.get(name) != null);
    if (this.#isOne) this.#only = this.#poolOf([]);
    else if (first !== undefined) this.#poolOf([first.name]);
  }

  /** The root named `name` is on this device from now on: its file system has answered, or another was mounted there. */
  setDevice(name: string, device: number): void {
    this.#devices.set(name, device);
    this.#countUnknown();
  }

  #countUnknown(): void {
    this.#unknown = [...this.#devices.values()].filter((device) => device === UNKNOWN_DEVICE).length;
  }

  #expect(root: number, mount: number): void {
    this.#mounts.set(root, mount);
    for (const { pool } of this.#pools.values()) pool.rootWords.expect(root, mount);
  }

  /** null if `request` can be run in this very turn of the event loop, else what to wait for. */
  enter(request: JobRequest): SlotTurn | null {
    return this.#poolFor(request).line.enter();
  }

  /** As of WriterPool, after enter(). */
  run(request: JobRequest, jobName: string, starts: number, job?: string): RunningWrite {
    return this.#poolFor(request).pool.run(request, jobName, starts, job);
  }

  /** As of WriterPool, after enter(). */
  runStream(request: WriteRequest, jobName: string, starts: number, willRetry: boolean, job?: string): RunningStream {
    return this.#poolFor(request).pool.runStream(request, jobName, starts, willRetry, job);
  }

  /** Why `request` is not to be begun now: a disk that it needs does not answer. null if all are known to answer. */
  silenceOf(request: JobRequest): IoError | null {
    if (!this.mayBeSilent) return null;
    for (const name of rootsOf(request)) {
      const device = this.#devices.get(name);
      if (device === undefined) continue; // the thread reports that there is no such root
      if (device === UNKNOWN_DEVICE) return this.#silence(name, null);
      const since = this.#pools.get(this.#keyOf(device))?.silentSinceMs ?? null;
      if (since !== null) return this.#silence(name, since);
    }
    return this.#severalSilenceOf(request);
  }

  /** True while a disk, or the file system of a root that has not been reached yet, does not answer. Asked for each job. */
  get mayBeSilent(): boolean {
    for (const { silentSinceMs } of this.#pools.values()) if (silentSinceMs !== null) return true;
    return this.#unknown > 0;
  }

  /** Jobs of several file systems hold up each other. */
  #severalSilenceOf(request: JobRequest): IoError | null {
    const since = this.#pools.get(SEVERAL)?.silentSinceMs ?? null;
    if (since === null || this.#keyFor(rootsOf(request)) !== SEVERAL) return null;
    return this.#silence(rootsOf(request)[0]!, since);
  }

  #silence(name: string, sinceMs: number | null): IoError {
    const path = this.#options.roots.find((root) => root.name === name)!.path;
    const time = sinceMs === null ? 'since this host began' : `for ${formatSeconds(performance.now() - sinceMs)}`;
    const hint = `Root ${name} has not answered ${time}: check its device, its server and the mount.`;
    return new IoError({ syscall: 'statfs', errno: -constants.errno.ETIMEDOUT, path, hint });
  }

  /** To be called twice a second: looks whether every disk answers. */
  watch(): void {
    for (const [key, devicePool] of this.#pools) {
      const { pool, silentSinceMs: was } = devicePool;
      pool.watch();
      const since = pool.silentSinceMs;
      devicePool.silentSinceMs = since;
      if ((was === null) === (since === null)) continue;
      const roots = this.#rootsAt(key);
      const some = key === SEVERAL && this.#only === null;
      this.#options.onSilence?.({ roots, some, silentMs: performance.now() - (since ?? was!), silent: since !== null });
      if (since !== null) devicePool.line.refuse(this.#silence(roots[0]!, since));
    }
  }

  /** The names of the roots that the pool `key` writes to. */
  #rootsAt(key: number | typeof SEVERAL): string[] {
    const names = [...this.#devices.keys()];
    return this.#isOne || key === SEVERAL ? names : names.filter((name) => this.#devices.get(name) === key);
  }

  /** Resolves when the next large file is freed of those that writes to `root` let go of; null if there is none. */
  whenFreed(root: string): Promise<void> | null {
    const keys = this.#only === null ? [this.#keyFor([root]), SEVERAL] : [...this.#pools.keys()];
    const freed = keys.flatMap((key) => this.#pools.get(key as number)?.pool.whenFreed() ?? []);
    return freed.length === 0 ? null : Promise.race(freed);
  }

  /** As of WriterPool, of each pool that has some, with the roots that it writes to. */
  get leftToFree(): { files: number; bytes: number; roots: string[] }[] {
    const all = [...this.#pools].map(([key, { pool }]) => {
      const { files, bytes } = pool.leftToFree;
      return { files, bytes, roots: this.#rootsAt(key) };
    });
    return all.filter(({ files }) => files > 0);
  }

  /** What the threads of all pools do now, and have done so far. */
  sum(): PoolSum {
    const sum = new PoolSum();
    for (const { pool } of this.#pools.values()) {
      sum.threads += pool.threads;
      sum.running += pool.jobSlots - pool.freeSlots;
      pool.census.addTo(sum);
    }
    return sum;
  }

  /** Wakes every thread to look at the limits: they have changed. */
  wake(): void {
    for (const { pool } of this.#pools.values()) pool.wake();
  }

  /** As of WriterPool, of all pools. */
  async close(): Promise<boolean> {
    const closed = await Promise.all([...this.#pools.values()].map(({ pool }) => pool.close()));
    return closed.every(Boolean);
  }

  #poolFor(request: JobRequest): DevicePool {
    return this.#only ?? this.#poolOf(rootsOf(request));
  }

  #poolOf(names: readonly string[]): DevicePool {
    const key = this.#keyFor(names);
    let devicePool = this.#pools.get(key);
    if (devicePool === undefined) {
      const { rates } = this;
      const { onSilence: _onSilence, devices: _devices, ...options } = this.#options;
      const onFree = (): void => line.serve();
      const pool = new WriterPool({ ...options, memoryBytes: this.#memoryBytes, rates, onFree });
      for (const [root, mount] of this.#mounts) pool.rootWords.expect(root, mount);
      const line = new SlotLine(() => pool.freeSlots);
      devicePool = { pool, line, silentSinceMs: null };
      this.#pools.set(key, devicePool);
    }
    return devicePool;
  }

  #keyFor(names: readonly string[]): number | typeof SEVERAL {
    const keys = new Set(names.map((name) => this.#keyOf(this.#devices.get(name))));
    const [only = SEVERAL] = keys;
    return keys.size === 1 ? only : SEVERAL;
  }

  /** A device that is first seen when all shares are given out has none of its own. */
  #keyOf(device: number | null | undefined): number | typeof SEVERAL {
    if (device == null || this.#isOne) return SEVERAL;
    const devices = [...this.#pools.keys()].filter((key) => key !== SEVERAL);
    return devices.includes(device) || devices.length < this.#shares ? device : SEVERAL;
  }
}

/** How many file systems `roots` are on; one that is not known counts as another. */
function countOf(roots: readonly { name: string }[], devices: ReadonlyMap<string, number | null>): number {
  const all = roots.map(({ name }) => devices.get(name) ?? UNKNOWN_DEVICE);
  const known = all.filter((device) => device !== UNKNOWN_DEVICE);
  return new Set(known).size + all.length - known.length;
}

const formatSeconds = (ms: number): string => `${Math.round(ms / 1000)} s`;
