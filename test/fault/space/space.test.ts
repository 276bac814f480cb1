// Space: promised once, waited for without using up attempts, and what no waiting can mend. As root: a small disk.
import { closeSync, openSync, readFileSync, readdirSync, rmSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { createPatternSource, readSource } from '@penstock/sources';
import { has, mayMount, mountLoop, run } from '../../support/loop-disk.fixture.ts';
import { System } from '../../support/system.ts';

let system: System;
let mount: string;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

const asRoot = mayMount() ? test : test.skip;
const mountSmall = (): void => {
  mount = mountLoop(system.home, system.undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
};
/** As progress carries it. */
const note = (progress: Record<string, unknown>): string =>
  typeof progress['note'] === 'string' ? progress['note'] : '';

asRoot(
  'a job for a full disk waits with its figures, and is written once there is space, at its first attempt',
  async () => {
    mountSmall();
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(40_000_000, 1));
    await system.host(['--threads', '1', '--root', `disk=${mount}`]);
    const job = await system.add({ path: 'a.dat', root: 'disk', size: 30_000_000 }, { attempts: 1 });
    const waiting = await system.progressOf(job, (progress) => note(progress).includes('space'));
    expect(waiting).toMatchObject({
      phase: 'waiting',
      note: expect.stringMatching(
        /^waiting for space: 28\.61 MiB needed, .* free on disk: .*attempt not counted; next try in/,
      ),
    });
    expect(readdirSync(mount).toSorted()).toEqual(['ballast', 'lost+found']);
    rmSync(join(mount, 'ballast'));
    const end = await system.finished(job);
    expect(end).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 30_000_000 } });
    expect(end.attemptsStarted).toBeGreaterThan(1);
    expect(end.data).toEqual({ path: 'a.dat', root: 'disk', size: 30_000_000 });
    const { logs } = await system.queue.getJobLogs(job.id!);
    expect(logs[0]).toMatch(
      /attempt 1 on .* waits for space \(try 1, .*ENOSPC.*statfs '.*a\.dat' at 0, 30000000 bytes/,
    );
  },
  120_000,
);

asRoot(
  'two writes that fit alone and not together are never begun together, on two roots of one disk',
  async () => {
    mountSmall();
    const roots = ['one', 'two'].map((name) => {
      run('mkdir', join(mount, name));
      return ['--root', `${name}=${join(mount, name)}`];
    });
    await system.host(['--threads', '1', ...roots.flat()]);
    const request = (root: string) => ({ path: 'a.dat', root, size: 35_000_000 });
    const jobs = await Promise.all([system.add(request('one')), system.add(request('two'))]);
    const noted = jobs.map((job) => system.progressOf(job, (progress) => note(progress).includes('space')));
    for (const seen of noted) seen.catch(() => {}); // the one that is begun first ends without a wait
    const first = await Promise.race(jobs.map((job) => system.finished(job)));
    const late = jobs.findIndex((job) => job.id !== first.id);
    await noted[late];
    rmSync(join(mount, first.data.root, 'a.dat'));
    const second = await system.finished(jobs[late]!);
    expect(first).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 35_000_000 } });
    expect(second).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 35_000_000 } });
    // Nothing was ever begun for which there was no room: every refusal came before a thread had the job.
    const { logs } = await system.queue.getJobLogs(second.id!);
    expect(logs.length).toBeGreaterThan(0);
    for (const line of logs) expect(line).toMatch(/waits for space .*ENOSPC.*statfs/);
  },
  120_000,
);

asRoot(
  'a file that another process has locked is waited for, and written once the lock is gone',
  async () => {
    const path = join(system.data, 'locked.dat');
    writeFileSync(path, 'before');
    const fd = openSync(path, 'r+');
    expect(native.lockFile(fd)).toBe(0);
    await system.host(['--threads', '1']);
    const job = await system.add({ path: 'locked.dat', size: 100_000, publish: 'in-place' }, { attempts: 1 });
    await system.progressOf(job, (progress) => note(progress).startsWith('waiting for the lock of the file'));
    expect(statSync(path).size).toBe(6);
    closeSync(fd);
    expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 100_000 } });
  },
  120_000,
);

asRoot(
  'a forbidden file fails at once, with the call',
  async () => {
    mountSmall();
    writeFileSync(join(mount, 'immutable'), 'x');
    run('chattr', '+i', join(mount, 'immutable'));
    system.undo.push(() => run('chattr', '-i', join(mount, 'immutable')));
    await system.host(['--threads', '1', '--root', `disk=${mount}`]);
    const options = { attempts: 5, backoff: { type: 'fixed', delay: 10 } };
    const forbidden = { path: 'immutable', root: 'disk', size: 4096, publish: 'in-place' };
    const denied = await system.finished(await system.add(forbidden, options));
    expect(denied).toMatchObject({ attemptsMade: 1, failedReason: expect.stringMatching(/^EPERM: .*immutable/) });
  },
  120_000,
);

asRoot(
  'a write below a disk that is mounted in its root is judged by the space there: less than the root has, and more',
  async () => {
    const mountAt = (directory: string, sizeBytes: number): string => {
      const disk = mountLoop(system.home, system.undo, ['mkfs.ext4', '-q'], sizeBytes, 512);
      run('mkdir', directory);
      run('mount', '--bind', disk, directory);
      system.undo.push(() => run('umount', directory));
      return directory;
    };
    mountSmall();
    const small = mountAt(join(system.data, 'small'), 67_108_864);
    mountAt(join(mount, 'large'), 134_217_728);
    writeFileSync(join(small, 'ballast'), Buffer.alloc(40_000_000, 1));
    await system.host(['--threads', '1', '--root', `disk=${mount}`]);
    const large = await system.finished(await system.add({ path: 'large/new/a.dat', root: 'disk', size: 80_000_000 }));
    expect(large).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 80_000_000 } });
    const never = await system.finished(await system.add({ path: 'small/a.dat', size: 80_000_000 }));
    expect(never.failedReason).toMatch(/^EFBIG: .*The whole file system of root .*small in data holds/);
    const job = await system.add({ path: 'small/a.dat', size: 30_000_000 }, { attempts: 1 });
    const waiting = await system.progressOf(job, (progress) => note(progress).includes('space'));
    expect(note(waiting)).toMatch(/^waiting for space: 28\.61 MiB needed, .* free on .*small in data: /);
    expect(readdirSync(small).toSorted()).toEqual(['ballast', 'lost+found']);
    rmSync(join(small, 'ballast'));
    expect(await system.finished(job)).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: 30_000_000 } });
  },
  120_000,
);

const onXfs = mayMount() && has('mkfs.xfs') ? test : test.skip;

onXfs(
  'on an XFS with little space what stands is written again where it stands, and a part that is there is gone on with',
  async () => {
    mount = mountLoop(system.home, system.undo, ['mkfs.xfs', '-q'], 335_544_320, 512);
    const size = 134_217_728;
    const request = { path: 'a.dat', root: 'disk', size, source: { kind: 'pattern', pattern: 'stamp', seed: 3 } };
    const flags = ['--threads', '1', '--checkpoint', '16MiB', '--root', `disk=${mount}`, '--lock-duration', '2000'];
    const first = await system.host(flags);
    const paced = await system.add({ ...request, limit: { bytesPerSecond: '64MiB' } }, { attempts: 1 });
    await system.progressOf(paced, ({ bytesDurable }) => Number(bytesDurable) >= 33_554_432);
    await first.end('SIGTERM');
    const { bavail, bsize } = statfsSync(mount);
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - size / 4), 1));
    await system.host(flags);
    const resumed = await system.finished(paced);
    expect(resumed).toMatchObject({ attemptsMade: 1, returnvalue: { bytes: size } });
    expect(resumed.returnvalue.resumedFrom).toBeGreaterThan(0);
    // Less than the file is free: all of it is written again all the same, and what is behind its end fits.
    const longer = { ...request, mode: 'overwrite', size: size + 4096, source: { ...request.source, seed: 4 } };
    const end = await system.finished(await system.add(longer, { attempts: 1 }));
    expect(end.failedReason).toBeUndefined();
    const expected = readSource(createPatternSource('stamp', 4), 0, size + 4096);
    expect(Buffer.compare(readFileSync(join(mount, 'a.dat')), expected)).toBe(0);
  },
  180_000,
);
