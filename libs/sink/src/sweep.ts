/** Removes what earlier attempts of a job left beside its target: only a killed process leaves anything. */
import { readdirSync } from 'node:fs';
import { native } from '@penstock/aio';
import { type Root, openDirectory } from './roots.ts';
import { partPrefix, splitPath } from './parts.ts';

/** Removes the partial files of `jobKey` beside `path` below `root`. Returns how many. */
export function sweepParts(root: Root, path: string, jobKey: string): number {
  const prefix = partPrefix(jobKey);
  return sweepDirectory(root, splitPath(path).directory, (name) => name.startsWith(prefix));
}

/** Removes those partial files in `directory` below `root` that are `left`. Returns how many. */
export function sweepDirectory(root: Root, directory: string, left: (name: string) => boolean): number {
  const dirFd = openDirectory(root, directory);
  if (dirFd < 0) return 0; // no directory, so nothing in it; or the attempt itself will say what is wrong
  let removed = 0;
  try {
    for (const name of readdirSync(`/proc/self/fd/${dirFd}`)) {
      if (name.endsWith('.part') && left(name) && native.unlinkat(dirFd, name) === 0) removed += 1;
    }
  } finally {
    native.close(dirFd);
  }
  return removed;
}
