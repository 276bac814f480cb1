/** Opens the Redis that the settings chose: the embedded one is started if no other process has, a server is just named. */
import { EmbeddedRedis, findRedisServer, type RedisServerBinary } from '@penstock/redis';
import type { Connection } from '@penstock/queue';
import { nativeFile } from './native-record.ts';
import type { RedisChoice } from './settings/settings.ts';

/** The Redis server that this environment offers; null if there is none. */
export function findServer(env: NodeJS.ProcessEnv): RedisServerBinary | null {
  const explicit = env['REDIS_SERVER'];
  return findRedisServer({
    path: env['PATH'] ?? '',
    nativeFile,
    ...(explicit === undefined ? {} : { explicit }),
  });
}

/** Far longer than a restart takes (20 to 50 ms), even with a long append-only file to read. */
const HANDOVER_MS = 5000;

export interface Store {
  connection: Connection;
  /** True if this process started the embedded Redis just now: then no other process uses it yet. */
  started: boolean;
  /** Stops the embedded Redis unless another process uses it. */
  close(): Promise<void>;
}

/**
 * @param onError called each time the embedded Redis is gone and cannot be started again yet; the attempts never end
 * @throws (rejects with) an Error that names what to do, if no Redis server can be found or started
 */
export async function openStore(
  choice: RedisChoice,
  env: NodeJS.ProcessEnv,
  onError?: (error: Error) => void,
): Promise<Store> {
  if (choice.kind === 'server') return { connection: choice.connection, started: false, close: async () => {} };
  const server = findServer(env);
  if (server === null) {
    throw new Error(
      'no redis-server or valkey-server was found: install one, name it with REDIS_SERVER=/path/to/redis-server, ' +
        'use a running one with --redis redis://host:6379, or run npm start once in the checkout to unpack one',
    );
  }
  const redis = await EmbeddedRedis.open({
    directory: choice.directory,
    server,
    ...(onError === undefined ? {} : { onError }),
  });
  const { socketPath, started } = redis;
  return { connection: { socketPath, handoverMs: HANDOVER_MS }, started, close: () => redis.close() };
}
