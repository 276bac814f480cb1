/** What is kept of one file while its bytes pass: the running sum that was asked for, and a crc32c of each chunk. */
import { type Hash, createHash } from 'node:crypto';
import type { ChecksumName } from '@penstock/contract';
import { extendCrc32c, extendCrc32cByZeros, joinCrc32c, printCrc32c } from './crc32c.ts';

/** Hashed again and again for a hole. */
const ZEROS = new Uint8Array(65_536);

export class FileSums {
  readonly #hash: Hash | null;
  /** The running crc32c; null if it was not asked for. */
  #crc: number | null;
  /** The crc32c of each chunk, as far as #chunkCount; null if none is kept. */
  #chunks: Uint32Array | null;
  #chunkCount = 0;

  constructor(algorithm: ChecksumName | null, keepsChunks: boolean) {
    this.#hash = algorithm === 'sha256' ? createHash('sha256') : null;
    this.#crc = algorithm === 'crc32c' ? 0 : null;
    this.#chunks = keepsChunks ? new Uint32Array(1024) : null;
  }

  /** Adds the next bytes of the file, as one chunk. */
  add(bytes: Uint8Array): void {
    this.#hash?.update(bytes);
    if (this.#chunks === null) {
      if (this.#crc !== null) this.#crc = extendCrc32c(this.#crc, bytes);
      return;
    }
    const crc = extendCrc32c(0, bytes);
    this.#keepChunk(crc);
    // The bytes are read once for both.
    if (this.#crc !== null) this.#crc = joinCrc32c(this.#crc, crc, bytes.length);
  }

  /** Adds the zeros of a hole, which no row has. They are no chunk. */
  addZeros(count: number): void {
    if (this.#crc !== null) this.#crc = extendCrc32cByZeros(this.#crc, count);
    if (this.#hash === null) return;
    for (let left = count; left > 0; left -= ZEROS.length) {
      this.#hash.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
    }
  }

  #keepChunk(crc: number): void {
    let chunks = this.#chunks!;
    if (this.#chunkCount === chunks.length) {
      const longer = new Uint32Array(chunks.length * 2);
      longer.set(chunks);
      this.#chunks = longer;
      chunks = longer;
    }
    chunks[this.#chunkCount] = crc;
    this.#chunkCount += 1;
  }

  /** The crc32c of the `index`th chunk that was added. */
  chunk(index: number): number {
    if (this.#chunks === null || index >= this.#chunkCount) throw new Error(`no chunk ${index} was kept`);
    return this.#chunks[index]!;
  }

  /** The sum in hexadecimal digits, '' if none was asked for. Nothing may be added afterwards. */
  finish(): string {
    if (this.#hash !== null) return this.#hash.digest('hex');
    return this.#crc === null ? '' : printCrc32c(this.#crc);
  }
}
