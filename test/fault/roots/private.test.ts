// Whom a file lets in survives a power cut as its bytes do. As root only: the disks are loop-mounted.
import { chmodSync, chownSync, closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { has, mayMount, mountLoop, run } from '../../support/loop-disk.fixture.ts';
import { System } from '../../support/system.ts';

const mayCut = mayMount() && has('xfs_io') && has('findmnt');
const ORIGIN = Buffer.from('camera 3');

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

function onDescriptor<T>(path: string, use: (fd: number) => T): T {
  const fd = openSync(path, 'r');
  try {
    return use(fd);
  } finally {
    closeSync(fd);
  }
}

function attributesOf(path: string): string {
  const { mode, uid, gid, size } = statSync(path);
  const value = new Uint8Array(new ArrayBuffer(64));
  const length = onDescriptor(path, (fd) => native.fgetxattr(fd, 'user.origin', value));
  const origin = length < 0 ? 'none' : Buffer.from(value.buffer, 0, length).toString();
  return `${(mode & 0o7777).toString(8)} ${uid}:${gid} ${origin} ${size}`;
}

const kinds = [
  ['ext4', ['mkfs.ext4', '-q'], 134_217_728],
  ['XFS', ['mkfs.xfs', '-q'], 335_544_320],
] as const;

(mayCut ? test : test.skip).each(kinds.filter(([, [make]]) => has(make)))(
  'on %s permissions, owner and attributes survive a power cut as soon as the write is told to be completed',
  async (_name, make, sizeBytes) => {
    const mount = mountLoop(system.home, system.undo, [...make], sizeBytes, 512);
    const device = run('findmnt', '--noheadings', '--output', 'SOURCE', mount).trim();
    const host = await system.host(['--threads', '2', '--root', `disk=${mount}`, '--shm', join(system.home, 'shm')]);
    const sizes = [0, 4096, 70_001, 1_048_577];
    for (const size of sizes) {
      const path = join(mount, `replaced-${size}`);
      writeFileSync(path, 'before');
      chmodSync(path, 0o640);
      chownSync(path, 1234, 5678);
      onDescriptor(path, (fd) => native.fsetxattr(fd, 'user.origin', ORIGIN));
    }
    run('sync', '--file-system', mount);
    const files = sizes.flatMap((size) => [
      { path: `replaced-${size}`, size },
      { path: `new-${size}`, size, fileMode: '600' },
    ]);
    const { returnvalue } = await system.finished(await system.add({ root: 'disk', files }));
    run('xfs_io', '-x', '-c', 'shutdown', mount); // of ext4 too, without flushing the log
    await host.end('SIGKILL');
    run('umount', mount);
    run('mount', device, mount);
    expect(returnvalue).toMatchObject({ files: 8, failed: 0 });
    for (const size of sizes) {
      expect(attributesOf(join(mount, `replaced-${size}`))).toBe(`640 1234:5678 camera 3 ${size}`);
      expect(attributesOf(join(mount, `new-${size}`))).toBe(`600 0:0 none ${size}`);
      expect(readFileSync(join(mount, `replaced-${size}`)).equals(Buffer.alloc(size))).toBe(true);
    }
  },
);
