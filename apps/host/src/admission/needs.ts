/** How much new space a job takes, and on which roots: as its request shows, and less what the disk has already. */
import { lstat, readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BulkRequest, type JobRequest, knownBytes, requestsOf, type WriteRequest } from '@penstock/contract';
import { jobKeyOf, namesUpTo, partPrefix, tokenOf } from '@penstock/sink';

/** What one write takes. */
export interface Need {
  root: string;
  /** The file, named inside the root. */
  path: string;
  /** Bytes that it takes at most. */
  bytes: number;
  /** Where it ends; larger than `bytes` with an offset. */
  endBytes: number;
  /** It changes a file where it stands, and what that file takes up already is not new. */
  inPlace: boolean;
}

/** The needs of a request, those whose size only the source knows left out. */
export function needsOf(request: JobRequest): Need[] {
  if (!isBulk(request)) {
    const need = needOf(request);
    return need === null ? [] : [need];
  }
  return requestsOf(request).flatMap((each) => needOf(each) ?? []);
}

export const isBulk = (request: JobRequest): request is BulkRequest => 'files' in request;

function needOf(request: WriteRequest): Need | null {
  const { root, path, mode, publish, offset = 0 } = request;
  const bytes = newBytes(request);
  if (bytes === 0) return null;
  return { root, path, bytes, endBytes: offset + bytes, inPlace: publish === 'in-place' && mode !== 'append' };
}

/** Bytes to be allocated, as far as the request shows: what sharing blocks or keeping holes takes is not known here. */
function newBytes(request: WriteRequest): number {
  const { source } = request;
  const mayTakeLess = source.kind === 'file' && (source.reflink !== 'never' || source.holes === 'keep');
  return mayTakeLess ? 0 : knownBytes(request);
}

/**
 * Bytes of `need` that are allocated already: in the file that it changes in place, or in what an earlier attempt left
 * beside it, which is gone on with or removed before anything is reserved.
 */
export async function bytesThere(rootPath: string, need: Need, jobName: string, starts: number): Promise<number> {
  const file = join(rootPath, need.path);
  const standing = need.inPlace ? await allocatedIn(file, need) : 0;
  const left = starts > 1 && !need.inPlace ? await allocatedByParts(file, jobKeyOf(jobName, need), starts) : 0;
  return Math.min(need.bytes, standing + left);
}

/** What the range that is written has of an existing file: all of it is taken to be allocated, up to the file's end. */
async function allocatedIn(file: string, { bytes, endBytes }: Need): Promise<number> {
  const standing = await lstat(file).catch(() => null);
  if (standing === null || !standing.isFile()) return 0;
  const covered = Math.min(endBytes, standing.size) - (endBytes - bytes);
  return Math.max(0, Math.min(covered, standing.blocks * 512));
}

async function allocatedByParts(file: string, jobKey: string, starts: number): Promise<number> {
  const directory = dirname(file);
  const parts = namesUpTo(jobKey, tokenOf(starts)) ?? (await partsIn(directory, jobKey));
  const stats = await Promise.all(parts.map((name) => lstat(join(directory, name)).catch(() => null)));
  return stats.reduce((sum, stat) => sum + (stat === null ? 0 : stat.blocks * 512), 0);
}

async function partsIn(directory: string, jobKey: string): Promise<string[]> {
  const names = await readdir(directory).catch((): string[] => []);
  return names.filter((name) => name.startsWith(partPrefix(jobKey)));
}
