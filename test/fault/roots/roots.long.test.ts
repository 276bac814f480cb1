// More of roots that change under a running host: moved, removed, failing, mounted over while they are written.
import { mkdirSync, readFileSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { SettableDisk, whyNoDisk } from '../../disks/settable-disk.ts';
import { mountLoop, run } from '../../support/loop-disk.fixture.ts';
import { RootTrial, BYTES, noteOf, remount, skipped, unmountIdle, until, asRoot } from './root-trial.fixture.ts';

let trial: RootTrial;
beforeEach(async () => {
  trial = await RootTrial.open();
});
afterEach(() => trial.close());

const noDisk = whyNoDisk();

asRoot(
  `a write that is under way when a disk is mounted over its root is begun again on that disk${skipped}`,
  async () => {
    const { system, root, mountAtRoot } = trial;
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
    const { system, root, write } = trial;
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
  `without a host whose root is well jobs wait with the reason, and are written once it is, at their first attempt${skipped}`,
  async () => {
    const { system, write } = trial;
    const disk = mountLoop(system.home, system.undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
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
  `a root that was removed is waited for, and a path of the job's own that cannot be fails it at once${skipped}`,
  async () => {
    const { system, root, write } = trial;
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

asRoot(
  `two hosts, each with another sick root, write what the other cannot, and what waits behind it${skipped}`,
  async () => {
    const { system } = trial;
    const disk = () => mountLoop(system.home, system.undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
    const mounts = [disk(), disk(), disk(), disk()] as const;
    const rootsOf = (a: string, b: string) => ['--threads', '1', '--root', `a=${a}`, '--root', `b=${b}`];
    await system.host(['--name', 'one', ...rootsOf(mounts[0], mounts[1])]);
    await system.host(['--name', 'two', ...rootsOf(mounts[2], mounts[3])]);
    remount(mounts[0], 'ro');
    remount(mounts[3], 'ro');
    const many = (root: string, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        name: 'write',
        data: { path: `${index}`, root, size: 4096 },
        opts: { attempts: 1 },
      }));
    const jobs = await system.queue.addBulk([...many('a', 200), ...many('b', 50)]);
    for (const job of jobs)
      expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 4096 } });
  },
  120_000,
);

(noDisk === '' ? test : test.skip)(
  `of jobs for a disk whose writes fail one after the other few lose an attempt, and all are written once it is well${noDisk}`,
  async () => {
    const { system, write } = trial;
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
