/**
 * How a host is tuned: options before the profiles of its roots before the defaults. Whatever was not asked for by an
 * option leaves no more in flight than the disks have tags, because beyond that io_submit waits.
 *
 * An entry of its own, @penstock/config/tuning: it looks at disks, and most commands need not load what that takes.
 */
import { formatBytes } from '@penstock/contract';
import { type RootConfig, deviceOf } from '@penstock/disk';
import * as defaults from '../settings/defaults.ts';
import { type Profile, readProfile } from './profile.ts';
import type { HostSettings, StoreSettings } from '../settings/settings.ts';

export { type Profile, type Tuning, readProfile, writeProfile } from './profile.ts';

export interface HostTuning {
  threads: number;
  depth: number;
  /** Each with the matrix that it was calibrated to, if that fits the row memory. */
  roots: RootConfig[];
  /** Where the figures come from, for the log. */
  notes: string[];
  /** What the user should correct. */
  warnings: string[];
}

/** Settles what the options left open. */
export function tuneHost(settings: Pick<StoreSettings & HostSettings, TunedBy>): HostTuning {
  const { dataDirectory, jobs, memoryBytes } = settings;
  const profiles = new Map<string, Profile>();
  const notes: string[] = [];
  const warnings: string[] = [];
  const writable = settings.roots.filter((root) => root.writable);
  for (const root of writable) {
    const { profile, fault } = readProfile(dataDirectory, root);
    if (profile !== null) profiles.set(root.name, profile);
    if (fault !== null) warnings.push(`${fault}: the defaults hold until penstock calibrate ${root.name}=${root.path}`);
  }
  // Threads and depth are the host's, and serve all its roots: the default root decides, or else the first.
  const [first] = profiles.values();
  const profile = profiles.get(defaults.ROOT_NAME) ?? first;
  // One large write at a time was measured: copies, patterns that take computing and small files gain from more.
  const threads = settings.threads ?? Math.max(defaults.THREADS, profile?.winner.threads ?? 0);
  // Large writes were measured, one per thread. Small ones have one iocb each: fewer than jobs would make some wait.
  const wanted = settings.depth ?? (profile === undefined ? defaults.DEPTH : Math.max(profile.winner.depth, jobs));
  if (profile !== undefined && (settings.threads === undefined || settings.depth === undefined)) {
    notes.push(`tuned as calibrated on root ${profile.root} at ${profile.measuredAt}`);
  }

  const roots = settings.roots.map((root) => {
    const winner = profiles.get(root.name)?.winner;
    if (winner === undefined) return root;
    const { rows, rowBytes } = winner;
    if (threads * rows * rowBytes <= memoryBytes) return { ...root, matrix: { rows, rowBytes } };
    // Cut down, it is not what was measured, and a row that does not fit at all would fail every write.
    notes.push(
      `root ${root.name} keeps the default matrix: --memory is less than ${threads} times ${rows} rows of ${formatBytes(rowBytes)}`,
    );
    return root;
  });

  const tags = fewestTags(writable);
  let depth = wanted;
  if (threads * wanted > tags) {
    if (settings.depth === undefined) depth = Math.max(1, Math.floor(tags / threads));
    const room = `the ${tags} requests that the device takes at once`;
    if (depth < wanted) notes.push(`depth ${wanted} is lowered to ${depth}: ${threads} threads share ${room}`);
    if (threads * depth > tags)
      warnings.push(`${threads} threads of depth ${depth} exceed ${room}: submitting will wait`);
  }
  return { threads, depth, roots, notes, warnings };
}

type TunedBy = 'dataDirectory' | 'threads' | 'depth' | 'jobs' | 'memoryBytes' | 'roots';

/** The tags of the device that has the fewest; Infinity if none is known. */
function fewestTags(roots: readonly RootConfig[]): number {
  return Math.min(...roots.map((root) => deviceOf(root.path).tags ?? Number.POSITIVE_INFINITY));
}
