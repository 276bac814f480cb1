/** The pattern random: bytes that no compression, deduplication or zero detection of a disk can shorten. */
import { type Cipher, createCipheriv, createHash } from 'node:crypto';
import type { DirectSource } from '../source.ts';

const CIPHER_BLOCK_BYTES = 16;
/** Of one call of the cipher: many small rows share one, and a large row is copied while still in the cache. */
const WINDOW_BYTES = 65_536;
const ZEROS = new Uint8Array(WINDOW_BYTES);

/**
 * The keystream of AES-256-CTR, the encryption of zeros: the 16 bytes at position 16k are AES-256 of the 128-bit
 * big-endian number k, under the key SHA-256(`penstock random seed N`), N being the seed in decimal.
 *
 * Every position is reached directly, as the cipher depends on k alone. fill allocates: a buffer for each 64 KiB, as
 * node:crypto has no way to write into memory that is already there, and a view for each copy.
 */
export class RandomSource implements DirectSource {
  readonly constant = false;
  readonly #key: Buffer;
  /** The keystream made last; the cipher stands at its end. */
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;
  #cipher: Cipher | null = null;

  constructor(seed: number) {
    this.#key = createHash('sha256').update(`penstock random seed ${seed}`).digest();
  }

  prepareRow(): void {
    // Every byte depends on the position.
  }

  fill(bytes: Uint8Array, rowStart: number, length: number, position: number): void {
    let done = 0;
    while (done < length) {
      let from = position + done - this.#windowStart;
      if (from < 0 || from >= this.#window.length) {
        this.#moveWindow(position + done, length - done);
        from = 0;
      }
      const part = Math.min(this.#window.length - from, length - done);
      bytes.set(this.#window.subarray(from, from + part), rowStart + done);
      done += part;
    }
  }

  write(bytes: Uint8Array, start: number, length: number, position: number): void {
    this.fill(bytes, start, length, position);
  }

  #moveWindow(position: number, wantedBytes: number): void {
    const follows = position === this.#windowStart + this.#window.length;
    const cipher = (follows ? this.#cipher : null) ?? this.#cipherAt(position);
    // Bytes in sequence will go on in sequence, so a whole window is made; after a jump only what is wanted.
    const windowBytes = follows ? WINDOW_BYTES : Math.min(WINDOW_BYTES, wantedBytes);
    this.#window = cipher.update(ZEROS.subarray(0, windowBytes));
    this.#windowStart = position;
    this.#cipher = cipher;
  }

  #cipherAt(position: number): Cipher {
    const block = Math.floor(position / CIPHER_BLOCK_BYTES);
    const counter = Buffer.alloc(CIPHER_BLOCK_BYTES);
    counter.writeUInt32BE(Math.floor(block / 2 ** 32), 8);
    counter.writeUInt32BE(block % 2 ** 32, 12);
    const cipher = createCipheriv('aes-256-ctr', this.#key, counter);
    const skipped = position - block * CIPHER_BLOCK_BYTES;
    if (skipped > 0) cipher.update(ZEROS.subarray(0, skipped));
    return cipher;
  }
}
