/** What the queue's events tell of one write, listened to from before it is added. */
import { readdirSync, readlinkSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import type { Job } from 'bullmq';
import type { WriteProgress } from '@penstock/contract';
import type { System } from '../support/system.ts';

export class Watch {
  readonly jobId: string;
  /** The most that it called durable before the end. */
  durableBytesMax = 0;
  /** How often a host has begun with it. */
  starts = 0;
  /** When its end was told, by performance.now(). */
  endedAtMs: number | null = null;
  /** The newest progress of each host, by name. */
  readonly progressOf: Map<string, WriteProgress> = new Map();
  readonly #system: System;
  readonly #looks = new Set<() => void>();

  constructor(system: System, jobId: string) {
    this.jobId = jobId;
    this.#system = system;
    system.events.on('active', this.#onActive);
    system.events.on('progress', this.#onProgress);
    system.events.on('completed', this.#onEnd);
    system.events.on('failed', this.#onEnd);
  }

  add(request: unknown, attempts = 1): Promise<Job> {
    return this.#system.add(request, { jobId: this.jobId, attempts, backoff: { type: 'fixed', delay: 300 } });
  }

  /** Resolves once `test` holds, which is asked at each event; also where the write has ended, or `waitMsMax` is over. */
  async until(test: () => boolean, waitMsMax: number): Promise<boolean> {
    if (!test() && this.endedAtMs === null) {
      let look = (): void => {};
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        look = () => {
          if (test() || this.endedAtMs !== null) resolve();
        };
        timer = setTimeout(resolve, waitMsMax);
        this.#looks.add(look);
      });
      this.#looks.delete(look);
      clearTimeout(timer);
    }
    return test();
  }

  close(): void {
    this.#system.events.off('active', this.#onActive);
    this.#system.events.off('progress', this.#onProgress);
    this.#system.events.off('completed', this.#onEnd);
    this.#system.events.off('failed', this.#onEnd);
  }

  readonly #onActive = ({ jobId }: { jobId: string }): void => {
    if (jobId !== this.jobId) return;
    this.starts += 1;
    this.#look();
  };

  readonly #onProgress = ({ jobId, data }: { jobId: string; data: unknown }): void => {
    if (jobId !== this.jobId) return;
    const progress = data as WriteProgress;
    if (progress.phase !== 'done') this.durableBytesMax = Math.max(this.durableBytesMax, progress.bytesDurable);
    if (progress.host !== undefined) this.progressOf.set(progress.host, progress);
    this.#look();
  };

  readonly #onEnd = ({ jobId }: { jobId: string }): void => {
    if (jobId !== this.jobId) return;
    this.endedAtMs = performance.now();
    this.#look();
  };

  #look(): void {
    for (const look of this.#looks) look();
  }
}

/** How many regular files below `directory` the process has open. */
export function filesOpen(pid: number, directory: string): number {
  return readdirSync(`/proc/${pid}/fd`).filter((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${directory}/`);
    } catch {
      return false; // closed between two looks
    }
  }).length;
}
