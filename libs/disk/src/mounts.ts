/** The mounts of this machine, from /proc/self/mountinfo: reading it waits for no disk. */
import { readFileSync } from 'node:fs';

/** One line of mountinfo. */
export interface Mount {
  /** The mount id of statx(2); the kernel uses it again once this mount is gone. */
  id: number;
  /** The id of the mount that this one is mounted on. */
  parentId: number;
  /** major:minor. One file system may be mounted several times, each time as a mount of its own. */
  device: string;
  directory: string;
  fileSystem: string;
  /** What is mounted: a device, or what the file system calls its source. */
  source: string;
  /** The mount options of the file system. */
  options: string[];
}

let lastText = '';
let lastMounts: readonly Mount[] = [];

/** What is mounted now: the same array as before if nothing has changed. */
export function readMounts(): readonly Mount[] {
  const text = readFileSync('/proc/self/mountinfo', 'utf8');
  if (text !== lastText) [lastText, lastMounts] = [text, parseMounts(text)];
  return lastMounts;
}

/** Reads mountinfo (proc(5)). */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo
    .split('\n')
    .filter((line) => line.includes(' - '))
    .map((line) => {
      const [before = '', after = ''] = line.split(' - ');
      const [id = '', parentId = '', device = '', , directory = '/'] = before.split(' ');
      const [fileSystem = '', source = '', options = ''] = after.split(' ');
      return {
        id: Number(id),
        parentId: Number(parentId),
        device,
        directory: unescapeName(directory),
        fileSystem,
        source: unescapeName(source),
        options: options.split(',').map(unescapeName),
      };
    });
}

/** The mount that the absolute, real `path` lies on. */
export const mountOf = (mounts: readonly Mount[], path: string): Mount | undefined => lineage(mounts, path).at(-1);

/**
 * The mounts that the kernel crosses on its way to the absolute, real `path`: the outermost first, the one that the path
 * lies on last. A mount that a later one covers is not among them.
 */
export function lineage(mounts: readonly Mount[], path: string): Mount[] {
  const ids = new Set(mounts.map(({ id }) => id));
  const outermost = mounts.find(
    ({ id, parentId, directory }) => directory === '/' && (parentId === id || !ids.has(parentId)),
  );
  const found: Mount[] = [];
  for (let mount = outermost; mount !== undefined && !found.includes(mount); mount = nextOn(mounts, mount, path))
    found.push(mount);
  return found;
}

/** The first mount on `mount` that is met on the way to `path`. */
function nextOn(mounts: readonly Mount[], mount: Mount, path: string): Mount | undefined {
  let next: Mount | undefined;
  for (const other of mounts) {
    if (other.parentId !== mount.id || other.id === mount.id || !isWithin(path, other.directory)) continue;
    if (next === undefined || other.directory.length < next.directory.length) next = other;
  }
  return next;
}

/** True if the absolute `path` is `directory`, or lies below it. */
export function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** True if something is mounted below the real directory `path`; what is mounted at it does not count. */
export function hasMountsBelow(mounts: readonly Mount[], path: string): boolean {
  return mounts.some(({ directory }) => directory !== path && isWithin(directory, path));
}

/** A name in a table of /proc: the kernel writes space, tab, newline and backslash as octal escapes. */
export function unescapeName(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCodePoint(Number.parseInt(octal, 8)));
}
