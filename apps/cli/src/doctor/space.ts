/** What is free for the files of a root: on its own file system, and on those that are mounted below it. */
import { statfsSync } from 'node:fs';
import { formatBytes } from '@penstock/contract';
import { type Mount, isWithin, lineage } from '@penstock/disk';
import { type Finding, ok, warn } from './finding.ts';

const FREE_BYTES_FEW = 1_073_741_824;
/** At most so many file systems below one root are reported. */
const BELOW_MAX = 20;

/** What is free at the absolute, real `directory`, and below it. */
export function checkSpace(what: string, directory: string, mounts: readonly Mount[]): Finding[] {
  return [
    checkOne(`${what}: space`, directory),
    ...below(directory, mounts).map((at) => checkOne(`${what}: space of ${at}`, at)),
  ];
}

/** Where other disks are mounted below, as far as they can be reached. */
function below(directory: string, mounts: readonly Mount[]): string[] {
  const own = lineage(mounts, directory).at(-1)?.device;
  return mounts
    .filter((mount) => isWithin(mount.directory, directory) && mount.device !== own && isDisk(mount))
    .filter((mount) => lineage(mounts, mount.directory).at(-1) === mount)
    .map((mount) => mount.directory)
    .slice(0, BELOW_MAX);
}

/** A device, or a file system of memory or of a network; not what the kernel shows of itself. */
const isDisk = ({ source, fileSystem }: Mount): boolean =>
  source.startsWith('/') || source.includes(':') || fileSystem === 'tmpfs' || fileSystem.startsWith('fuse');

function checkOne(what: string, directory: string): Finding {
  const { bavail, blocks, bsize } = statfsSync(directory);
  const free = bavail * bsize;
  const found = `${formatBytes(free)} free of ${formatBytes(blocks * bsize)}`;
  if (free >= FREE_BYTES_FEW || blocks === 0) return ok(what, found);
  return warn(
    what,
    found,
    `writes that do not fit wait, for an hour unless the host says otherwise (--wait-for-space): free some on the file system of ${directory}`,
  );
}
