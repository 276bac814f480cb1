// Roots that change under a running host: mounted over, unmounted, moved. As root: they are loop-mounted.
import { mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import type { Job } from 'bullmq';
import { type Undo, mayMount, mountLoop, run } from '../loop-disk.fixture.ts';
import { SettableDisk, whyNoDisk } from '../disks/settable-disk.ts';
import { System } from '../system.ts';

let system: System;
let undo: Undo = [];
let root: string;
beforeEach(async () => {
  system = await System.open();
  root = join(system.home, 'root');
  mkdirSync(root);
});
afterEach(async () => {
  await system.hostsGone();
  for (const step of undo.toReversed()) step();
  undo = [];
  await system.close();
});

const asRoot = mayMount() ? test : test.skip;
const skipped = mayMount() ? '' : ' (skipped: only root may mount loop devices)';
const BYTES = 300_000;
const write = (path: string): Promise<Job> => system.add({ path, root: 'disk', size: BYTES });

/** A disk that is mounted at the root from now on, until it is unmounted there. */
function mountAtRoot(): string {
  const elsewhere = mountLoop(system.home, undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
  run('mount', '--bind', elsewhere, root);
  return elsewhere;
}

const unmountRoot = (): void => void run('umount', root);

async function until(holds: () => boolean): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error('it never came to that');
    await setTimeout(50);
  }
}

/** Unmounts as soon as nobody holds it; returns after how long. */
async function unmountIdle(mount: string): Promise<number> {
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

asRoot(
  `a disk that is mounted over a root later is written from then on, and nothing below it${skipped}`,
  async () => {
    const host = await system.host(['--threads', '2', '--root', `disk=${root}`]);
    expect((await system.finished(await write('before'))).failedReason).toBeUndefined();
    const elsewhere = mountAtRoot();
    undo.push(unmountRoot);
    const jobs = await Promise.all(Array.from({ length: 20 }, (_, index) => write(`d/${index}`)));
    for (const job of jobs)
      expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: BYTES } });
    expect(readdirSync(join(elsewhere, 'd'))).toHaveLength(20);
    await unmountIdle(root);
    undo.pop();
    expect(readdirSync(root)).toEqual(['before']);
    expect(host.said()).toMatch(/root disk is on another mount now: ext4 on \/dev\/loop/);
  },
  120_000,
);

asRoot(
  `a write that is under way when a disk is mounted over its root is begun again on that disk${skipped}`,
  async () => {
    await system.host(['--threads', '1', '--root', `disk=${root}`]);
    const source = { kind: 'pattern', pattern: 'stamp', seed: 4 };
    const job = await system.add({
      path: 'a',
      root: 'disk',
      size: 4_000_000,
      source,
      limit: { bytesPerSecond: '2MiB' },
    });
    await system.progressOf(job, ({ bytesWritten }) => Number(bytesWritten) > 0);
    const elsewhere = mountAtRoot();
    expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 4_000_000 } });
    const expected = readSource(createPatternSource('stamp', 4), 0, 4_000_000);
    expect(Buffer.compare(readFileSync(join(elsewhere, 'a')), expected)).toBe(0);
    await unmountIdle(root);
    expect(readdirSync(root)).toEqual([]);
  },
  120_000,
);

asRoot(
  `a root whose directory was moved and made anew is written where it stands now${skipped}`,
  async () => {
    await system.host(['--threads', '2', '--root', `disk=${root}`]);
    expect((await system.finished(await write('before'))).failedReason).toBeUndefined();
    renameSync(root, `${root}-old`);
    mkdirSync(root);
    const jobs = await Promise.all(Array.from({ length: 20 }, (_, index) => write(`${index}`)));
    for (const job of jobs) expect((await system.finished(job)).failedReason).toBeUndefined();
    expect(readdirSync(root)).toHaveLength(20);
    expect(readFileSync(join(root, '0'))).toHaveLength(BYTES);
    expect(readdirSync(`${root}-old`)).toEqual(['before']);
  },
  120_000,
);

asRoot(
  `the disk of an idle host's root can be unmounted within seconds${skipped}`,
  async () => {
    const elsewhere = mountAtRoot();
    await system.host(['--threads', '2', '--root', `disk=${root}`]);
    const jobs = await Promise.all(Array.from({ length: 20 }, (_, index) => write(`${index}`)));
    for (const job of jobs) expect((await system.finished(job)).failedReason).toBeUndefined();
    expect(await unmountIdle(root)).toBeLessThan(15_000);
    expect(readdirSync(elsewhere)).toContain('0');
    expect(readdirSync(root)).toEqual([]);
  },
  120_000,
);

const remount = (mount: string, how: 'ro' | 'rw'): void => void run('mount', '-o', `remount,${how}`, mount);
const noteOf = (progress: Record<string, unknown>): string =>
  typeof progress['note'] === 'string' ? progress['note'] : '';

asRoot(
  `beside a host whose root became read-only the other writes all of 200 jobs, and none loses an attempt${skipped}`,
  async () => {
    const sick = mountLoop(system.home, undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
    const well = mountLoop(system.home, undo, ['mkfs.ext4', '-q'], 134_217_728, 512);
    const ill = await system.host(['--name', 'ill', '--threads', '1', '--root', `disk=${sick}`]);
    await system.host(['--name', 'fit', '--threads', '1', '--root', `disk=${well}`]);
    remount(sick, 'ro');
    const data = (index: number) => ({ path: `${index}`, root: 'disk', size: 65_536 });
    const jobs = await system.queue.addBulk(
      Array.from({ length: 200 }, (_, index) => ({ name: 'write', data: data(index), opts: { attempts: 1 } })),
    );
    for (const job of jobs)
      expect(await system.finished(job)).toMatchObject({
        attemptsMade: 1,
        returnvalue: { bytes: 65_536, host: 'fit' },
      });
    expect(ill.said().match(/root disk cannot be used: read-only file system/g)).toHaveLength(1);
    remount(sick, 'rw');
    await until(() => ill.said().includes('root disk can be used again'));
  },
  120_000,
);

asRoot(
  `without a host whose root is well jobs wait with the reason, and are written once it is, at their first attempt${skipped}`,
  async () => {
    const disk = mountLoop(system.home, undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
    const host = await system.host(['--name', 'ill', '--threads', '1', '--root', `disk=${disk}`]);
    remount(disk, 'ro');
    const jobs = await Promise.all(['a', 'b', 'c'].map((path) => write(path)));
    const bulk = await system.add({
      files: [
        { path: 'd', root: 'disk' },
        { path: 'e', root: 'disk' },
      ],
      size: 4096,
    });
    for (const job of [...jobs, bulk]) {
      const waiting = await system.progressOf(job, (progress) => noteOf(progress) !== '');
      expect(waiting).toMatchObject({
        phase: 'waiting',
        note: expect.stringMatching(
          /^waiting for root disk of host ill: read-only file system.* \(attempt not counted; next try in/,
        ),
      });
    }
    remount(disk, 'rw');
    for (const job of jobs)
      expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: BYTES } });
    expect(await system.finished(bulk)).toMatchObject({ attemptsMade: 1, returnvalue: { failed: 0 } });
    expect(host.said()).toMatch(/root disk can be used again/);
  },
  120_000,
);

asRoot(
  `where the disk of a root has been unmounted nothing is written into the bare directory until it is back${skipped}`,
  async () => {
    const elsewhere = mountAtRoot();
    const host = await system.host(['--name', 'ill', '--threads', '1', '--root', `disk=${root}`]);
    expect((await system.finished(await write('before'))).failedReason).toBeUndefined();
    run('umount', '--lazy', root);
    const job = await write('after');
    const waiting = await system.progressOf(job, (progress) => noteOf(progress) !== '');
    expect(noteOf(waiting)).toMatch(/^waiting for root disk of host ill: what was mounted there is gone: ext4 on/);
    expect(readdirSync(root)).toEqual([]);
    run('mount', '--bind', elsewhere, root);
    undo.push(unmountRoot);
    expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: BYTES } });
    expect(readdirSync(elsewhere)).toEqual(expect.arrayContaining(['before', 'after']));
    expect(host.said()).toMatch(/root disk cannot be used: what was mounted[^]*root disk can be used again/);
  },
  120_000,
);

asRoot(
  `a root that was removed is waited for, and a path of the job's own that cannot be fails it at once${skipped}`,
  async () => {
    await system.host(['--name', 'ill', '--threads', '1', '--root', `disk=${root}`]);
    renameSync(root, `${root}-old`);
    const job = await write('after');
    const waiting = await system.progressOf(job, (progress) => noteOf(progress) !== '');
    expect(noteOf(waiting)).toMatch(/^waiting for root disk of host ill: no such file or directory/);
    renameSync(`${root}-old`, root);
    expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: BYTES } });
    run('touch', join(root, 'plain'));
    const denied = await system.finished(await write('plain/below'));
    expect(denied).toMatchObject({ attemptsMade: 1, failedReason: expect.stringMatching(/^ENOTDIR: /) });
  },
  120_000,
);

const noDisk = whyNoDisk();
(noDisk === '' ? test : test.skip)(
  `of jobs for a disk whose writes fail one after the other few lose an attempt, and all are written once it is well${noDisk}`,
  async () => {
    const disk = await SettableDisk.make(system.home, { make: ['mkfs.ext4', '-q', '-O', '^has_journal'] });
    try {
      const host = await system.host(['--name', 'ill', '--threads', '1', '--root', `disk=${disk.mount}`]);
      expect((await system.finished(await write('before'))).failedReason).toBeUndefined();
      await disk.fail({ write: 'EIO' });
      const data = (index: number) => ({ path: `${index}`, root: 'disk', size: BYTES });
      const options = { attempts: 5, backoff: { type: 'fixed', delay: 200 } };
      const jobs = await Promise.all(Array.from({ length: 20 }, (_, index) => system.add(data(index), options)));
      await until(() => host.said().includes('root disk cannot be used: EIO'));
      await disk.fail({});
      const ends = [];
      for (const job of jobs) ends.push(await system.finished(job));
      for (const end of ends) expect(end).toMatchObject({ returnvalue: { bytes: BYTES } });
      // Two before it is known, and two more where it fails again as soon as a write has succeeded.
      expect(ends.reduce((lost, end) => lost + end.attemptsMade - 1, 0)).toBeLessThanOrEqual(4);
      expect(host.said()).toMatch(
        /root disk cannot be used: EIO.*3 writes failed in a row[^]*root disk can be used again/,
      );
      await host.end('SIGTERM');
    } finally {
      await disk.close();
    }
  },
  120_000,
);
