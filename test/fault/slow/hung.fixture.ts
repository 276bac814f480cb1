/** For tests: a disk that does not answer beneath one root, frozen for real, and thawed again. As root only. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { WriteQueue } from '@penstock/queue';
import { SettableDisk } from '../../disks/settable-disk.ts';
import { type HostProcess, System } from '../../support/system.ts';

/** A system whose root "cold" is a disk of its own. */
export class HungStage {
  readonly system: System;
  readonly disk: SettableDisk;
  readonly queue: WriteQueue;

  private constructor(system: System, disk: SettableDisk) {
    this.system = system;
    this.disk = disk;
    this.queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath }, onError: () => {} });
  }

  static async open(): Promise<HungStage> {
    const system = await System.open();
    return new HungStage(system, await SettableDisk.make(system.home));
  }

  async close(): Promise<void> {
    await this.disk.thaw();
    await this.queue.close();
    await this.system.hostsGone();
    await this.disk.close();
    await this.system.close();
  }

  host(...more: string[]): Promise<HostProcess> {
    return this.system.host(['--threads', '1', '--root', `cold=${this.disk.mount}`, ...more]);
  }

  write(path: string, root: string, size: number | string = 1_048_576): Promise<Job> {
    const source = { kind: 'pattern', pattern: 'stamp', seed: 3 };
    return this.system.add({ path, root, size, source }, { attempts: 1 });
  }
}

/** Resolves once the host has said it. */
export async function saying(host: HostProcess, pattern: RegExp, msMax: number): Promise<void> {
  const until = performance.now() + msMax;
  while (!pattern.test(host.said())) {
    if (performance.now() > until) throw new Error(`not said within ${msMax} ms: ${pattern}\n${host.said()}`);
    await delay(50);
  }
}

/** The process is gone, but for threads that are inside a call to the disk: the kernel keeps those. */
export const hasEnded = ({ child }: HostProcess): boolean =>
  child.exitCode !== null ||
  child.signalCode !== null ||
  /^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${child.pid}/stat`, 'latin1'));
