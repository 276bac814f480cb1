/** Reading back: the bytes of a source, compared with the bytes that a file has. */
import type { PatternName } from '@penstock/contract';
import type { DirectSource, Source } from './source.ts';
import { readStamp, STAMP_BLOCK_BYTES } from './patterns/stamp.ts';

/** The first byte that differs. */
export interface Mismatch {
  /** Of the byte, in the file. */
  position: number;
  expected: number;
  found: number;
  /** What is known about the place beyond the byte. */
  note?: string;
}

const COMPARED_BYTES = 262_144; // at a time: both sides stay in the cache

/** `length` bytes of the source at `position`, in fresh memory. The rows that the source fills are not disturbed. */
export function readSource(source: Source, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  writeSource(source, bytes, length, position);
  return bytes;
}

function writeSource(source: Source, bytes: Uint8Array, length: number, position: number): void {
  if (isDirect(source)) {
    source.write(bytes, 0, length, position);
  } else {
    source.prepareRow(bytes, 0, length);
    source.fill(bytes, 0, length, position);
  }
}

function isDirect(source: Source): source is DirectSource {
  return 'write' in source;
}

/**
 * Compares the bytes found at `position` in a file with the source's; null if all are equal.
 *
 * For the pattern stamp the note names what the 512-byte block around the difference carries, as far as `bytes` hold it
 * whole: compare whole blocks.
 */
export function findMismatch(
  source: Source,
  pattern: PatternName,
  bytes: Uint8Array,
  position: number,
): Mismatch | null {
  const found = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const expected = Buffer.alloc(Math.min(COMPARED_BYTES, found.length));
  for (let start = 0; start < found.length; start += COMPARED_BYTES) {
    const length = Math.min(COMPARED_BYTES, found.length - start);
    writeSource(source, expected, length, position + start);
    if (found.compare(expected, 0, length, start, start + length) === 0) continue;
    let index = 0;
    while (found[start + index] === expected[index]) index += 1;
    const mismatch: Mismatch = {
      position: position + start + index,
      expected: expected[index] ?? 0,
      found: found[start + index] ?? 0,
    };
    const note = pattern === 'stamp' ? stampNote(source, found, position, mismatch.position) : null;
    return note === null ? mismatch : { ...mismatch, note };
  }
  return null;
}

/** What the block around a difference is; null if `found`, which begins at `position`, holds only a part of it. */
function stampNote(source: Source, found: Buffer, position: number, differingPosition: number): string | null {
  const blockPosition = Math.floor(differingPosition / STAMP_BLOCK_BYTES) * STAMP_BLOCK_BYTES;
  const start = blockPosition - position;
  if (start < 0 || start + STAMP_BLOCK_BYTES > found.length) return null;
  const block = found.subarray(start, start + STAMP_BLOCK_BYTES);
  const stamp = readStamp(block);
  if (stamp === null) return block.every((byte) => byte === 0) ? 'zeros: a hole, or never written' : 'no stamp';
  const carried = `block of offset ${stamp.offset}, seed ${stamp.seed}`;
  if (stamp.torn) return `torn: head and tail differ (head: ${carried})`;
  if (!stamp.ok) return `damaged: ${carried}`;
  const seed = readStamp(readSource(source, blockPosition, STAMP_BLOCK_BYTES))?.seed;
  if (stamp.seed !== seed) return `${carried}: of another file`;
  return `${carried}: misplaced`;
}
