/**
 * Paths of a program's own, as `node:fs` takes them, turned into what the engine takes: a path inside the one root that
 * is the whole file system. Links are followed here, for the engine refuses those that lead out of where they stand.
 */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IoError } from '@penstock/contract';
import { invalidType, invalidValue } from './node-errors.ts';
import { refuseSpecial } from './special-files.ts';

/** The root that holds every path. */
export const ROOT: { name: string; path: string; writable: boolean } = { name: 'fs', path: '/', writable: true };

/** As many links in a row as the kernel follows. */
const LINKS_MAX = 40;
/** Of a path that the kernel takes, its end included (PATH_MAX). */
const PATH_BYTES_MAX = 4096;

/** What `node:fs` takes for a path. */
export type PathLike = string | URL | Buffer;

/**
 * The path in words.
 * @throws TypeError with Node's code for what fs takes for no path either, and for bytes that are no UTF-8: as text they
 * would name another file
 */
export function pathText(path: unknown): string {
  const text = textOf(path);
  if (!text.includes('\0')) return text;
  const shown = path instanceof Uint8Array ? path : text;
  throw invalidValue('path', shown, 'must be a string, Uint8Array, or URL without null bytes');
}

function textOf(path: unknown): string {
  if (typeof path === 'string') return path;
  if (isUrl(path)) return fileURLToPath(path);
  if (!(path instanceof Uint8Array)) throw invalidType('path', 'of type string or an instance of Buffer or URL', path);
  if (isUtf8(path)) return Buffer.from(path).toString();
  throw invalidValue('path', path, 'must hold UTF-8: the file is opened by its name in words');
}

/** As fs knows one, of whichever realm or package it is. */
function isUrl(path: unknown): path is URL {
  if (typeof path !== 'object' || path === null) return false;
  const { href, protocol, auth, path: own } = path as Record<string, unknown>;
  return Boolean(href) && Boolean(protocol) && auth === undefined && own === undefined;
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

/** Where a write to a path goes. */
export interface FoundTarget {
  /** Absolute, free of links: if the path is a link, the file that it names. */
  file: string;
  /** Whether that name is there already. */
  stands: boolean;
}

/**
 * Finds the file that a write to `path` makes or replaces. The directory must exist, unless `makeDirectories`.
 * @throws (rejects with) IoError as of fs.open(); RequestError naming the kind of what is no regular file
 */
export async function findTarget(path: PathLike, makeDirectories: boolean): Promise<FoundTarget> {
  const text = pathText(path);
  if (text === '') throw refusedOpen('ENOENT', text);
  if (Buffer.byteLength(text) >= PATH_BYTES_MAX) throw refusedOpen('ENAMETOOLONG', text);
  // Without this the slash would be lost below, and a file be written although a directory was meant.
  if (text.endsWith('/')) throw refusedOpen('EISDIR', text);
  let named = text;
  for (let links = 0; links < LINKS_MAX; links += 1) {
    const directory = await realDirectory(dirname(named), makeDirectories, text);
    const file = join(directory, basename(named));
    const standing = await standingAt(file, text);
    if (standing?.isSymbolicLink() !== true) {
      if (standing !== null) refuseSpecial(text, standing);
      return { file, stands: standing !== null };
    }
    const target = await readlink(file);
    if (directory.startsWith('/proc/')) await refuseUnnamed(file, target, text);
    named = isAbsolute(target) ? target : `${directory}/${target}`;
  }
  throw refusedOpen('ELOOP', text, { hint: `More than ${LINKS_MAX} links in a row: they lead around in a circle.` });
}

/** A link of /proc to an open file leads to it whatever its text is: a pipe has no name, and a removed file none any more. */
async function refuseUnnamed(link: string, target: string, text: string): Promise<void> {
  const open = await stat(link).catch(() => null);
  if (open === null) return;
  refuseSpecial(text, open);
  const named = await stat(target).catch(() => null);
  if (named === null || named.ino !== open.ino || named.dev !== open.dev) throw refusedOpen('ENOENT', text);
}

/** null if nothing has that name. */
async function standingAt(file: string, text: string): Promise<Stats | null> {
  try {
    return await lstat(file);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw asOpen(error, text);
  }
}

async function realDirectory(directory: string, makeDirectories: boolean, text: string): Promise<string> {
  try {
    return await realpath(directory);
  } catch (error) {
    if (!makeDirectories || codeOf(error) !== 'ENOENT') throw asOpen(error, text);
    return join(await realDirectory(dirname(directory), true, text), basename(directory)); // the engine makes it
  }
}

const codeOf = (error: unknown): unknown => (error as NodeJS.ErrnoException).code;

function unresolved(error: unknown, path: string): unknown {
  const { errno, code } = error as NodeJS.ErrnoException;
  return errno === undefined || code === undefined
    ? error
    : new IoError({ syscall: 'realpath', errno, code, path, cause: error });
}

/** As fs.open() of `path` refuses it. */
export const refusedOpen = (
  code: 'EISDIR' | 'ELOOP' | 'ENAMETOOLONG' | 'ENOENT',
  path: string,
  details: { hint?: string } = {},
): IoError => new IoError({ syscall: 'open', errno: -constants.errno[code], path, ...details });

/** The error as fs.open() of `path` would have it: what was looked up on the way is no matter of the program. */
function asOpen(error: unknown, path: string): unknown {
  const { errno, code } = error as NodeJS.ErrnoException;
  if (errno === undefined || code === undefined) return error;
  return new IoError({ syscall: 'open', errno, code, path, cause: error });
}

/** Calls of the engine that open the file, or look whether it can be. */
const OPENING = new Set(['openat', 'openat2', 'statx']);

/** What `ended` resolves or rejects with; the refusal to open `file` as fs.open() of `text` words it. */
export async function openedAs<T>(ended: Promise<T>, file: string, text: string): Promise<T> {
  try {
    return await ended;
  } catch (error) {
    const { syscall, errno, code, path, hint } = error as Partial<IoError>;
    if (syscall === undefined || errno === undefined || !OPENING.has(syscall) || path !== file) throw error;
    throw new IoError({
      syscall: 'open',
      errno,
      path: text,
      ...(code === undefined ? {} : { code }),
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}
