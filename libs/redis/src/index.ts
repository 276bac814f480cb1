/** The embedded Redis: the server of a data directory, found, started, shared and stopped. */
export { findRedisServer, type RedisServerBinary } from './server/binary.ts';
export { makeDirectories } from './directory/directories.ts';
export { lackOfSpace } from './directory/space.ts';
export { EmbeddedRedis } from './embedded-redis.ts';
