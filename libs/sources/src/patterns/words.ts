/** The matrix's bytes seen as 32-bit words: one store does the work of four. */
import { endianness } from 'node:os';

const LITTLE_ENDIAN = endianness() === 'LE';

/**
 * The same memory as words, where word i covers bytes 4i to 4i+3; null if that cannot be: the bytes start at an odd
 * address, or this machine stores words the other way round than the patterns are defined. Then bytes are stored singly.
 */
export function wordsOf(bytes: Uint8Array): Uint32Array | null {
  if (!LITTLE_ENDIAN || bytes.byteOffset % 4 !== 0) return null;
  return new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4));
}

const NO_BYTES = new Uint8Array(0);

/** The word view of the last array asked for, so that asking again for the same one allocates nothing. */
export class WordCache {
  #bytes: Uint8Array = NO_BYTES;
  #words: Uint32Array | null = null;

  wordsOf(bytes: Uint8Array): Uint32Array | null {
    if (bytes !== this.#bytes) {
      this.#words = wordsOf(bytes);
      this.#bytes = bytes;
    }
    return this.#words;
  }
}
