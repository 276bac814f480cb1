/**
 * Space that writes leave to the embedded Redis if it shares a file system with a root: without room for its next
 * record it ends, and with it all that is known of every write.
 */
import { statSync } from 'node:fs';
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { AskSpace } from './file-system.ts';

/** Redis writes its append-only file anew, beside the old one, once that has grown to this size. */
const REWRITE_BYTES = 67_108_864;
/** On a small disk no more than this share of it, or no write would fit there. */
const SHARE_MAX = 8;

/** As `ask`, but less what is kept for the embedded Redis of `dataDirectory` if `path` is on its file system. */
export function askLeavingRoom(ask: AskSpace, dataDirectory: string): AskSpace {
  const directory = join(dataDirectory, 'redis');
  // Looked up once: a hung disk below Redis must not hold up the answer about another one.
  const device = statSync(directory, { throwIfNoEntry: false })?.dev;
  return async (path) => {
    const reading = await ask(path);
    if (device === undefined || (await stat(path)).dev !== device) return reading;
    const wanted = REWRITE_BYTES + (await sizeOfFiles(join(directory, 'appendonlydir')));
    const keptBytes = Math.min(wanted, Math.floor(reading.totalBytes / SHARE_MAX));
    return { ...reading, availableBytes: Math.max(0, reading.availableBytes - keptBytes), keptBytes };
  };
}

/** A rewrite takes as much again as the old files, at most. */
async function sizeOfFiles(directory: string): Promise<number> {
  const names = await readdir(directory).catch((): string[] => []); // not made before the first record
  const stats = await Promise.all(names.map((name) => lstat(join(directory, name)).catch(() => null)));
  return stats.reduce((sum, file) => sum + (file?.size ?? 0), 0);
}
