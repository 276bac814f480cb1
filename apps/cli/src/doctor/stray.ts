/** Partial files that nobody works on any more: only a killed process leaves one, and its retry removes it. */
import type { Dirent } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';

const DAY_MS = 86_400_000;
/** A root may hold millions of files; a check must end. */
const ENTRIES_MAX = 50_000;
/** The names that the sink gives to what is not published yet. */
const PARTIAL = /^\.penstock-.+\.part$/s;

export interface StrayFiles {
  paths: string[];
  bytes: number;
  /** False if there was more than could be examined. */
  complete: boolean;
}

/** Partial files below `root` that have not been touched for a day. Directories that cannot be read are passed over. */
export async function findStrayFiles(root: string, now: number = Date.now()): Promise<StrayFiles> {
  const found: StrayFiles = { paths: [], bytes: 0, complete: true };
  const directories = [root];
  let entries = 0;
  for (const directory of directories) {
    // One directory at a time keeps the disk free for others.
    for await (const entry of entriesOf(directory)) {
      entries += 1;
      if (entries > ENTRIES_MAX) return { ...found, complete: false };
      const path = join(directory, entry.name);
      if (entry.isDirectory()) directories.push(path);
      if (!entry.isFile() || !PARTIAL.test(entry.name)) continue;
      const status = await stat(path).catch(() => null); // renamed meanwhile: not a stray one
      if (status === null || now - status.mtimeMs < DAY_MS) continue;
      found.paths.push(path);
      found.bytes += status.size;
    }
  }
  return found;
}

async function* entriesOf(directory: string): AsyncGenerator<Dirent> {
  try {
    yield* await opendir(directory);
  } catch {
    // not readable for this user, or gone
  }
}
