// Roots that change under a running host, by real mounts, and hosts beside one whose root is sick.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect } from '@jest/globals';
import { mountLoop, run } from '../../support/loop-disk.fixture.ts';
import { RootTrial, BYTES, noteOf, remount, skipped, unmountIdle, until, asRoot } from './root-trial.fixture.ts';

let trial: RootTrial;
beforeEach(async () => {
  trial = await RootTrial.open();
});
afterEach(() => trial.close());

asRoot(
  `a disk that is mounted over a root later is written from then on, and nothing below it${skipped}`,
  async () => {
    const { system, root, write, mountAtRoot, unmountRoot } = trial;
    const host = await system.host(['--threads', '2', '--root', `disk=${root}`]);
    expect((await system.finished(await write('before'))).failedReason).toBeUndefined();
    const elsewhere = mountAtRoot();
    system.undo.push(unmountRoot);
    const jobs = await Promise.all(Array.from({ length: 20 }, (_, index) => write(`d/${index}`)));
    for (const job of jobs)
      expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: BYTES } });
    expect(readdirSync(join(elsewhere, 'd'))).toHaveLength(20);
    await unmountIdle(root);
    system.undo.pop();
    expect(readdirSync(root)).toEqual(['before']);
    expect(host.said()).toMatch(/root disk is on another mount now: ext4 on \/dev\/loop/);
  },
  120_000,
);

asRoot(
  `the disk of an idle host's root can be unmounted within seconds${skipped}`,
  async () => {
    const { system, root, write, mountAtRoot } = trial;
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

asRoot(
  `beside a host whose root became read-only the other writes all of 200 jobs, and none loses an attempt${skipped}`,
  async () => {
    const { system } = trial;
    const sick = mountLoop(system.home, system.undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
    const well = mountLoop(system.home, system.undo, ['mkfs.ext4', '-q'], 134_217_728, 512);
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
  `where the disk of a root has been unmounted nothing is written into the bare directory until it is back${skipped}`,
  async () => {
    const { system, root, write, mountAtRoot, unmountRoot } = trial;
    const elsewhere = mountAtRoot();
    const host = await system.host(['--name', 'ill', '--threads', '1', '--root', `disk=${root}`]);
    expect((await system.finished(await write('before'))).failedReason).toBeUndefined();
    run('umount', '--lazy', root);
    const job = await write('after');
    const waiting = await system.progressOf(job, (progress) => noteOf(progress) !== '');
    expect(noteOf(waiting)).toMatch(/^waiting for root disk of host ill: what was mounted there is gone: ext4 on/);
    expect(readdirSync(root)).toEqual([]);
    run('mount', '--bind', elsewhere, root);
    system.undo.push(unmountRoot);
    expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: BYTES } });
    expect(readdirSync(elsewhere)).toEqual(expect.arrayContaining(['before', 'after']));
    expect(host.said()).toMatch(/root disk cannot be used: what was mounted[^]*root disk can be used again/);
  },
  120_000,
);
