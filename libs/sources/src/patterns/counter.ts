/** The pattern counter: consecutive 32-bit numbers, which show at once where in the file a byte belongs. */
import type { DirectSource } from '../source.ts';
import { WordCache, wordsOf } from './words.ts';

/**
 * Bytes 4k to 4k+3 of the file are the little-endian unsigned word (seed + k) mod 2^32, so that the words wrap, and
 * repeat, every 16 GiB.
 */
export class CounterSource implements DirectSource {
  readonly constant = false;
  readonly #seed: number;
  readonly #cache = new WordCache();

  constructor(seed: number) {
    this.#seed = seed;
  }

  prepareRow(bytes: Uint8Array): void {
    // Every word depends on the position; only the view can be made ahead.
    this.#cache.wordsOf(bytes);
  }

  fill(bytes: Uint8Array, rowStart: number, length: number, position: number): void {
    writeCounter(bytes, this.#cache.wordsOf(bytes), rowStart, length, position, this.#seed);
  }

  write(bytes: Uint8Array, start: number, length: number, position: number): void {
    writeCounter(bytes, wordsOf(bytes), start, length, position, this.#seed);
  }
}

function writeCounter(
  bytes: Uint8Array,
  words: Uint32Array | null,
  start: number,
  length: number,
  position: number,
  seed: number,
): void {
  const end = start + length;
  const index = Math.floor(position / 4);
  let at = start;
  let phase = position - index * 4;
  // Conversion to int32 is modulo 2^32 for any integer below 2^53, and so is every sum below.
  let value = (seed + index) | 0;
  const wordsEnd = words === null ? start : end - (end & 3);
  // Single bytes up to the first whole word in memory; then words, whatever their phase in the file; then the rest.
  while (at < end && (at & 3) !== 0) {
    bytes[at] = value >>> (phase * 8);
    at += 1;
    phase = (phase + 1) & 3;
    if (phase === 0) value = (value + 1) | 0;
  }
  if (words !== null && at < wordsEnd) {
    value =
      phase === 0
        ? storeCounter(words, at >>> 2, wordsEnd >>> 2, value)
        : storeShifted(words, at >>> 2, wordsEnd >>> 2, value, phase * 8);
    at = wordsEnd;
  }
  for (; at < end; at += 1) {
    bytes[at] = value >>> (phase * 8);
    phase = (phase + 1) & 3;
    if (phase === 0) value = (value + 1) | 0;
  }
}

/** Stores value, value + 1, … into words[from, to); returns the value after the last. */
function storeCounter(words: Uint32Array, from: number, to: number, value: number): number {
  let next = value;
  let word = from;
  // Eight stores a turn: with one, the loop's own tests cost as much as the store.
  for (const whole = from + ((to - from) & ~7); word < whole; word += 8) {
    words[word] = next;
    words[word + 1] = (next + 1) | 0;
    words[word + 2] = (next + 2) | 0;
    words[word + 3] = (next + 3) | 0;
    words[word + 4] = (next + 4) | 0;
    words[word + 5] = (next + 5) | 0;
    words[word + 6] = (next + 6) | 0;
    words[word + 7] = (next + 7) | 0;
    next = (next + 8) | 0;
  }
  for (; word < to; word += 1) {
    words[word] = next;
    next = (next + 1) | 0;
  }
  return next;
}

/** The same if the file's words begin `shift` bits earlier than memory's: each store joins two of them. */
function storeShifted(words: Uint32Array, from: number, to: number, value: number, shift: number): number {
  let next = value;
  for (let word = from; word < to; word += 1) {
    words[word] = (next >>> shift) | ((next + 1) << (32 - shift));
    next = (next + 1) | 0;
  }
  return next;
}
