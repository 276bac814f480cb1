export { findRedisServer, type RedisServerBinary } from './server/binary.ts';
export { makeDirectories } from './directory/directories.ts';
export { lackOfSpace } from './directory/space.ts';
export { EmbeddedRedis, type EmbeddedRedisOptions } from './embedded-redis.ts';
export { RedisStartError } from './errors/redis-start-error.ts';
