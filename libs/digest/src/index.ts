/** Checksums of rows where they lie: off the path of the write, on a thread of their own. */
export { extendCrc32c, printCrc32c } from './crc32c.ts';
export { type DigestOrder, FileDigest } from './file-digest.ts';
export type { ChunkMismatch } from './orders.ts';
export { DigestThread } from './thread.ts';
