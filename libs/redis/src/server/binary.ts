/** Which server program is run: found by name, on PATH, or unpacked by the set-up. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';
import { programFailure } from '../errors/start-failures.ts';

/** A Redis-compatible server program, and what it needs in its environment (unpacked packages: their libraries). */
export interface RedisServerBinary {
  bin: string;
  env?: Record<string, string>;
}

const NAMES = ['redis-server', 'valkey-server'];

/**
 * Finds a server: the one named explicitly, else one on PATH, else the one that set-up unpacked; null if there is none.
 *
 * An explicit name is taken as it is, even if nothing is there: `EmbeddedRedis.open` then reports it, instead of
 * another server being used unnoticed. A name without a slash is looked up on PATH.
 */
export function findRedisServer(o: { explicit?: string; path: string; nativeFile?: string }): RedisServerBinary | null {
  if (o.explicit !== undefined && o.explicit !== '') {
    const found = o.explicit.includes('/') ? null : findOnPath(o.explicit, o.path);
    return { bin: found ?? o.explicit };
  }
  for (const name of NAMES) {
    const bin = findOnPath(name, o.path);
    if (bin !== null) return { bin };
  }
  return o.nativeFile === undefined ? null : readUnpacked(o.nativeFile);
}

function findOnPath(name: string, path: string): string | null {
  // Relative entries would name another program after a chdir.
  const directories = path.split(delimiter).filter((directory) => isAbsolute(directory));
  return directories.map((directory) => join(directory, name)).find((file) => isProgram(file)) ?? null;
}

function readUnpacked(nativeFile: string): RedisServerBinary | null {
  let written: unknown;
  try {
    written = JSON.parse(readFileSync(nativeFile, 'utf8'));
  } catch {
    return null; // absent or half-written: set-up has not run to its end
  }
  if (!isRecord(written) || !isRecord(written['redis'])) return null;
  const { bin, env } = written['redis'];
  if (typeof bin !== 'string' || !isProgram(bin)) return null;
  if (!isRecord(env)) return { bin };
  const strings = Object.entries(env).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return { bin, env: Object.fromEntries(strings) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** @throws RedisStartError if `bin` is no file that this user may execute */
export function assertProgram(bin: string): void {
  try {
    accessSync(bin, constants.X_OK);
    if (statSync(bin).isFile()) return;
    throw Object.assign(new Error(`EACCES: not a program, '${bin}'`), { code: 'EACCES' });
  } catch (error) {
    throw programFailure(bin, error);
  }
}
