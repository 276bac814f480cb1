/** What the host reports of itself once a second: what its threads do, what its roots have, how late its main thread is. */
import { createRequire } from 'node:module';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { HostSettings } from '@penstock/config';
import { type RootConfig, type RootMounts, tagsOf } from '@penstock/disk';
import type { HostRoot, HostVitals } from '@penstock/queue';
import type { DevicePools, PoolSum } from '@penstock/writer';
import type { Admission } from './admission/admission.ts';
import type { RootHealth } from './roots/health.ts';

const { version } = createRequire(import.meta.url)('../package.json') as { version: string };

/** Between two looks at the loop: rarely enough to cost an idle host nothing. */
const LOOP_LOOK_MS = 50;
/** Latencies are those of so many of the last reports. */
const LATENCY_REPORTS = 10;
/** An idle host asks its file systems for their space once in so many reports. */
const SPACE_REPORTS = 10;

export interface VitalsOptions {
  settings: Pick<HostSettings, 'roots' | 'jobs' | 'memoryBytes'> & { depth: number };
  pool: Pick<DevicePools, 'sum' | 'jobSlots'>;
  mounts: Pick<RootMounts, 'mountOf'>;
  admission: Pick<Admission, 'spaceOf'>;
  health: Pick<RootHealth, 'isSilent'>;
}

export class Vitals {
  readonly #options: VitalsOptions;
  readonly #loop = monitorEventLoopDelay({ resolution: LOOP_LOOK_MS });
  /** The sums of the last reports, oldest first. */
  #past: PoolSum[] = [];
  #lastAtMs = performance.now();
  #reports = 0;
  /** By device: what sysfs has of it does not change. */
  readonly #tags = new Map<string, number | null>();
  #lastError: { message: string; at: number } | null = null;

  constructor(options: VitalsOptions) {
    this.#options = options;
    this.#loop.enable();
  }

  /** Something went wrong outside any single job. */
  note({ message }: Error): void {
    this.#lastError = { message, at: performance.now() };
  }

  /** To be called once a second. */
  read(): HostVitals {
    const { settings, pool } = this.#options;
    const sum = pool.sum();
    const now = performance.now();
    const last = this.#past.at(-1) ?? sum;
    const seconds = (now - this.#lastAtMs) / 1000;
    const bytesPerSecond = seconds > 0 ? Math.round((sum.tally.bytes - last.tally.bytes) / seconds) : 0;
    const writeLatencyUs = sum.tally.latencySince((this.#past[0] ?? sum).tally);
    this.#past = [...this.#past, sum].slice(-LATENCY_REPORTS);
    this.#lastAtMs = now;
    this.#reports += 1;
    const asksSpace = sum.running > 0 || this.#reports % SPACE_REPORTS === 1;
    return {
      version,
      threadsMax: pool.jobSlots / settings.jobs,
      threads: sum.threads,
      depth: settings.depth,
      inFlight: sum.inFlight,
      aioContexts: sum.aioContexts,
      jobs: settings.jobs,
      runningMax: pool.jobSlots,
      running: sum.running,
      memoryBytes: settings.memoryBytes,
      memoryUsedBytes: sum.tally.rowBytes,
      bytesPerSecond,
      writeLatencyUs,
      eventLoopDelayMs: this.#loopDelayMs(),
      roots: settings.roots.map((root) => this.#rootOf(root, asksSpace)),
      lastError: this.#lastErrorAgo(now),
    };
  }

  close(): void {
    this.#loop.disable();
  }

  #lastErrorAgo(now: number): HostVitals['lastError'] {
    if (this.#lastError === null) return null;
    const { message, at } = this.#lastError;
    return { message, agoMs: Math.round(now - at) };
  }

  #loopDelayMs(): number {
    // What it measures are the intervals between two looks.
    const late = this.#loop.max / 1_000_000 - LOOP_LOOK_MS;
    this.#loop.reset();
    return Math.max(0, Math.round(late * 10) / 10);
  }

  #rootOf({ name, path, writable, direct, matrix }: RootConfig, asksSpace: boolean): HostRoot {
    const { mounts, admission, health } = this.#options;
    const mount = mounts.mountOf(name);
    // One that does not answer would hold a thread of libuv's four.
    const space = admission.spaceOf(name, asksSpace && !health.isSilent(name));
    return {
      name,
      path,
      writable,
      fileSystem: mount?.fileSystem ?? null,
      source: mount?.source ?? null,
      freeBytes: space?.availableBytes ?? null,
      totalBytes: space?.totalBytes ?? null,
      device: mount?.device ?? null,
      tags: mount === null ? null : this.#tagsOf(mount.device),
      direct: direct !== 'off',
      calibrated: matrix !== undefined,
    };
  }

  #tagsOf(device: string): number | null {
    let tags = this.#tags.get(device);
    if (tags === undefined) {
      tags = tagsOf(`/sys/dev/block/${device}`);
      this.#tags.set(device, tags);
    }
    return tags;
  }
}
