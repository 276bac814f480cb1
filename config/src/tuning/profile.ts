/**
 * Profiles: how a root was found to be written fastest. `penstock calibrate` measures and keeps one for each root in
 * <data directory>/calibration; hosts, which keep all else of theirs there as well, look for them when they start.
 */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { type RootDevice, type RootConfig, deviceOf } from '@penstock/disk';

/** How a host writes: its threads, the iocbs that each may have in flight, and the matrix of a write. */
export interface Tuning {
  threads: number;
  depth: number;
  rows: number;
  rowBytes: number;
}

/** What came of one tuning. */
interface Trial extends Tuning {
  /** The median of its samples. */
  bytesPerSecond: number;
  samples: number;
}

export interface Profile {
  version: 1;
  /** The root's name and directory. */
  root: string;
  path: string;
  device: RootDevice;
  /** The release of the kernel. */
  kernel: string;
  /** ISO 8601. */
  measuredAt: string;
  winner: Tuning;
  trials: Trial[];
}

const tuning = {
  threads: z.int().min(1).max(64),
  depth: z.int().min(1).max(4096),
  rows: z.int().min(1).max(65_536),
  rowBytes: z.int().min(4096).max(1_073_741_824),
};

const profileSchema: z.ZodType<Profile> = z.object({
  version: z.literal(1),
  root: z.string(),
  path: z.string(),
  device: z.object({ number: z.string(), fileSystem: z.string(), tags: z.int().min(1).nullable() }),
  kernel: z.string(),
  measuredAt: z.iso.datetime(),
  winner: z.object(tuning),
  trials: z.array(z.object({ ...tuning, bytesPerSecond: z.number().min(0), samples: z.int().min(1) })),
});

/** Where the profile of the root `rootName` is kept. */
function profileFile(dataDirectory: string, rootName: string): string {
  return join(dataDirectory, 'calibration', `${rootName}.json`);
}

/** Keeps `profile` for the hosts of `dataDirectory`; returns the file. A host that starts meanwhile sees the old one or this. */
export function writeProfile(dataDirectory: string, profile: Profile): string {
  const file = profileFile(dataDirectory, profile.root);
  mkdirSync(dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}.part`;
  writeFileSync(fresh, `${JSON.stringify(profileSchema.parse(profile), null, 2)}\n`);
  renameSync(fresh, file);
  return file;
}

/** The profile of `root`, null if it has none; `fault` is why the one that is there cannot be used. */
export function readProfile(
  dataDirectory: string,
  root: RootConfig,
): { profile: Profile | null; fault: string | null } {
  const file = profileFile(dataDirectory, root.name);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { profile: null, fault: code === 'ENOENT' ? null : `the calibration cannot be read: ${message}` };
  }
  const profile = parseProfile(text);
  if (profile === null) return { profile, fault: `${file} is not a calibration that this version can read` };
  const fault = mismatchOf(profile, root);
  return fault === null ? { profile, fault } : { profile: null, fault };
}

function parseProfile(text: string): Profile | null {
  try {
    return profileSchema.parse(JSON.parse(text));
  } catch {
    return null; // not JSON, or not of this shape
  }
}

/** Why `profile` does not describe `root` as it is now; null if it does. */
function mismatchOf({ path, device }: Profile, root: RootConfig): string | null {
  if (path !== root.path) return `root ${root.name} was calibrated at ${path} and is now ${root.path}`;
  const now = deviceOf(root.path);
  if (isSame(device, now)) return null;
  const name = ({ number, fileSystem }: RootDevice): string => `${fileSystem} on device ${number}`;
  return `root ${root.name} was calibrated on ${name(device)} and is now on ${name(now)}`;
}

/** File systems without a block device of their own get another number with each mount. */
function isSame(before: RootDevice, now: RootDevice): boolean {
  const isAnonymous = ({ number }: RootDevice): boolean => number.startsWith('0:');
  if (before.fileSystem !== now.fileSystem) return false;
  return before.number === now.number || (isAnonymous(before) && isAnonymous(now));
}
