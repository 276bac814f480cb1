/** For tests: a host's root that changes under it, by real mounts. As root only. */
import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { test } from '@jest/globals';
import type { Job } from 'bullmq';
import { mayMount, mountLoop, run } from '../../support/loop-disk.fixture.ts';
import { System } from '../../support/system.ts';

export const asRoot: typeof test | typeof test.skip = mayMount() ? test : test.skip;
/** To be appended to the name of each test. */
export const skipped: string = mayMount() ? '' : ' (skipped: only root may mount loop devices)';
export const BYTES = 300_000;

export class RootTrial {
  readonly system: System;
  /** The directory that is a root of the test's hosts, named "disk". */
  readonly root: string;

  private constructor(system: System) {
    this.system = system;
    this.root = join(system.home, 'root');
    mkdirSync(this.root);
    // What a test that failed left mounted there.
    system.undo.push(() => {
      while (spawnSync('umount', ['--lazy', this.root]).status === 0);
    });
  }

  static async open(): Promise<RootTrial> {
    return new RootTrial(await System.open());
  }

  readonly write = (path: string): Promise<Job> => this.system.add({ path, root: 'disk', size: BYTES });

  /** Mounts a disk at the root, until it is unmounted there; returns where else it is mounted. */
  readonly mountAtRoot = (): string => {
    const elsewhere = mountLoop(this.system.home, this.system.undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
    run('mount', '--bind', elsewhere, this.root);
    return elsewhere;
  };

  readonly unmountRoot = (): void => void run('umount', this.root);

  close(): Promise<void> {
    return this.system.close();
  }
}

/** Remounts a file system. */
export const remount = (mount: string, how: 'ro' | 'rw'): void => void run('mount', '-o', `remount,${how}`, mount);

/** As progress carries it. */
export const noteOf = (progress: Record<string, unknown>): string =>
  typeof progress['note'] === 'string' ? progress['note'] : '';

export async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('it never came to that');
    await setTimeout(50);
  }
}

/** Unmounts as soon as nobody holds it; returns after how many milliseconds. */
export async function unmountIdle(mount: string): Promise<number> {
  const begun = performance.now();
  for (;;) {
    try {
      run('umount', mount);
      return performance.now() - begun;
    } catch (error) {
      if (performance.now() - begun > 20_000) throw error;
      await setTimeout(100);
    }
  }
}
