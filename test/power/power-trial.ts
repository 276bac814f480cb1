/**
 * Writes on a disk that remembers (recorded-disk.ts), then cuts its power at many moments, and compares every file whose
 * write had been acknowledged by then with what it must be: whole.
 *
 * Paths are few and written again and again, so that blocks change their owners often: what a file system forgets to
 * flush of a file that was replaced, removed or cut shows in the files that got its blocks.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createPatternSource, readSource } from '@penstock/sources';
import { openWriter, type Writer } from 'penstock';
import { run } from '../support/loop-disk.fixture.ts';
import { Seeded } from '../soak/seeded.ts';
import { type Tear, Recording } from './power-cut.ts';
import { RecordedDisk } from './recorded-disk.ts';

/** A file system to be tried. */
export interface DiskKind {
  name: string;
  make: readonly string[];
  sizeBytes: number;
  /**
   * What the disk writes as a whole or not at all. Not all file systems are made for less than their block: without a
   * journal a directory's block that is torn loses names, and btrfs keeps its superblock in one.
   */
  atomBytes: 512 | 4096;
  mountOptions?: string;
  /** Whether e2fsck repairs it before it is mounted again, as at the start of a machine. */
  isRepaired?: boolean;
}

const MIB = 1_048_576;

export const DISKS: Record<'ext4' | 'unjournaled' | 'ext2' | 'xfs' | 'btrfs', DiskKind> = {
  ext4: { name: 'ext4', make: ['mkfs.ext4', '-q'], sizeBytes: 128 * MIB, atomBytes: 512 },
  unjournaled: {
    name: 'ext4 without a journal',
    make: ['mkfs.ext4', '-q', '-O', '^has_journal'],
    sizeBytes: 128 * MIB,
    atomBytes: 4096,
    isRepaired: true,
  },
  ext2: {
    name: 'ext2',
    make: ['mkfs.ext4', '-q', '-t', 'ext2'],
    sizeBytes: 128 * MIB,
    atomBytes: 4096,
    isRepaired: true,
  },
  xfs: { name: 'XFS', make: ['mkfs.xfs', '-q'], sizeBytes: 320 * MIB, atomBytes: 512 },
  btrfs: { name: 'btrfs', make: ['mkfs.btrfs', '-q'], sizeBytes: 256 * MIB, atomBytes: 4096 },
};

export interface TrialSettings {
  seed: number;
  writes: number;
  cuts: number;
}

export interface TrialFigures {
  disk: string;
  seed: number;
  /** What the disk carried out, flushes among them. */
  records: number;
  acknowledged: number;
  cuts: number;
  /** Files compared, at all cuts together. */
  compared: number;
  /**
   * Cuts after which e2fsck found blocks that two files owned, of which it gives each its own copy. ext2 may have some: a
   * file that was being written may be on the disk with the old content of a block that tells which blocks are its own.
   */
  shared: number;
  /** What was acknowledged and is not whole, a line each. */
  lost: string[];
}

/** One write of a path. */
interface Version {
  seed: number;
  size: number;
  inPlace: boolean;
  /** Positions of the disk. */
  begunAt: number;
  /** Infinity for one that was cancelled, or that did not end. */
  acknowledgedAt: number;
}

/** By path, in the order in which they were begun: one is begun when the one before is over. */
type Histories = Map<string, Version[]>;

const CLIENTS = 12;
const PATHS_PER_CLIENT = 5;

const bytesOf = ({ seed, size }: Version): Uint8Array => readSource(createPatternSource('stamp', seed), 0, size);

function sizeOf(random: Seeded): number {
  const which = random.next();
  if (which < 0.7) return random.between(0, 16_384);
  return which < 0.95 ? random.between(16_384, 300_000) : random.between(600_000, 1_200_000);
}

/** Writes until `settings.writes` are begun; what became of each. */
async function writeAll(disk: RecordedDisk, writer: Writer, { seed, writes }: TrialSettings): Promise<Histories> {
  const histories: Histories = new Map();
  let begun = 0;
  const client = async (index: number): Promise<void> => {
    const random = new Seeded(seed * 1000 + index);
    while (begun < writes) {
      begun += 1;
      const path = `${index % 3}/${index}-${random.between(0, PATHS_PER_CLIENT)}`;
      const version: Version = {
        seed: begun,
        size: sizeOf(random),
        inPlace: random.next() < 0.15,
        begunAt: disk.position,
        acknowledgedAt: Number.POSITIVE_INFINITY,
      };
      histories.set(path, [...(histories.get(path) ?? []), version]);
      const stop = new AbortController();
      const ended = writer.writeFile(
        join(disk.mount, path),
        { kind: 'pattern', pattern: 'stamp', seed: version.seed },
        { size: version.size, publish: version.inPlace ? 'in-place' : 'atomic', signal: stop.signal },
      );
      if (random.next() < 0.1) await setImmediate().then(() => stop.abort());
      const isDone = await ended.then(
        () => true,
        (error: Error) => {
          if (error.name !== 'AbortError') throw error;
          return false;
        },
      );
      if (isDone) version.acknowledgedAt = disk.position;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, index) => client(index)));
  return histories;
}

/** What of the histories is not whole below `mount`, after a cut at `position`; and how many files were compared. */
function compare(mount: string, histories: Histories, position: number): { compared: number; lost: string[] } {
  let compared = 0;
  const lost: string[] = [];
  for (const [path, versions] of histories) {
    const last = versions.findLastIndex(({ acknowledgedAt }) => acknowledgedAt <= position);
    if (last === -1) continue;
    const later = versions.slice(last + 1).filter(({ begunAt }) => begunAt <= position);
    // Whoever writes in place promises nothing of what stood there.
    if (later.some(({ inPlace }) => inPlace)) continue;
    compared += 1;
    const why = whyNotWhole(join(mount, path), [versions[last]!, ...later]);
    if (why !== null) lost.push(`${path}, acknowledged at ${versions[last]!.acknowledgedAt}: ${why}`);
  }
  return { compared, lost };
}

function whyNotWhole(path: string, candidates: readonly Version[]): string | null {
  let found: Buffer;
  try {
    found = readFileSync(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
  if (candidates.some((version) => found.equals(bytesOf(version)))) return null;
  return `${found.length} bytes that nobody wrote there; ${candidates[0]!.size} were`;
}

/** Mounts `image` as a machine does that starts again, and has `look` look at it. */
function mountAgain<T>(
  image: string,
  home: string,
  kind: DiskKind,
  look: (mount: string) => T,
): T & { shares: boolean } {
  let shares = false;
  if (kind.isRepaired === true) {
    const { status, stdout } = spawnSync('e2fsck', ['-fy', image], { encoding: 'utf8' });
    // 1: it has corrected errors.
    shares = stdout.includes('Multiply-claimed block(s)');
    if (status !== 0 && status !== 1) throw new Error(`e2fsck ended with ${status}: ${stdout}`);
  }
  const device = run('losetup', '--find', '--show', image).trim();
  try {
    const mount = mkdtempSync(join(home, 'again-'));
    run('mount', device, mount);
    try {
      return { ...look(mount), shares };
    } finally {
      run('umount', mount);
    }
  } finally {
    run('losetup', '--detach', device);
  }
}

/** Where to cut: half of them right at an acknowledgement, where nothing that came later can help. */
function cutsOf(histories: Histories, records: number, { cuts }: TrialSettings, random: Seeded): [number, Tear][] {
  const acknowledged = [...histories.values()].flat().map(({ acknowledgedAt }) => acknowledgedAt);
  const moments = random.shuffled(acknowledged.filter((position) => position <= records)).slice(0, Math.ceil(cuts / 2));
  const first = Math.min(...moments);
  while (moments.length < cuts) moments.push(random.between(first, records + 1));
  return moments.toSorted((a, b) => a - b).map((position) => [position, random.pick(['lost', 'some', 'torn'])]);
}

/** Writes, cuts, compares. What it needs is kept in `home`, a directory on a disk. */
export async function tryPowerCuts(home: string, kind: DiskKind, settings: TrialSettings): Promise<TrialFigures> {
  const own = mkdtempSync(join(home, 'power-'));
  const random = new Seeded(settings.seed);
  const disk = await RecordedDisk.open(own, kind.make, kind.sizeBytes, kind.mountOptions ?? 'defaults');
  let histories: Histories;
  let records = 0;
  try {
    for (const directory of ['0', '1', '2']) mkdirSync(join(disk.mount, directory));
    run('sync', '--file-system', disk.mount);
    const writer = await openWriter({ threads: 2, memoryBytes: 33_554_432 });
    try {
      histories = await writeAll(disk, writer, settings);
    } finally {
      await writer.close();
    }
    records = disk.position;
  } finally {
    await disk.close();
  }
  const recording = new Recording(disk.recordingPath, join(own, 'durable'), kind.sizeBytes);
  const figures: TrialFigures = {
    disk: kind.name,
    seed: settings.seed,
    records,
    acknowledged: [...histories.values()].flat().filter((version) => version.acknowledgedAt <= records).length,
    cuts: settings.cuts,
    compared: 0,
    shared: 0,
    lost: [],
  };
  for (const [position, tear] of cutsOf(histories, records, settings, random)) {
    const image = join(own, 'image');
    recording.cut(image, position, tear, kind.atomBytes, () => random.next());
    const { compared, lost, shares } = mountAgain(image, own, kind, (mount) => compare(mount, histories, position));
    figures.compared += compared;
    if (shares) figures.shared += 1;
    figures.lost.push(...lost.map((line) => `cut at ${position} (${tear}): ${line}`));
    rmSync(image);
  }
  recording.close();
  rmSync(own, { recursive: true });
  return figures;
}
