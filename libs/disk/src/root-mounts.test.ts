import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Mount, parseMounts } from './mounts.ts';
import { RootMounts } from './root-mounts.ts';
import { NO_MOUNT, RootWords } from './root-words.ts';

let home: string;
let mounted: string[];
let moved: string[];
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'penstock-mounts-'));
  mounted = ['22 1 254:0 / / rw - ext4 /dev/root rw'];
  moved = [];
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const disk = (id: number, parent: number, minor: number, directory: string): string =>
  `${id} ${parent} 7:${minor} / ${directory} rw - ext4 /dev/loop${minor} rw`;
const read = (): Mount[] => parseMounts(mounted.join('\n'));
const words = new RootWords(1, 1);
const watch = async (path: string): Promise<RootMounts> => {
  const mounts = new RootMounts({
    roots: [{ name: 'data', path, writable: true }],
    expect: (root, mount) => words.expect(root, mount),
    onMoved: (_root, { source }) => moved.push(source),
    read,
  });
  await mounts.recheck('data');
  return mounts;
};

test('a disk mounted over a root is what the root is from then on, and when it goes nothing takes its place', async () => {
  const mounts = await watch(home);
  expect(words.mount(0)).toBe(22);
  mounted.push(disk(50, 22, 1, home));
  await mounts.recheck('data');
  expect(words.mount(0)).toBe(50);
  expect(moved).toEqual(['/dev/loop1']);
  mounted.pop();
  await mounts.recheck('data');
  expect(words.mount(0)).toBe(NO_MOUNT);
  expect(mounts.goneFrom('data')).toMatchObject({ source: '/dev/loop1' });
  mounted.push(disk(50, 22, 2, home)); // ids are used again
  await mounts.recheck('data');
  expect(words.mount(0)).toBe(50);
  expect(mounts.goneFrom('data')).toBeNull();
  expect(moved).toEqual(['/dev/loop1', '/dev/loop2']);
});

test('a root on a disk that is mounted over has moved there, and is gone where both disks are', async () => {
  mounted.push(disk(50, 22, 1, tmpdir()));
  const mounts = await watch(home);
  mounted.push(disk(51, 50, 2, home));
  await mounts.recheck('data');
  expect(words.mount(0)).toBe(51);
  expect(mounts.goneFrom('data')).toBeNull();
  mounted.splice(1, 2); // both
  await mounts.recheck('data');
  expect(words.mount(0)).toBe(NO_MOUNT);
  expect(mounts.goneFrom('data')).toMatchObject({ source: '/dev/loop2' });
});

test('what is mounted below a root divides it', async () => {
  const mounts = await watch(home);
  expect(mounts.isDivided('data')).toBe(false);
  mounted.push(disk(50, 22, 1, join(home, 'big')));
  const divided = await watch(home);
  expect(divided.isDivided('data')).toBe(true);
  expect(divided.mountBelow('data', join(home, 'big/a'))).toMatchObject({ device: '7:1' });
  expect(divided.mountBelow('data', join(home, 'small'))).toMatchObject({ device: '254:0' });
  expect(divided.mountBelow('data', '/elsewhere')).toMatchObject({ device: '254:0' });
});
