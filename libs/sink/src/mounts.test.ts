import { expect, test } from '@jest/globals';
import { mountOf, parseMounts } from './mounts.ts';

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
