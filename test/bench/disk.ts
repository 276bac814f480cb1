/** Other kinds of machine that one machine can be: fewer cores, and other file systems on a loop device. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { type Undo, mayMount, run } from '../support/loop-disk.fixture.ts';
import { homesDirectory, keepHomes, makeHomesIn, scratch } from '../support/system.ts';

const GIB = 1024 ** 3;
/** All that the cases write, but for the one that needs more and says so. */
const SIZE_BYTES = 16 * GIB;
const SMOKE_BYTES = GIB;
const PIECE_BYTES = 4 * 1024 ** 2;

/** How each is made. ext4 has a journal, other than where this repository's own disk has none. */
const MAKERS: Readonly<Record<string, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};
export const DISKS: readonly string[] = Object.keys(MAKERS);

/** From now on this process, and all that it starts, has so many cores. @throws if taskset is not installed */
export function takeCores(count: number): void {
  execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', `0-${count - 1}`, String(process.pid)], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

/** Mounts a fresh file system for the files of the bench; returns what removes it. @throws if that cannot be done */
export function takeDisk(kind: string, { smoke }: { smoke: boolean }): () => void {
  if (!mayMount()) throw new Error(`--disk ${kind} needs root, losetup and a loop device`);
  mkdirSync(scratch, { recursive: true });
  const home = mkdtempSync(join(scratch, 'disk-'));
  const undo: Undo = [() => rmSync(home, { recursive: true, force: true })];
  const remove = (): void => {
    for (const step of undo.splice(0).toReversed()) step();
  };
  try {
    const image = join(home, 'disk.img');
    // Written once, so that no row pays for blocks that the image gets only then.
    const count = (smoke ? SMOKE_BYTES : SIZE_BYTES) / PIECE_BYTES;
    run('dd', 'if=/dev/zero', `of=${image}`, `bs=${PIECE_BYTES}`, `count=${count}`, 'oflag=direct', 'status=none');
    const device = run('losetup', '--find', '--show', '--direct-io=on', image).trim();
    undo.push(() => run('losetup', '--detach', device));
    const [maker = '', ...options] = MAKERS[kind]!;
    run(maker, ...options, device);
    const mount = join(home, 'mnt');
    mkdirSync(mount);
    run('mount', device, mount);
    undo.push(() => run('umount', mount));
    makeHomesIn(mount);
    return remove;
  } catch (error) {
    remove();
    throw error;
  }
}

/**
 * On ext4 each home is made in another group of blocks from now on. Without a journal it searches a group for an inode past
 * all that were deleted in the last minutes, 500 us a file in the worst case: what one case has deleted, the next would pay
 * for (recently_deleted() in the kernel's fs/ext4/ialloc.c; chattr(1) describes the attribute T). Elsewhere of no effect.
 */
export function keepHomesApart(): void {
  spawnSync('chattr', ['+T', homesDirectory()], { stdio: 'ignore' });
}

/** A file of at least this size is emptied when its case is over: it takes up much, and is one inode alone. */
const LARGE_BYTES = 1024 ** 2;

/** For the same reason no file is deleted before the function is called that this returns. */
export function keepFiles(): () => void {
  return keepHomes((home) => {
    for (const entry of readdirSync(home, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile() && statSync(path).size >= LARGE_BYTES) truncateSync(path);
    }
  });
}
