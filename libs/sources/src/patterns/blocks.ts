/**
 * What the patterns text and stamp share: files of equal blocks, of which only a few words vary with the position.
 * prepareRow writes the body of every block of a row; fill then stores the varying words alone.
 */
import { repeatBytes } from './repeat.ts';
import type { DirectSource } from '../source.ts';
import { WordCache, wordsOf } from './words.ts';

/** Row memory is mostly the same for all sources of a thread. */
const lastViewed = new WordCache();

/** One kind of block. */
export interface BlockFormat {
  /** A power of 2, at least 4. */
  readonly blockBytes: number;
  /** Stores the words of a block that do not vary, the first at words[wordIndex]; where mark() stores, anything may stand. */
  writeBody(words: Uint32Array, wordIndex: number): void;
  /**
   * Stores the words that vary into `blockCount` blocks in sequence, the first beginning at words[wordIndex] and in the
   * file at a multiple of blockBytes. That position comes as the two int32 halves of a 64-bit number: beyond 2^31 one
   * number would be allocated for each call.
   */
  mark(words: Uint32Array, wordIndex: number, blockCount: number, positionHigh: number, positionLow: number): void;
}

interface PreparedRow {
  rowBytes: number;
  /** The epoch in which the row's bodies were written; -1 when they have been overwritten since. */
  epoch: number;
}

/** A source of blocks. Correct at any position and place; fast where a row begins with a block. */
export class BlockSource implements DirectSource {
  readonly constant = false;
  readonly #format: BlockFormat;
  /** One block, built here and copied from where only a part of it is wanted or it lies across words; null before that. */
  #block: { words: Uint32Array; bytes: Uint8Array } | null = null;
  #bytes: Uint8Array | null = null;
  #words: Uint32Array | null = null;
  readonly #rows = new Map<number, PreparedRow>();
  /** Grows whenever a write may have gone through the bodies of rows unknown: they are written anew when next filled. */
  #epoch = 0;

  constructor(format: BlockFormat) {
    this.#format = format;
  }

  prepareRow(bytes: Uint8Array, rowStart: number, rowBytes: number): void {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#words = lastViewed.wordsOf(bytes);
      this.#rows.clear();
    }
    if (this.#words === null || rowStart % 4 !== 0) return; // fill finds no prepared row and writes every byte
    const blockCount = Math.floor(rowBytes / this.#format.blockBytes);
    writeBodies(bytes, this.#words, rowStart, blockCount, this.#format);
    this.#rows.set(rowStart, { rowBytes, epoch: this.#epoch });
  }

  fill(bytes: Uint8Array, rowStart: number, length: number, position: number): void {
    if (bytes !== this.#bytes) {
      this.write(bytes, rowStart, length, position);
      return;
    }
    const { blockBytes } = this.#format;
    const high = highHalf(position);
    const low = position | 0;
    const row = this.#rows.get(rowStart);
    const words = this.#words;
    if (row === undefined || words === null || length > row.rowBytes) {
      // Any row may have been hit: their bodies are no longer to be relied on.
      this.#epoch += 1;
      this.#copyBlocks(bytes, words, rowStart, length, high, low);
    } else if ((low & (blockBytes - 1)) === 0) {
      if (row.epoch !== this.#epoch) {
        writeBodies(bytes, words, rowStart, Math.floor(row.rowBytes / blockBytes), this.#format);
        row.epoch = this.#epoch;
      }
      const blockCount = Math.floor(length / blockBytes);
      this.#format.mark(words, rowStart >>> 2, blockCount, high, low);
      const whole = blockCount * blockBytes;
      if (whole < length) {
        const wholeEnd = position + whole;
        this.#copyBlocks(bytes, words, rowStart + whole, length - whole, highHalf(wholeEnd), wholeEnd | 0);
      }
    } else {
      row.epoch = -1;
      this.#copyBlocks(bytes, words, rowStart, length, high, low);
    }
  }

  write(bytes: Uint8Array, start: number, length: number, position: number): void {
    this.#copyBlocks(bytes, wordsOf(bytes), start, length, highHalf(position), position | 0);
  }

  /** Builds block after block and copies of each what lies in the range: every byte is written. */
  #copyBlocks(
    bytes: Uint8Array,
    words: Uint32Array | null,
    start: number,
    length: number,
    positionHigh: number,
    positionLow: number,
  ): void {
    const { blockBytes } = this.#format;
    const block = (this.#block ??= blockOf(this.#format));
    const end = start + length;
    let at = start;
    let from = positionLow & (blockBytes - 1);
    let high = positionHigh;
    let low = positionLow - from;
    while (at < end) {
      const part = Math.min(blockBytes - from, end - at);
      this.#format.mark(block.words, 0, 1, high, low);
      let copied = 0;
      if (words !== null && ((at | from) & 3) === 0) {
        copied = part & ~3;
        copyWords(block.words, from >>> 2, words, at >>> 2, copied >>> 2);
      }
      copyBytes(block.bytes, from + copied, bytes, at + copied, part - copied);
      at += part;
      from = 0;
      low = (low + blockBytes) | 0;
      if (low === 0) high += 1; // a power of 2 divides 2^32: the carry always passes through 0
    }
  }
}

/** What is left of a position after its low 32 bits, which `| 0` gives. */
function highHalf(position: number): number {
  return Math.floor(position / 2 ** 32);
}

/** A block without its marks. */
function blockOf(format: BlockFormat): { words: Uint32Array; bytes: Uint8Array } {
  const words = new Uint32Array(format.blockBytes / 4);
  format.writeBody(words, 0);
  return { words, bytes: new Uint8Array(words.buffer) };
}

function writeBodies(
  bytes: Uint8Array,
  words: Uint32Array,
  start: number,
  blockCount: number,
  format: BlockFormat,
): void {
  if (blockCount === 0) return;
  format.writeBody(words, start >>> 2);
  repeatBytes(bytes, start, format.blockBytes, start + blockCount * format.blockBytes);
}

// Loops rather than set(subarray): a view is an allocation, and a block is too short to repay it.
function copyWords(from: Uint32Array, fromIndex: number, to: Uint32Array, toIndex: number, count: number): void {
  for (let word = 0; word < count; word += 1) to[toIndex + word] = from[fromIndex + word] ?? 0;
}

function copyBytes(from: Uint8Array, fromIndex: number, to: Uint8Array, toIndex: number, count: number): void {
  for (let byte = 0; byte < count; byte += 1) to[toIndex + byte] = from[fromIndex + byte] ?? 0;
}
