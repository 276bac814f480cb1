/**
 * Reads files back by a path of its own: plain buffered reads of node:fs, nothing of the sink, the matrix or AIO. What
 * is compared with is the source's definition, or another file.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import type { PatternName } from '@penstock/contract';
import { type Mismatch, createPatternSource, findMismatch } from '@penstock/sources';

/** A whole number of every block a pattern has. */
const CHUNK_BYTES = 1_048_576;
/** Reads under way while one chunk is worked on: as many as libuv has threads. */
const READS_AHEAD = 4;

export interface ReadBackOptions {
  path: string;
  /** Reading begins here; 0 unless given. */
  offset?: number;
  /** What the bytes should be. */
  source?: { pattern: PatternName; seed: number };
  /** The size the file should have. */
  size?: number;
  /** Called after each chunk with how far the reading is. */
  onProgress?: (bytesRead: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

export interface ReadBack {
  /** Bytes of the file. */
  fileBytes: number;
  /** Bytes read: the file from the offset on. */
  bytes: number;
  /** Of the bytes read. */
  sha256: string;
  /** The first difference; null if there is none. */
  mismatch: Difference | null;
  durationMs: number;
}

/** The first difference, in words and in figures. */
export type Difference = ({ kind: 'content' } & Mismatch) | { kind: 'size'; expected: number; found: number };

/** Reads the file, hashes it, and compares it with the source. @throws Node's own errors of opening and reading */
export async function readBack(options: ReadBackOptions): Promise<ReadBack> {
  const startedAt = performance.now();
  const offset = options.offset ?? 0;
  const hash = createHash('sha256');
  const source = options.source === undefined ? null : createPatternSource(options.source.pattern, options.source.seed);
  let mismatch: Difference | null = null;
  let bytes = 0;
  const file = await open(options.path, 'r');
  try {
    const { size: fileBytes } = await file.stat();
    for await (const { chunk, position } of chunksOf(file, offset)) {
      options.signal?.throwIfAborted();
      hash.update(chunk);
      bytes += chunk.length;
      if (source !== null && mismatch === null && options.source !== undefined) {
        const found = findMismatch(source, options.source.pattern, chunk, position);
        if (found !== null) mismatch = { kind: 'content', ...found };
      }
      options.onProgress?.(bytes, Math.max(0, fileBytes - offset));
    }
    if (options.size !== undefined && options.size !== fileBytes) {
      mismatch ??= { kind: 'size', expected: options.size, found: fileBytes };
    }
    return { fileBytes, bytes, sha256: hash.digest('hex'), mismatch, durationMs: performance.now() - startedAt };
  } finally {
    await file.close();
  }
}

export interface Comparison {
  file: ReadBack;
  against: ReadBack;
}

/** Reads two files side by side from `offset` on; the first difference stands in `file.mismatch`. */
export async function compareFiles(
  path: string,
  against: string,
  options: Pick<ReadBackOptions, 'offset' | 'onProgress' | 'signal'> = {},
): Promise<Comparison> {
  const startedAt = performance.now();
  const offset = options.offset ?? 0;
  const left = await open(path, 'r');
  try {
    const right = await open(against, 'r');
    try {
      const sizes = [(await left.stat()).size, (await right.stat()).size] as const;
      const hashes = [createHash('sha256'), createHash('sha256')] as const;
      const counts = [0, 0];
      let mismatch: Difference | null = null;
      const chunks = [chunksOf(left, offset), chunksOf(right, offset)] as const;
      for (;;) {
        const both = await Promise.all([chunks[0].next(), chunks[1].next()]);
        options.signal?.throwIfAborted();
        for (const index of [0, 1] as const) {
          const { value, done } = both[index];
          if (done === true) continue;
          hashes[index].update(value.chunk);
          counts[index]! += value.chunk.length;
        }
        const [one, other] = both;
        if (one.done === true && other.done === true) break;
        if (one.done !== true && other.done !== true) {
          mismatch ??= firstDifference(one.value.chunk, other.value.chunk, one.value.position);
        }
        options.onProgress?.(counts[0]!, Math.max(0, sizes[0] - offset));
      }
      if (sizes[0] !== sizes[1]) mismatch ??= { kind: 'size', expected: sizes[1], found: sizes[0] };
      const durationMs = performance.now() - startedAt;
      const reading = (index: 0 | 1, difference: Difference | null): ReadBack => ({
        fileBytes: sizes[index],
        bytes: counts[index]!,
        sha256: hashes[index].digest('hex'),
        mismatch: difference,
        durationMs,
      });
      return { file: reading(0, mismatch), against: reading(1, null) };
    } finally {
      await right.close();
    }
  } finally {
    await left.close();
  }
}

/** The file from `offset` on. The next chunks are read while the caller works on one, which is valid until then. */
async function* chunksOf(file: FileHandle, offset: number): AsyncGenerator<{ chunk: Buffer; position: number }> {
  const buffers = Array.from({ length: READS_AHEAD + 1 }, () => Buffer.allocUnsafe(CHUNK_BYTES));
  const reading: Promise<Buffer>[] = [];
  let position = offset;
  let readPosition = offset;
  let turn = 0;
  const readAhead = (): void => {
    // The first chunk ends where whole chunks do, so that no block is cut in two for the comparison.
    const length = CHUNK_BYTES - (readPosition % CHUNK_BYTES);
    reading.push(readFully(file, buffers[turn % buffers.length]!, length, readPosition));
    turn += 1;
    readPosition += length;
  };
  try {
    while (reading.length < READS_AHEAD) readAhead();
    for (;;) {
      const chunk = await reading.shift()!;
      if (chunk.length === 0) return;
      readAhead();
      yield { chunk, position };
      position += chunk.length;
    }
  } finally {
    await Promise.allSettled(reading); // the file is closed next; nothing may still be reading from it
  }
}

/** `length` bytes at `position`, or fewer at the end of the file. */
async function readFully(file: FileHandle, buffer: Buffer, length: number, position: number): Promise<Buffer> {
  let filled = 0;
  while (filled < length) {
    // Again for the rest of a short read.
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** The first byte in which two chunks at `position` differ within the shorter one; null if there is none. */
function firstDifference(found: Buffer, expected: Buffer, position: number): Difference | null {
  const length = Math.min(found.length, expected.length);
  if (found.compare(expected, 0, length, 0, length) === 0) return null;
  let index = 0;
  while (found[index] === expected[index]) index += 1;
  return { kind: 'content', position: position + index, expected: expected[index] ?? 0, found: found[index] ?? 0 };
}

/** A difference in words: where, what was there, what should have been. */
export function describeDifference(difference: Difference): string {
  if (difference.kind === 'size') return `the file has ${difference.found} bytes, ${difference.expected} were expected`;
  const hex = (byte: number): string => `0x${byte.toString(16).padStart(2, '0')}`;
  const { position, found, expected, note } = difference;
  const where = `at offset ${position} (0x${position.toString(16)})`;
  return `${where} there is ${hex(found)} where ${hex(expected)} belongs${note === undefined ? '' : `; ${note}`}`;
}
