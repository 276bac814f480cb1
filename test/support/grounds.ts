/** For tests: the file systems that are tried, each made anew, and what results say of writes there. */
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WriteResult } from '@penstock/contract';
import { lacksOfMergerfs, mountMergerfs } from './fuse-mount.fixture.ts';
import { type Undo, has, mayMount, mountLoop, run } from './loop-disk.fixture.ts';

/** What a result says of the way its bytes went. */
export interface Said {
  mode: WriteResult['mode'];
  reason: string;
  /** What survives a power loss. */
  durable: 'yes' | 'no';
}

export interface GroundCase {
  name: string;
  /** The program that makes it, besides mount and losetup. */
  needs: string;
  /** The first kernel that says so; any unless given. */
  since?: [number, number];
  mount: (home: string, undo: Undo) => string;
  /** Everything that a result there may say: all of it comes up in the whole matrix, and the first in any fresh file. */
  said: readonly Said[];
}

const DISK_BYTES = 402_653_184;
const loop =
  (make: string[], sectorBytes = 512): GroundCase['mount'] =>
  (home, undo) =>
    mountLoop(home, undo, make, DISK_BYTES, sectorBytes);

function mountTmpfs(home: string, undo: Undo): string {
  const mount = mkdtempSync(join(home, 'tmpfs-'));
  run('mount', '-t', 'tmpfs', '-o', `size=${DISK_BYTES}`, 'tmpfs', mount);
  undo.push(() => run('umount', mount));
  return mount;
}

const overlay =
  (below: GroundCase['mount'], option = ''): GroundCase['mount'] =>
  (home, undo) => {
    const disk = below(home, undo);
    const [lower, upper, work, merged] = ['lower', 'upper', 'work', 'merged'].map((name) => join(disk, name));
    for (const directory of [lower!, upper!, work!, merged!]) mkdirSync(directory);
    run('mount', '-t', 'overlay', '-o', `lowerdir=${lower},upperdir=${upper},workdir=${work}${option}`, 'o', merged!);
    undo.push(() => run('umount', merged!));
    return merged!;
  };

const DIRECT: Said = { mode: 'aio-direct', reason: '', durable: 'yes' };
const buffered = (reason: string): Said => ({ mode: 'aio-buffered', reason, durable: 'yes' });
const MEMORY = 'this file system keeps its files in memory';
const lost = (mode: Said['mode'], why: string): Said => ({
  mode,
  reason: `${why}: nothing on it survives power loss`,
  durable: 'no',
});

const BTRFS =
  'btrfs puts what it keeps checksums of through the page cache, inside io_submit (chattr +C on the directory: no checksums, and direct)';
const NO_EXTENTS =
  'this file has no extents (a file system made as ext2 or ext3, or chattr -e): what is not allocated yet goes through the page cache, inside io_submit';
const REFUSED =
  'this file system opens files for direct I/O (O_DIRECT) and refuses to write them so: they go through the page cache';

export const GROUNDS: readonly GroundCase[] = [
  { name: 'ext4', needs: 'mkfs.ext4', mount: loop(['mkfs.ext4', '-q']), said: [DIRECT] },
  {
    name: 'ext4, sectors of 4096 bytes',
    needs: 'mkfs.ext4',
    mount: loop(['mkfs.ext4', '-q'], 4096),
    said: [DIRECT],
  },
  {
    name: 'ext4 made as ext3',
    needs: 'mkfs.ext3',
    mount: loop(['mkfs.ext3', '-q']),
    said: [buffered(NO_EXTENTS), DIRECT],
  },
  { name: 'XFS', needs: 'mkfs.xfs', mount: loop(['mkfs.xfs', '-q']), said: [DIRECT] },
  {
    name: 'btrfs',
    needs: 'mkfs.btrfs',
    since: [6, 14],
    mount: loop(['mkfs.btrfs', '-q'], 4096),
    said: [buffered(BTRFS)],
  },
  {
    name: 'btrfs, a directory with chattr +C',
    needs: 'mkfs.btrfs',
    mount: (home, undo) => {
      const directory = join(loop(['mkfs.btrfs', '-q'], 4096)(home, undo), 'no-sums');
      mkdirSync(directory);
      run('chattr', '+C', directory);
      return directory;
    },
    said: [DIRECT],
  },
  { name: 'tmpfs', needs: 'mount', mount: mountTmpfs, said: [lost('aio-buffered', MEMORY)] },
  { name: 'overlay on ext4', needs: 'mkfs.ext4', mount: overlay(loop(['mkfs.ext4', '-q'])), said: [DIRECT] },
  {
    name: 'overlay on tmpfs',
    needs: 'mount',
    mount: overlay(mountTmpfs),
    said: [lost('aio-buffered', `what takes this overlay's writes keeps none: ${MEMORY}`)],
  },
  {
    name: 'overlay on ext4, mounted volatile',
    needs: 'mkfs.ext4',
    mount: overlay(loop(['mkfs.ext4', '-q']), ',volatile'),
    said: [lost('aio-direct', 'this overlay is mounted with the option volatile and flushes nothing')],
  },
  { name: 'mergerfs on ext4 (FUSE)', needs: 'mergerfs', mount: mountMergerfs, said: [buffered(REFUSED)] },
];

/** Why the case cannot be tried here; null where it can. */
export function lacksOf({ needs, since }: GroundCase, kernel: string): string | null {
  if (needs === 'mergerfs') return lacksOfMergerfs();
  if (!mayMount()) return 'only root mounts here';
  if (!has(needs)) return `no ${needs}`;
  const [major = 0, minor = 0] = kernel.split('.').map(Number);
  const [wantedMajor, wantedMinor] = since ?? [0, 0];
  const isOld = major < wantedMajor || (major === wantedMajor && minor < wantedMinor);
  return isOld ? `Linux ${wantedMajor}.${wantedMinor} and newer say so` : null;
}

/** What `result` says. */
export const saidBy = ({ mode, fallbackReason = '', durable }: Partial<WriteResult>): Said => ({
  mode: mode!,
  reason: fallbackReason,
  durable: durable === false ? 'no' : 'yes',
});

/** The rows of the table in docs/filesystems.md of what results say. */
export const documentedRows = (): string[][] =>
  readFileSync(new URL('../../docs/filesystems.md', import.meta.url), 'utf8')
    .split('## What results say')[1]!
    .split('\n## ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .slice(2)
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );

/** The rows that should stand there. */
export const rowsOfGrounds = (): string[][] =>
  GROUNDS.flatMap(({ name, said }) => said.map(({ mode, reason, durable }) => [name, `\`${mode}\``, durable, reason]));
