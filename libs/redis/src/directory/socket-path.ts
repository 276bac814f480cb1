/** Where the embedded Redis listens: a path that is short enough, in a directory that is this user's alone. */
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, lstatSync, mkdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toWire } from '@penstock/contract';
import { makeDirectories } from './directories.ts';
import { RedisStartError } from '../errors/redis-start-error.ts';

/** sun_path holds 108 bytes with its terminating NUL; some programs cut off a longer path without an error. */
const PATH_BYTES_MAX = 107;

const SOCKET_NAME = 'redis.sock';

/**
 * Where the server of `directory` listens: in the directory, or, if that path is too long for a Unix socket, in a
 * directory of its own under `temporary` that every process derives alike from the (real) path.
 */
export function socketPathOf(directory: string, temporary: string): string {
  const inside = join(directory, SOCKET_NAME);
  if (fits(inside)) return inside;
  const hash = createHash('sha256').update(directory).digest('hex').slice(0, 16);
  const outside = join(temporary, `penstock-${hash}`, SOCKET_NAME);
  if (fits(outside)) return outside;
  throw new RedisStartError({
    code: 'ENAMETOOLONG',
    path: outside,
    reason: `No Unix socket can be made for ${directory}: ${outside} is longer than ${PATH_BYTES_MAX} bytes too.`,
    hint: 'Choose a data directory with a shorter path, or set TMPDIR to a shorter one.',
  });
}

function fits(path: string): boolean {
  return Buffer.byteLength(path) <= PATH_BYTES_MAX;
}

/** Makes the directory of the socket if that is not the server's own `directory`. @throws RedisStartError */
export function makeSocketDirectory(socketPath: string, directory: string): void {
  const wanted = dirname(socketPath);
  if (wanted !== directory) makePrivateTemporaryDirectory(wanted, process.getuid?.() ?? 0);
}

/** Removes what makeSocketDirectory made, unless the next server uses it already. */
export function removeSocketDirectory(socketPath: string, directory: string): void {
  const made = dirname(socketPath);
  if (made === directory) return;
  try {
    rmdirSync(made);
  } catch {
    // the next server's socket is in it already
  }
}

/** Makes a directory that only this user can enter, or closes an existing one of this user's to others. */
export function makePrivateDirectory(directory: string, userId: number): void {
  try {
    make(directory);
    const { uid, mode } = statSync(directory);
    // A directory of another user (a shared mount, or root at work in a user's directory) keeps its mode.
    if (uid === userId && (mode & 0o777) !== 0o700) chmodSync(directory, 0o700);
    accessSync(directory, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code, message } = toWire(error);
    throw new RedisStartError({
      code,
      path: directory,
      reason: `The directory ${directory} cannot be used for the embedded Redis: ${message}.`,
      hint: 'Make it writable for this user, free some space there, or choose another data directory.',
      cause: error,
    });
  }
}

function make(directory: string): void {
  makeDirectories(dirname(directory));
  try {
    mkdirSync(directory, 0o700);
  } catch (error) {
    if (toWire(error).code !== 'EEXIST') throw error;
  }
}

/**
 * Makes a private directory in one that others can write. If it exists it must be this user's own and no symbolic link:
 * another user could have put it there first, to answer in the server's place.
 */
export function makePrivateTemporaryDirectory(directory: string, userId: number): void {
  makePrivateDirectory(directory, userId);
  const { uid } = lstatSync(directory);
  if (lstatSync(directory).isDirectory() && uid === userId) return;
  throw new RedisStartError({
    code: 'EPERM',
    path: directory,
    reason: `${directory} is not a directory of this user's (user id ${userId}; it is ${uid}'s).`,
    hint: 'Remove it, or choose a data directory with a shorter path.',
  });
}
