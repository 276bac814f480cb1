/** What is no regular file, and cannot be written by rows. */
import type { Stats } from 'node:fs';
import { printValue, RequestError } from '@penstock/contract';

/** @throws RequestError naming the kind of what `path` leads to; nothing for a regular file and for a directory */
export function refuseSpecial(path: string, standing: Stats): void {
  const kind = kindOf(standing);
  if (kind === null) return;
  throw new RequestError({
    field: 'path',
    value: path,
    accepted: 'a regular file; fs.createWriteStream() writes what is none',
    message: `path: ${printValue(path)} is ${kind}: give a regular file, or take fs.createWriteStream() for it`,
  });
}

function kindOf(standing: Stats): string | null {
  if (standing.isFIFO()) return 'a pipe';
  if (standing.isSocket()) return 'a socket';
  if (standing.isCharacterDevice()) return 'a character device';
  if (standing.isBlockDevice()) return 'a block device';
  return null;
}
