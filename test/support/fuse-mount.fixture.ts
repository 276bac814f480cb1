/** For tests: a file system in user space that is nobody's of ours. As root, where mergerfs is installed. */
import { existsSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { type Undo, has, run } from './loop-disk.fixture.ts';

/** What is missing to mount mergerfs here; null where nothing is. */
export function lacksOfMergerfs(): string | null {
  if (process.getuid?.() !== 0) return 'only root mounts here';
  if (!existsSync('/dev/fuse')) return 'no /dev/fuse';
  return has('mergerfs') ? null : 'no mergerfs';
}

/** mergerfs over one fresh directory below `home`; returns where it is mounted. */
export function mountMergerfs(home: string, undo: Undo): string {
  const branch = mkdtempSync(join(home, 'branch-'));
  const mount = mkdtempSync(join(home, 'merged-'));
  run('mergerfs', '-o', 'allow_other,fsname=penstock-test', branch, mount);
  undo.push(() => run('umount', '--lazy', mount));
  return mount;
}
