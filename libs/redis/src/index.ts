export { findRedisServer, type RedisServerBinary } from './binary.ts';
export { makeDirectories } from './directories.ts';
export { lackOfSpace } from './disk.ts';
export { EmbeddedRedis, type EmbeddedRedisOptions } from './embedded-redis.ts';
export { RedisStartError } from './errors.ts';
