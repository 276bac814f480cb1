/** The bytes that a request carries itself, as base64. */
import { Buffer } from 'node:buffer';
import type { DirectSource } from './source.ts';

/** The bytes that `data` (RFC 4648) stands for; the file ends where they do. */
export class InlineSource implements DirectSource {
  readonly constant = false;
  readonly #bytes: Uint8Array;

  constructor(data: string) {
    this.#bytes = Buffer.from(data, 'base64');
  }

  /** Bytes of it. */
  get size(): number {
    return this.#bytes.byteLength;
  }

  prepareRow(): void {
    // Every byte depends on its position.
  }

  fill(bytes: Uint8Array, rowStart: number, length: number, position: number): void {
    this.write(bytes, rowStart, length, position);
  }

  write(bytes: Uint8Array, start: number, length: number, position: number): void {
    bytes.set(this.#bytes.subarray(position, position + length), start);
  }
}
