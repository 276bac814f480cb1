/**
 * Where the partial files of a job's earlier attempts are, without reading the directory: a directory may have a hundred
 * thousand entries, and a job many attempts.
 *
 * An attempt is named by its number, and the queue gives each number once, whatever a job's own counts are set back to
 * (libs/queue, starts.ts). So the names are known, and few of them exist: each attempt removes or takes over what those
 * before it left.
 */
import { readdirSync } from 'node:fs';
import { partKey, partName, partPrefix } from './parts.ts';

/** A name that is looked for costs 2 us, an entry that is read 0.5: more names than this are found by reading. */
const NAMES_MAX = 512;
/** Of a bulk's files in one directory together: that has an entry for each of them at least, and reading it takes longer. */
const NAMES_OF_BULK_MAX = 4096;

/** The token of the attempt with this number, 1 for the first. */
export const tokenOf = (attempt: number): string => String(attempt);

/** The names that attempts of `jobKey` up to this one may have left; null where that is better read from the directory. */
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
 * The same for the jobs of a bulk's files in one directory.
 * @param jobKeys one for each file there
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
