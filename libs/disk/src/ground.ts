/**
 * What a file system stands on: which kind of file system takes the writes in the end (for an overlay, the one of its upper
 * directory), and whether what is written there survives power loss.
 */
import { readlinkSync, statfsSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { basename } from 'node:path';
import { native } from '@penstock/native';
import { OVERLAYFS_MAGIC, isInMemory } from './file-system-types.ts';
import { readMounts } from './mounts.ts';
import type { Device, FileSystem } from './stat.ts';

/** How many overlays on overlays are followed; the kernel allows two. */
const DEPTH_MAX = 4;
/** How long an overlay's ground is remembered: mountinfo is too slow to be read for every file. */
const KNOWN_MS = 10_000;
const KNOWN_MAX = 100;

/** What takes the writes. */
export interface Ground {
  /** The magic number of the file system that takes the writes. */
  type: number;
  /** True if files are kept in memory alone, and so in the page cache. */
  inMemory: boolean;
  /** Why nothing that is written here survives power loss, whatever is flushed; null if no such reason is known. */
  forgets: string | null;
  /** True for an overlay whose upper directory cannot be seen from here, as in a container: what is below is not known. */
  isHidden: boolean;
}

/** What mountinfo reports about an overlay. */
interface Overlay {
  upper: string | null;
  isVolatile: boolean;
}

const known = new Map<number, { ground: Ground; untilMs: number }>();
const ramDisks = new Map<string, boolean>();

/** The ground of the file system of the directory `dirFd`. */
export function groundOf(dirFd: number, { type }: Pick<FileSystem, 'type'>, device: Device): Ground {
  if (type !== OVERLAYFS_MAGIC) return plain(type, device);
  // Remembered by the mount's unique number alone: the ids of mountinfo are used again for other mounts.
  const unique = native.uniqueMountIdOf(dirFd);
  const remembered = unique < 0 ? undefined : known.get(unique);
  const nowMs = performance.now();
  if (remembered !== undefined && remembered.untilMs > nowMs) return remembered.ground;
  const mount = native.mountIdOf(dirFd);
  const ground = below(mount < 0 ? null : overlayOf(mount), 1);
  if (known.size >= KNOWN_MAX) known.clear();
  if (unique >= 0) known.set(unique, { ground, untilMs: nowMs + KNOWN_MS });
  return ground;
}

function plain(type: number, device: Device | null): Ground {
  const inMemory = isInMemory(type);
  if (inMemory) return { type, inMemory, isHidden: false, forgets: 'this file system keeps its files in memory' };
  const forgets = device !== null && isRamDisk(device) ? 'this file system lies on a disk in memory' : null;
  return { type, inMemory, isHidden: false, forgets };
}

/** A disk of the kernel's own memory: brd or zram. */
function isRamDisk({ major, minor }: Device): boolean {
  const number = `${major}:${minor}`;
  let found = ramDisks.get(number);
  if (found !== undefined) return found;
  try {
    found = /^z?ram\d+$/.test(basename(readlinkSync(`/sys/dev/block/${number}`)));
  } catch {
    found = false; // no block device, or no sysfs
  }
  ramDisks.set(number, found);
  return found;
}

function below(overlay: Overlay | null, depth: number): Ground {
  const hidden = { type: OVERLAYFS_MAGIC, inMemory: false, forgets: null, isHidden: true };
  if (overlay === null) return hidden;
  // Its fsync does nothing, whatever it lies on.
  const forgets = overlay.isVolatile ? 'this overlay is mounted with the option volatile and flushes nothing' : null;
  const type = overlay.upper === null || depth > DEPTH_MAX ? null : typeOf(overlay.upper);
  if (type === null) return forgets === null ? hidden : { ...hidden, forgets };
  const ground = type === OVERLAYFS_MAGIC ? below(overlayAt(overlay.upper!), depth + 1) : plain(type, null);
  if (forgets !== null) return { ...ground, forgets };
  if (ground.forgets === null) return ground;
  return { ...ground, forgets: `what takes this overlay's writes keeps none: ${ground.forgets}` };
}

function typeOf(directory: string): number | null {
  try {
    return statfsSync(directory).type;
  } catch {
    return null; // in a container it is a path of the host outside
  }
}

/** The overlay whose mount id is `mount`; null if mountinfo does not list it. */
function overlayOf(mount: number): Overlay | null {
  const options = readMounts().find(({ id }) => id === mount)?.options;
  if (options === undefined) return null;
  const upper = options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length);
  const isVolatile = options.includes('volatile') || options.includes('fsync=volatile');
  return { upper: upper?.startsWith('/') === true ? upper : null, isVolatile };
}

function overlayAt(directory: string): Overlay | null {
  const fd = native.openat(native.AT_FDCWD, directory, native.O_PATH, 0);
  if (fd < 0) return null;
  const mount = native.mountIdOf(fd);
  native.close(fd);
  return mount < 0 ? null : overlayOf(mount);
}
