/** For tests: file systems of any kind on loop devices. As root only, and not in every container. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
export const has = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;

/** Whether this process may attach loop devices and mount them: root in a container often may not. */
export function mayMount(): boolean {
  if (process.getuid?.() !== 0 || !has('losetup') || !has('mkfs.ext4')) return false;
  return spawnSync('losetup', ['--find']).status === 0;
}

/** What is to be undone when a test is over, the last first. */
export type Undo = (() => void)[];

/** A fresh file system of `sizeBytes` on a loop device, its image in `home`; returns where it is mounted. */
export function mountLoop(home: string, undo: Undo, make: string[], sizeBytes: number, sectorBytes: number): string {
  const image = join(mkdtempSync(join(home, 'disk-')), 'disk.img');
  writeFileSync(image, '');
  truncateSync(image, sizeBytes);
  const device = run('losetup', '--find', '--show', '--sector-size', String(sectorBytes), image).trim();
  undo.push(() => run('losetup', '--detach', device));
  run(make[0]!, ...make.slice(1), device);
  const mount = mkdtempSync(join(home, 'mnt-'));
  run('mount', device, mount);
  undo.push(() => run('umount', mount));
  return mount;
}
