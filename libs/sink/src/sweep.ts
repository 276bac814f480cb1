/** Removes what earlier attempts of a job left beside its target: only a killed process leaves anything. */
import { readdirSync } from 'node:fs';
import { native } from '@penstock/aio';
import { type Root, openDirectory } from './roots.ts';
import { partPrefix, splitPath } from './target.ts';

/** Removes the partial files of `jobKey` beside `path` below `root`. Returns how many. */
export function sweepParts(root: Root, path: string, jobKey: string): number {
  const dirFd = openDirectory(root, splitPath(path).directory);
  if (dirFd < 0) return 0; // no directory, so nothing in it; or the attempt itself will say what is wrong
  const prefix = partPrefix(jobKey);
  let removed = 0;
  try {
    for (const name of readdirSync(`/proc/self/fd/${dirFd}`)) {
      const left = name.startsWith(prefix) && name.endsWith('.part');
      if (left && native.unlinkat(dirFd, name) === 0) removed += 1;
    }
  } finally {
    native.close(dirFd);
  }
  return removed;
}
