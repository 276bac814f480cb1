/**
 * The names of the partial files of a job's earlier attempts, without reading the directory, which may have a hundred
 * thousand entries.
 *
 * An attempt is named by its number, and the queue gives each number once, even if a job's own counts are set back
 * (libs/queue, starts.ts). So the names are known, and few of them exist: each attempt removes or takes over what those
 * before it left.
 */
import { readdirSync } from 'node:fs';
import { partKey, partName, partPrefix } from './parts.ts';

/** To try a name costs 2 us, to read an entry 0.5 us: for more names than this the directory is read. */
const NAMES_MAX = 512;
/** The same for all files of a bulk in one directory, which has at least an entry for each, so that reading takes longer. */
const NAMES_OF_BULK_MAX = 4096;

/** The token of the attempt with this number; the first is 1. */
export const tokenOf = (attempt: number): string => String(attempt);

/** The names that attempts of `jobKey` up to this one may have left; null if the directory is better read. */
export function namesUpTo(jobKey: string, attemptToken: string): string[] | null {
  const attempt = Number(attemptToken);
  if (!Number.isSafeInteger(attempt) || attempt > NAMES_MAX) return null;
  return Array.from({ length: attempt }, (_, index) => partName(jobKey, tokenOf(index + 1)));
}

/** The names in the open directory that attempts of `jobKey` up to this one may have left; some may not exist. */
export function earlierParts(dirFd: number, jobKey: string, attemptToken: string): readonly string[] {
  const prefix = partPrefix(jobKey);
  return (
    namesUpTo(jobKey, attemptToken) ??
    readdirSync(`/proc/self/fd/${dirFd}`).filter((name) => name.startsWith(prefix) && name.endsWith('.part'))
  );
}

/**
 * The same for those files of a bulk that are in one directory.
 * @param jobKeys the key of each of these files
 */
export function earlierPartsOfAll(
  dirFd: number,
  jobKeys: ReadonlySet<string>,
  attemptToken: string,
): readonly string[] {
  const nameCount = Number(attemptToken) * jobKeys.size;
  const names = nameCount <= NAMES_OF_BULK_MAX ? [...jobKeys].map((jobKey) => namesUpTo(jobKey, attemptToken)) : [null];
  if (names.every((ofOne) => ofOne !== null)) return names.flat();
  return readdirSync(`/proc/self/fd/${dirFd}`).filter((name) => name.endsWith('.part') && jobKeys.has(partKey(name)));
}
