/** The patterns zero and byte: the same byte everywhere, so that a row once prepared is right for any position. */
import { repeatBytes } from './repeat.ts';
import type { DirectSource } from '../source.ts';

const FIRST_BYTES = 64;

/** Every byte of the file is `value`, 0 to 255. */
export class ConstantSource implements DirectSource {
  readonly constant = true;
  readonly #value: number;

  constructor(value: number) {
    this.#value = value;
  }

  prepareRow(bytes: Uint8Array, rowStart: number, rowBytes: number): void {
    this.write(bytes, rowStart, rowBytes);
  }

  fill(): void {
    // prepareRow has written every byte the row will ever hold.
  }

  write(bytes: Uint8Array, start: number, length: number): void {
    const first = Math.min(FIRST_BYTES, length);
    bytes.fill(this.#value, start, start + first);
    repeatBytes(bytes, start, first, start + length);
  }
}
