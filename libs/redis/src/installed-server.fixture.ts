/** The server program that tests run, of this room and of those that use a Redis: `@penstock/redis/installed-server`. */
import { fileURLToPath } from 'node:url';
import { findRedisServer, type RedisServerBinary } from './server/binary.ts';

/** REDIS_SERVER, else the one on PATH or the one that set-up unpacked. @throws Error if there is none */
export function installedServer(): RedisServerBinary {
  const explicit = process.env['REDIS_SERVER'];
  const found = findRedisServer({
    ...(explicit === undefined ? {} : { explicit }),
    path: process.env['PATH'] ?? '',
    nativeFile: fileURLToPath(new URL('../../../.cache/native.json', import.meta.url)),
  });
  if (found === null) throw new Error('no redis-server: run `node config/setup.mjs`');
  return found;
}
