import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseJob } from '@penstock/contract/judging';
import { type Mount, RootMounts } from '@penstock/disk';
import { Admission } from './admission.ts';

let home: string;
let elsewhere: string;
/** Bytes free by the directory that is asked. */
let free: Record<string, number>;
let gate: Admission;
beforeEach(async () => {
  home = realpathSync(mkdtempSync(join(tmpdir(), 'penstock-places-')));
  elsewhere = realpathSync(mkdtempSync(join(tmpdir(), 'penstock-places-')));
  for (const name of ['root/big', 'root/small', 'other']) mkdirSync(join(home, name), { recursive: true });
  free = {
    [join(home, 'root')]: 10_000_000,
    [join(home, 'root/big')]: 100_000_000,
    [join(home, 'root/small')]: 1_000_000,
  };
  const mount = (id: number, parentId: number, directory: string, device: string) =>
    ({ id, parentId, device, directory, fileSystem: 'ext4', source: '/dev/x', options: [] }) satisfies Mount;
  const mounted = [
    mount(1, 0, '/', '254:0'),
    mount(2, 1, join(home, 'root/big'), '7:1'),
    mount(3, 1, join(home, 'root/small'), '7:2'),
    mount(4, 1, join(home, 'other'), '7:1'), // the same disk as "big"
  ];
  const roots = ['root', 'other'].map((name) => ({ name, path: join(home, name), writable: true }));
  const mounts = new RootMounts({ roots, expect: () => {}, read: () => mounted });
  for (const { name } of roots) await mounts.recheck(name);
  gate = new Admission((path) => Promise.resolve({ availableBytes: free[path] ?? 0, totalBytes: 200_000_000 }), mounts);
  gate.add(roots[0]!, 1);
  gate.add(roots[1]!, 2);
  free[join(home, 'other')] = 100_000_000;
});
afterEach(() => {
  for (const directory of [home, elsewhere]) rmSync(directory, { recursive: true, force: true });
});

const write = (path: string, size: number, root = 'root') => ({
  request: parseJob({ path, root, size }),
  jobName: 'job@1',
  starts: 1,
});

test('a write below a mount in its root is judged by the space there, more and less than the root has', async () => {
  (await gate.admit(write('big/new/deep/a', 50_000_000))).release();
  await expect(gate.admit(write('small/a', 2_000_000))).rejects.toMatchObject({
    code: 'ENOSPC',
    message: expect.stringMatching(/976\.56 KiB free on .*root\/small in root: free some/),
  });
  await expect(gate.admit(write('a', 50_000_000))).rejects.toMatchObject({
    message: expect.stringMatching(/9\.54 MiB free on root: free some/),
  });
  (await gate.admit(write('a', 5_000_000))).release();
});

test('what is promised there is promised once, whichever root leads there', async () => {
  await gate.admit(write('big/a', 60_000_000));
  await expect(gate.admit(write('b', 60_000_000, 'other'))).rejects.toMatchObject({ code: 'ENOSPC' });
  await expect(gate.admit(write('big/c', 60_000_000))).rejects.toMatchObject({ code: 'ENOSPC' });
  await gate.admit(write('a', 9_000_000)); // the root's own space is untouched
});

test('links are followed inside the root alone', async () => {
  symlinkSync('small', join(home, 'root/inside'));
  symlinkSync(elsewhere, join(home, 'root/outside'));
  await expect(gate.admit(write('inside/a', 2_000_000))).rejects.toMatchObject({ code: 'ENOSPC' });
  (await gate.admit(write('outside/a', 2_000_000))).release(); // by the root: the thread that opens it refuses it
});

test('directories that were looked up are let through at once', async () => {
  expect(gate.tryAdmit(write('big/a', 1000).request)).toBeNull();
  (await gate.admit(write('big/a', 1000))).release();
  expect(gate.tryAdmit(write('big/b', 1000).request)).not.toBeNull();
  expect(gate.tryAdmit(write('small/b', 1000).request)).toBeNull();
});

test('a root that is on another disk from now on takes its space there, and the others stay where they are', async () => {
  const roots = ['one', 'two'].map((name) => ({ name, path: join(home, name), writable: true }));
  const places = new Admission((path) => Promise.resolve({ availableBytes: free[path] ?? 0, totalBytes: 200_000_000 }));
  for (const root of roots) places.add(root, 1);
  free[join(home, 'one')] = 1_000_000;
  free[join(home, 'two')] = 50_000_000;
  await expect(places.admit(write('a', 20_000_000, 'two'))).rejects.toMatchObject({ code: 'ENOSPC' });
  places.add(roots[0]!, 2);
  await places.admit(write('a', 30_000_000, 'two'));
  await expect(places.admit(write('b', 30_000_000, 'two'))).rejects.toMatchObject({ code: 'ENOSPC' });
  (await places.admit(write('a', 900_000, 'one'))).release();
});
