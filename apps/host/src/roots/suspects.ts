/** Which roots may be the reason of a write that failed, by its error alone. */
import {
  type JobRequest,
  type ShortResult,
  type WireError,
  isBulkResult,
  requestsOf,
  rootsOf,
  toWire,
} from '@penstock/contract';
import { isWithin } from '@penstock/disk';

/** Errors whose reason may be the root; ENOENT, EACCES and the like are the job's own fault if the root is well. */
const OF_ROOTS: ReadonlySet<string> = new Set(
  'EROFS ENOENT EACCES EPERM ENOTDIR ESTALE ELOOP ETIMEDOUT EIO ENXIO ENODEV ENOMEDIUM ENOTCONN ECONNABORTED EHOSTDOWN'.split(
    ' ',
  ),
);
/** Errors of the disk itself, though its root can be looked at. */
const OF_DISKS: ReadonlySet<string> = new Set(['EIO', 'ENXIO', 'ENODEV', 'ENOMEDIUM', 'EROFS']);

export const isOfDisk = (code: string): boolean => OF_DISKS.has(code);

/** A root, and the failure that it may be the reason of. */
export interface Suspect {
  name: string;
  error: WireError;
}

/** The path of a root; undefined if there is none of that name. */
type PathOf = (name: string) => string | undefined;

/** A failure for each root that may be its reason: of a bulk, one for each root and code. */
export function suspectsOf(
  request: JobRequest,
  outcome: { error: unknown } | { result: ShortResult },
  pathOf: PathOf,
): Suspect[] {
  if ('error' in outcome) return suspectsAmong(rootsOf(request), toWire(outcome.error), pathOf);
  if (!isBulkResult(outcome.result) || !('files' in request)) return [];
  const requests = requestsOf(request);
  const found = new Map<string, Suspect>();
  for (const [index, item] of outcome.result.items.entries()) {
    if (!('error' in item)) continue;
    for (const suspect of suspectsAmong(rootsOf(requests[index]!), item.error, pathOf))
      found.set(`${suspect.name} ${item.error.code}`, suspect);
  }
  return [...found.values()];
}

function suspectsAmong(names: readonly string[], error: WireError, pathOf: PathOf): Suspect[] {
  if (!OF_ROOTS.has(error.code)) return [];
  const { path } = error;
  return names
    .filter((name) => {
      const top = pathOf(name);
      // Of the later failures of a bulk only the code is kept.
      return top !== undefined && (path === undefined || isWithin(path, top));
    })
    .map((name) => ({ name, error }));
}
