/** The device that a directory lies on: which one it is, and how many requests it takes at once. */
import { existsSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { dirname } from 'node:path';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { mountOf, readMounts } from './mounts.ts';
import { statAt } from './stat.ts';

/** The device that a root lies on. */
export interface RootDevice {
  /** major:minor, as below /sys/dev/block; major 0 is no block device: a network, virtual or multi-disk file system. */
  number: string;
  fileSystem: string;
  /** How many requests its queue holds: a submit beyond that waits. null if the kernel does not report it. */
  tags: number | null;
}

/** The device of `path`; if there is no such directory yet, of the one above it that it will be made in. @throws IoError */
export function deviceOf(path: string): RootDevice {
  const real = nearestExisting(path);
  const stat = statAt(native.AT_FDCWD, real);
  if (typeof stat === 'number') throw new IoError({ syscall: 'statx', errno: stat, path: real });
  const number = `${stat.device.major}:${stat.device.minor}`;
  const mount = mountOf(readMounts(), real);
  return { number, fileSystem: mount?.fileSystem ?? 'unknown', tags: tagsOf(`/sys/dev/block/${number}`) };
}

/** The real path of `path`, or of the nearest directory above it that exists. */
export function nearestExisting(path: string): string {
  let directory = path;
  while (!existsSync(directory)) directory = dirname(directory);
  return realpathSync(directory);
}

/** The tags of the block device whose sysfs directory is `node`; for a stack of devices, the fewest of those below it. */
export function tagsOf(node: string): number | null {
  // A partition keeps its queue one level up.
  const disk = existsSync(`${node}/queue`) ? node : `${node}/..`;
  // Requests to a device mapper or RAID device wait in the queues of the devices below it, not in its own.
  const below = entriesOf(`${disk}/slaves`).map((name) => tagsOf(`${disk}/slaves/${name}`));
  const known = below.filter((tags) => tags !== null);
  if (below.length > 0) return known.length === 0 ? null : Math.min(...known);
  try {
    const tags = Number(readFileSync(`${disk}/queue/nr_requests`, 'latin1'));
    return tags > 0 ? tags : null;
  } catch {
    return null; // network and virtual file systems have no queue
  }
}

function entriesOf(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
