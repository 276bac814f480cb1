/**
 * The bytes of a soak's files, computed without any code that is under test: the key stream of AES-256 in counter mode,
 * which by its definition is what the pattern "random" of the same seed has to be. Whole files are compared by SHA-256.
 */
import { createCipheriv, createHash } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';

const PIECE_BYTES = 1_048_576;
const BLOCK_BYTES = 16;

/** The bytes of seed `seed` from `start` on, below `end`, a piece at a time. */
export function* contentPieces(seed: number, start: number, end: number): Generator<Buffer> {
  const key = createHash('sha256').update(`penstock random seed ${seed}`).digest();
  const counter = Buffer.alloc(BLOCK_BYTES);
  counter.writeBigUInt64BE(BigInt(Math.floor(start / BLOCK_BYTES)), 8);
  const stream = createCipheriv('aes-256-ctr', key, counter);
  stream.update(Buffer.alloc(start % BLOCK_BYTES));
  const zeros = Buffer.alloc(PIECE_BYTES);
  for (let position = start; position < end; position += PIECE_BYTES) {
    yield stream.update(zeros.subarray(0, Math.min(PIECE_BYTES, end - position)));
  }
}

const known = new Map<string, string>();

export function contentSha256(seed: number, size: number): string {
  const name = `${seed}/${size}`;
  let digits = known.get(name);
  if (digits === undefined) {
    const hash = createHash('sha256');
    for (const piece of contentPieces(seed, 0, size)) hash.update(piece);
    digits = hash.digest('hex');
    known.set(name, digits);
  }
  return digits;
}

export function writeContent(path: string, seed: number, size: number): Promise<void> {
  return writeFile(path, contentPieces(seed, 0, size));
}

/** Where the file differs from the content first, in words; null where it does not. */
export async function differenceIn(path: string, seed: number, size: number): Promise<string | null> {
  const file = await open(path);
  try {
    const { size: found } = await file.stat();
    if (found !== size) return `it has ${found} bytes, not ${size}`;
    let position = 0;
    for (const expected of contentPieces(seed, 0, size)) {
      const piece = Buffer.alloc(expected.length);
      await file.read(piece, 0, piece.length, position);
      const at = expected.findIndex((byte, index) => byte !== piece[index]);
      if (at !== -1) return `its bytes are others from ${position + at} on`;
      position += expected.length;
    }
    return null;
  } finally {
    await file.close();
  }
}
