// Other disks: sectors of 4096 bytes, XFS, btrfs, tmpfs, and one that is full. As root only: they are loop-mounted.
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { commitsTogether, fileSystemOf, statFd } from '@penstock/disk';
import { createPatternSource, readSource } from '@penstock/sources';
import { has, mayMount, mountLoop, run } from '../../support/loop-disk.fixture.ts';
import { System, cliEntry } from '../../support/system.ts';

const EDGE_SIZES = [0, 1, 511, 512, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577];
const MATRICES = [undefined, { rows: 1024, rowBytes: 1024 }, { rows: 5, rowBytes: 1000 }];

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

const mountDisk = (make: string[], sizeBytes: number, sectorBytes: number): string =>
  mountLoop(system.home, system.undo, make, sizeBytes, sectorBytes);

/** Writes every edge size with every matrix, and copies, on the root "disk"; compares whole files. */
async function expectAllSizes(mount: string): Promise<Record<string, unknown>> {
  await system.host(['--threads', '2', '--root', `disk=${mount}`]);
  const source = { kind: 'pattern', pattern: 'stamp', seed: 9 };
  const jobs = await Promise.all(
    EDGE_SIZES.flatMap((size) =>
      MATRICES.map(async (matrix, index) => {
        const job = await system.add({
          path: `w/${size}-${index}`,
          root: 'disk',
          size,
          source,
          ...(matrix && { matrix }),
        });
        return { size, index, job };
      }),
    ),
  );
  let last: Record<string, unknown> = {};
  for (const { size, index, job } of jobs) {
    const end = await system.finished(job);
    expect(end.failedReason).toBeUndefined();
    const expected = readSource(createPatternSource('stamp', 9), 0, size);
    expect(Buffer.compare(readFileSync(join(mount, `w/${size}-${index}`)), expected)).toBe(0);
    const copy = await system.add({
      path: `c/${size}`,
      root: 'disk',
      source: { kind: 'file', root: 'disk', path: `w/${size}-${index}` },
    });
    last = (await system.finished(copy)).returnvalue;
    expect(Buffer.compare(readFileSync(join(mount, `c/${size}`)), expected)).toBe(0);
  }
  return last;
}

const asRoot = mayMount() ? test : test.skip;
const onXfs = mayMount() && has('mkfs.xfs') ? test : test.skip;
const onBtrfs = mayMount() && has('mkfs.btrfs') ? test : test.skip;

asRoot(
  'on a disk with sectors of 4096 bytes rows of any size are gathered, and every file is right',
  async () => {
    const mount = mountDisk(['mkfs.ext4', '-q'], 134_217_728, 4096);
    const result = await expectAllSizes(mount);
    expect(result).toMatchObject({ mode: 'aio-direct', alignment: { offset: 4096 } });
  },
  120_000,
);

onXfs(
  'on XFS every file is right',
  async () => {
    const result = await expectAllSizes(mountDisk(['mkfs.xfs', '-q'], 335_544_320, 512));
    expect(result).toMatchObject({ mode: 'aio-direct' });
  },
  120_000,
);

onBtrfs(
  'on btrfs, which says nothing of alignment, every file is right',
  async () => {
    const result = await expectAllSizes(mountDisk(['mkfs.btrfs', '-q'], 268_435_456, 4096));
    // Which mode is the kernel's affair: grounds.test.ts pins it.
    expect(result).toMatchObject({
      mode: expect.stringMatching(/^aio-/),
      fallbackReason: expect.stringContaining('btrfs'),
    });
  },
  120_000,
);

asRoot(
  'on tmpfs every file is right, and the result says that none survives power loss',
  async () => {
    const mount = mkdtempSync(join(system.home, 'tmpfs-'));
    run('mount', '-t', 'tmpfs', '-o', 'size=128m', 'tmpfs', mount);
    system.undo.push(() => run('umount', mount));
    const result = await expectAllSizes(mount);
    expect(result).toMatchObject({ mode: 'aio-buffered', fallbackReason: expect.stringContaining('power loss') });
  },
  120_000,
);

asRoot(
  'a disk without space refuses with both figures, keeps nothing, and where nothing is waited for the retry succeeds once there is space',
  async () => {
    const mount = mountDisk(['mkfs.ext4', '-q'], 67_108_864, 512);
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(40_000_000, 1));
    await system.host(['--threads', '1', '--root', `disk=${mount}`, '--wait-for-space', '0']);
    const request = { path: 'a.dat', root: 'disk', size: 30_000_000 };
    const refused = await system.finished(await system.add(request));
    expect(refused.failedReason).toMatch(/ENOSPC.*statfs.*a\.dat.*28\.61 MiB needed, .*free on disk/);
    expect(readdirSync(mount).toSorted()).toEqual(['ballast', 'lost+found']);
    const job = await system.add(request, { attempts: 20, backoff: { type: 'fixed', delay: 200 } });
    await system.progressOf(job, (progress) => progress['error'] !== undefined);
    rmSync(join(mount, 'ballast'));
    const end = await system.finished(job);
    expect(end.returnvalue).toMatchObject({ bytes: 30_000_000 });
    expect(end.attemptsMade).toBeGreaterThan(1);
  },
  120_000,
);

asRoot(
  'a disk that fills up under a write in place fails it with call, path and offset',
  async () => {
    // A thin disk: the file system has room, the tmpfs below it has not, so the error comes from the device as EIO.
    const below = join(system.home, 'below');
    mkdirSync(below);
    run('mount', '-t', 'tmpfs', '-o', 'size=40m', 'tmpfs', below);
    system.undo.push(() => run('umount', below));
    const image = join(below, 'disk.img');
    writeFileSync(image, '');
    truncateSync(image, 134_217_728);
    const device = run('losetup', '--find', '--show', image).trim();
    system.undo.push(() => run('losetup', '--detach', device));
    run('mkfs.ext4', '-q', '-E', 'lazy_itable_init=1', device);
    const mount = mkdtempSync(join(system.home, 'mnt-'));
    run('mount', device, mount);
    system.undo.push(() => run('umount', '--lazy', mount));
    await system.host(['--threads', '1', '--root', `disk=${mount}`, '--wait-for-space', '0']);
    const end = await system.finished(
      await system.add({
        path: 'a.dat',
        root: 'disk',
        size: 80_000_000,
        source: { kind: 'pattern', pattern: 'stamp' },
      }),
    );
    expect(end.failedReason).toMatch(/(EIO|ENOSPC).*(pwrite|fdatasync).*a\.dat/);
    expect(readdirSync(mount).filter((name) => name.includes('.part') || name === 'a.dat')).toEqual([]);
  },
  120_000,
);

asRoot(
  'on a disk without extents, which takes fresh bytes for a hole, and on one mounted read-only, copies that keep holes are right',
  async () => {
    const mount = mountDisk(['mkfs.ext4', '-q', '-O', '^extents,^64bit'], 67_108_864, 512);
    const device = run('findmnt', '--noheadings', '--output', 'SOURCE', mount).trim();
    await system.host(['--root', `disk=${mount}`]);
    const expected = Buffer.concat([Buffer.alloc(3_000_000), readSource(createPatternSource('stamp', 5), 0, 500_000)]);
    const fd = openSync(join(mount, 'in'), 'w');
    const copy = async (path: string): Promise<void> => {
      const source = { kind: 'file', root: 'disk', path: 'in', holes: 'keep' };
      const end = await system.finished(await system.add({ path, source }));
      expect(end.failedReason).toBeUndefined();
      expect(Buffer.compare(readFileSync(system.path(path)), expected)).toBe(0);
      expect(end.returnvalue.holeBytes).toBeGreaterThan(2_900_000);
    };
    writeSync(fd, expected, 3_000_000, 500_000, 3_000_000);
    closeSync(fd);
    await copy('fresh');
    run('mount', '-o', 'remount,ro', device, mount);
    await copy('read-only');
  },
);

/**
 * Cuts the file system's power while small writes end: what was not in its journal by then is lost. Every write whose
 * end was told before must be there whole once it is mounted again, after the journal's recovery.
 */
async function expectAcknowledgedToSurvive(mount: string): Promise<void> {
  const device = run('findmnt', '--noheadings', '--output', 'SOURCE', mount).trim();
  const host = await system.host(['--threads', '2', '--root', `disk=${mount}`]);
  const acknowledged: string[] = [];
  system.events.on('completed', ({ jobId }) => acknowledged.push(jobId));
  const enough = new Promise<void>((resolve) => {
    const look = (): void => {
      if (acknowledged.length < 150) return;
      system.events.off('completed', look);
      resolve();
    };
    system.events.on('completed', look);
  });
  const sizeOf = (seed: number): number => 1 + ((seed * 2477) % 9000);
  // Every seventh over a file that stands there already, in place: its directory has no change that a flush would commit.
  const inPlace = (seed: number): boolean => seed % 7 === 0;
  const pathOf = (seed: number): string => (inPlace(seed) ? `in-place/${seed}.dat` : `${seed % 3}/${seed}.dat`);
  mkdirSync(join(mount, 'in-place'));
  for (let seed = 0; seed < 600; seed += 7) writeFileSync(join(mount, pathOf(seed)), 'before');
  run('sync', '--file-system', mount);
  const requests = Array.from({ length: 600 }, (_, seed) => ({
    path: pathOf(seed),
    root: 'disk',
    size: sizeOf(seed),
    source: { kind: 'pattern', pattern: 'stamp', seed },
    publish: inPlace(seed) ? 'in-place' : 'atomic',
  }));
  const jobs = await system.queue.addBulk(requests.map((data) => ({ name: 'write', data })));
  await enough;
  run('xfs_io', '-x', '-c', 'shutdown', mount); // EXT4_IOC_SHUTDOWN too, without flushing the log
  const told = new Set(acknowledged);
  await host.end('SIGKILL');
  run('umount', mount);
  run('mount', device, mount);
  for (const [seed, job] of jobs.entries()) {
    if (!told.has(job.id!)) continue;
    const expected = readSource(createPatternSource('stamp', seed), 0, sizeOf(seed));
    expect(Buffer.compare(readFileSync(join(mount, pathOf(seed))), expected)).toBe(0);
  }
  expect(told.size).toBeGreaterThanOrEqual(150);
  expect(told.size).toBeLessThan(600); // else the power was cut too late to prove anything
}

const mayCut = has('xfs_io') && has('findmnt');

(mayCut ? asRoot : test.skip)(
  'on ext4 every small file whose write was told to be completed survives a power cut, though many share a flush',
  () => expectAcknowledgedToSurvive(mountDisk(['mkfs.ext4', '-q'], 134_217_728, 512)),
  120_000,
);

(mayCut ? onXfs : test.skip)(
  'on XFS every small file whose write was told to be completed survives a power cut, though many share a flush',
  () => expectAcknowledgedToSurvive(mountDisk(['mkfs.xfs', '-q'], 335_544_320, 512)),
  120_000,
);

function sharesFlushes(mount: string): boolean {
  const fd = openSync(mount, 'r');
  try {
    return commitsTogether(fileSystemOf(fd, mount), statFd(fd, mount).device);
  } finally {
    closeSync(fd);
  }
}

asRoot('flushes are shared on ext4 with a journal, and never without one', () => {
  expect(sharesFlushes(mountDisk(['mkfs.ext4', '-q'], 67_108_864, 512))).toBe(true);
  for (const step of system.undo.splice(0).toReversed()) step();
  // The same device, very likely: what was known of it must not be believed of another file system.
  expect(sharesFlushes(mountDisk(['mkfs.ext4', '-q', '-O', '^has_journal'], 67_108_864, 512))).toBe(false);
});

asRoot('doctor warns of a disk without a journal, and says how to repair it', () => {
  const powerLoss = (mount: string): string => {
    const { stdout } = spawnSync(
      process.execPath,
      [cliEntry, 'doctor', '--json', '--data', system.home, '--root', `disk=${mount}`],
      { encoding: 'utf8' },
    );
    const said = JSON.stringify(JSON.parse(stdout));
    expect(said).toContain('root disk: writing');
    return /"what":"root disk: power loss".*?"remedy":"(.*?)"/.exec(said)?.[1] ?? '';
  };
  expect(powerLoss(mountDisk(['mkfs.ext4', '-q', '-O', '^has_journal'], 67_108_864, 512))).toMatch(
    /journal.*e2fsck -p.*read-only/,
  );
  expect(powerLoss(mountDisk(['mkfs.ext4', '-q'], 67_108_864, 512))).toBe('');
});

asRoot('doctor shows the space of a disk that is mounted below a root, and that a root is read-only', () => {
  const mount = mountDisk(['mkfs.ext4', '-q'], 67_108_864, 512);
  const below = join(mount, 'below');
  mkdirSync(below);
  run('mount', '-t', 'tmpfs', '-o', 'size=5m', 'tmpfs', below);
  system.undo.push(() => run('umount', below));
  const doctor = (): string =>
    spawnSync(process.execPath, [cliEntry, 'doctor', '--json', '--data', system.home, '--root', `disk=${mount}`], {
      encoding: 'utf8',
    }).stdout;
  expect(doctor()).toMatch(/root disk: space of .*below",\s*"found":\s*"5\.00 MiB free of 5\.00 MiB/);
  run('mount', '-o', 'remount,ro', mount);
  expect(doctor()).toMatch(/its file system is read-only[^]*remount,rw/);
});
