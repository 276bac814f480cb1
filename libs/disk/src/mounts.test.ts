import { expect, test } from '@jest/globals';
import { hasMountsBelow, lineage, mountOf, parseMounts } from './mounts.ts';

const mountinfo = [
  '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw',
  '30 22 0:25 / /srv rw - xfs /dev/vdb rw',
  String.raw`31 30 0:26 / /srv/my\040disk rw - tmpfs tmpfs rw,size=1024k`,
].join('\n');

test('a path lies on the longest mount that covers it, names with spaces included', () => {
  const mounts = parseMounts(mountinfo);
  expect(mountOf(mounts, '/home/me')?.fileSystem).toBe('ext4');
  expect(mountOf(mounts, '/srv')?.fileSystem).toBe('xfs');
  expect(mountOf(mounts, '/srvx')?.fileSystem).toBe('ext4');
  expect(mountOf(mounts, '/srv/my disk/a')?.fileSystem).toBe('tmpfs');
});

test('what a later mount covers is not on the way to a path, and a mount over a mount is', () => {
  const mounts = parseMounts(
    [
      mountinfo,
      '40 22 7:0 / /mnt/disk rw - ext4 /dev/loop0 rw',
      '41 22 7:1 / /mnt rw - ext4 /dev/loop1 rw',
      '42 30 7:2 / /srv rw - ext4 /dev/loop2 rw',
    ].join('\n'),
  );
  expect(lineage(mounts, '/mnt/disk/a').map(({ id }) => id)).toEqual([22, 41]);
  expect(lineage(mounts, '/srv/my disk/a').map(({ id }) => id)).toEqual([22, 30, 42]);
  expect(lineage(mounts, '/srv').at(-1)).toMatchObject({ device: '7:2', source: '/dev/loop2' });
});

test('a directory with a mount in it is told from one that is a mount', () => {
  const mounts = parseMounts(mountinfo);
  expect(hasMountsBelow(mounts, '/srv')).toBe(true);
  expect(hasMountsBelow(mounts, '/srv/my disk')).toBe(false);
  expect(hasMountsBelow(mounts, '/')).toBe(true);
});
