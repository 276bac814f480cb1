/** All that goes as `native.x`: the system calls, a file per subject. */
export { addressOf } from './libc.ts';
export * from './aio.ts';
export * from './attributes.ts';
export * from './descriptors.ts';
export * from './flags.ts';
export * from './memory.ts';
export * from './names.ts';
export * from './page-cache.ts';
export * from './space.ts';
export * from './stat.ts';
export * from './threads.ts';
