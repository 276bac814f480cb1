/** Removes what earlier attempts of a job left beside its target: only a killed process leaves anything. */
import { readdirSync } from 'node:fs';
import { native } from '@penstock/aio';
import { partPrefix } from './target.ts';

/** Removes the partial files of `jobKey` in the directory open as `dirFd`, but for `keep`. Returns how many. */
export function sweepParts(dirFd: number, jobKey: string, keep: string | null): number {
  const prefix = partPrefix(jobKey);
  let removed = 0;
  for (const name of readdirSync(`/proc/self/fd/${dirFd}`)) {
    if (name.startsWith(prefix) && name.endsWith('.part') && name !== keep && native.unlinkat(dirFd, name) === 0) {
      removed += 1;
    }
  }
  return removed;
}
