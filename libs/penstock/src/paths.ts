/**
 * Paths of a program's own, as `node:fs` takes them, turned into what the engine takes: a path inside the one root that
 * is the whole file system. Links are followed here, for the engine refuses those that lead out of where they stand.
 */
import { isUtf8 } from 'node:buffer';
import { readlink, realpath, stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IoError, RequestError } from '@penstock/contract';

/** The root that holds every path. */
export const ROOT: { name: string; path: string; writable: boolean } = { name: 'fs', path: '/', writable: true };

/** As many links in a row as the kernel follows. */
const LINKS_MAX = 40;

/** What `node:fs` takes for a path. */
export type PathLike = string | URL | Buffer;

/** @throws RequestError for what is no path, and for bytes that are no UTF-8: as text they would name another file. */
export function pathText(path: PathLike): string {
  if (typeof path === 'string') return path;
  if (path instanceof URL) return fileURLToPath(path);
  if (path instanceof Uint8Array && isUtf8(path)) return Buffer.from(path).toString();
  const value = path instanceof Uint8Array ? Buffer.from(path).toString('latin1') : typeof path;
  throw new RequestError({ field: 'path', value, accepted: 'a string, a file: URL, or a Buffer that holds UTF-8' });
}

/** The path inside ROOT of an absolute one. */
export const inRoot = (absolute: string): string => absolute.slice(1);

/** The absolute path, free of links, of the existing file `path`. @throws (rejects with) IoError */
export async function existingFile(path: PathLike): Promise<string> {
  const text = pathText(path);
  try {
    return await realpath(text); // as it was given: behind a link ".." is not what the letters say
  } catch (error) {
    throw unresolved(error, resolve(text));
  }
}

/**
 * The absolute path, free of links, of the file that a write to `path` makes or replaces: where `path` is a link, the
 * file that it names. The directory must exist, unless `makeDirectories`.
 * @throws (rejects with) IoError
 */
export async function targetFile(path: PathLike, makeDirectories: boolean): Promise<string> {
  const text = pathText(path);
  if (text.includes('\0')) throw new IoError({ syscall: 'open', errno: -constants.errno.EINVAL, path: text });
  // Else the slash would be lost below, and a file be written where a directory was meant.
  if (text.endsWith('/')) throw new IoError({ syscall: 'open', errno: -constants.errno.EISDIR, path: text });
  let named = text;
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const directory = await realDirectory(dirname(named), makeDirectories);
    const found = join(directory, basename(named));
    const target = await linkTarget(found);
    if (target === null) return found;
    named = isAbsolute(target) ? target : `${directory}/${target}`;
  }
  throw new IoError({ syscall: 'realpath', errno: -constants.errno.ELOOP, path: resolve(text) });
}

/** False for what cannot be looked at: the engine will say more of it. */
export async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function realDirectory(directory: string, makeDirectories: boolean): Promise<string> {
  try {
    return await realpath(directory);
  } catch (error) {
    if (!makeDirectories || codeOf(error) !== 'ENOENT') throw unresolved(error, resolve(directory));
    return join(await realDirectory(dirname(directory), true), basename(directory)); // the engine makes it
  }
}

/** What the link at `path` says; null where no link is. */
async function linkTarget(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch {
    return null; // none there, or no link; whatever else is wrong the engine says
  }
}

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;

function unresolved(error: unknown, path: string): unknown {
  const { errno, code } = error as NodeJS.ErrnoException;
  return errno === undefined || code === undefined
    ? error
    : new IoError({ syscall: 'realpath', errno, code, path, cause: error });
}
