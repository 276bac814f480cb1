/**
 * The pattern stamp: every 512 bytes carry the place in the file where they belong, at both ends, so that a block that was
 * misplaced, mixed up or written by half shows when it is read.
 */
import type { BlockFormat } from './blocks.ts';

/** The length of a block: the smallest that disks write as a whole. */
export const STAMP_BLOCK_BYTES = 512;

const BLOCK_WORDS = STAMP_BLOCK_BYTES / 4;
const MAGIC_LOW = 0x534e_4550; // the bytes "PENS"
const MAGIC_HIGH = 0x4b43_4f54; // the bytes "TOCK"

// Word by word; the file offset is a 64-bit number, low word first.
const HEAD_MAGIC_LOW = 0;
const HEAD_MAGIC_HIGH = 1;
const HEAD_OFFSET_LOW = 2;
const HEAD_OFFSET_HIGH = 3;
const HEAD_SEED = 4;
const HEAD_CHECK = 5;
const BODY_FIRST = 6;
const TAIL_OFFSET_LOW = 125;
const TAIL_OFFSET_HIGH = 126;
const TAIL_CHECK = 127;

/**
 * Block k of the file stands at bytes 512k to 512k+511. In little-endian words:
 *
 * | words | bytes | hold |
 * |---|---|---|
 * | 0, 1 | 0 to 7 | the ASCII text `PENSTOCK` |
 * | 2, 3 | 8 to 15 | the block's offset in the file, 512k |
 * | 4 | 16 to 19 | the seed |
 * | 5 | 20 to 23 | the check: stampCheck of offset and seed |
 * | 6 to 124 | 24 to 499 | the body: bodyWord(seed, word), the same in every block |
 * | 125, 126 | 500 to 507 | the offset again |
 * | 127 | 508 to 511 | the check again |
 *
 * A file whose size is no multiple of 512 ends within a block.
 */
export function stampFormat(seed: number): BlockFormat {
  return {
    blockBytes: STAMP_BLOCK_BYTES,
    writeBody: (words, wordIndex) => {
      words[wordIndex + HEAD_MAGIC_LOW] = MAGIC_LOW;
      words[wordIndex + HEAD_MAGIC_HIGH] = MAGIC_HIGH;
      words[wordIndex + HEAD_SEED] = seed;
      for (let word = BODY_FIRST; word < TAIL_OFFSET_LOW; word += 1) words[wordIndex + word] = bodyWord(seed, word);
    },
    mark: (words, wordIndex, blockCount, positionHigh, positionLow) => {
      markBlocks(words, wordIndex, blockCount, positionHigh, positionLow, seed);
    },
  };
}

function markBlocks(
  words: Uint32Array,
  wordIndex: number,
  blockCount: number,
  positionHigh: number,
  positionLow: number,
  seed: number,
): void {
  let high = positionHigh;
  let low = positionLow;
  let word = wordIndex;
  for (let block = 0; block < blockCount; block += 1) {
    const check = stampCheck(low, high, seed);
    words[word + HEAD_OFFSET_LOW] = low;
    words[word + HEAD_OFFSET_HIGH] = high;
    words[word + HEAD_CHECK] = check;
    words[word + TAIL_OFFSET_LOW] = low;
    words[word + TAIL_OFFSET_HIGH] = high;
    words[word + TAIL_CHECK] = check;
    word += BLOCK_WORDS;
    low = (low + STAMP_BLOCK_BYTES) | 0;
    if (low === 0) high += 1; // 512 divides 2^32: the carry always passes through 0
  }
}

/** 32 bits in which every bit of offset and seed counts: multiply and shift, as in MurmurHash3's finaliser. */
function stampCheck(offsetLow: number, offsetHigh: number, seed: number): number {
  let check = Math.imul(seed ^ 0x9e37_79b9 ^ offsetLow, 0x85eb_ca6b);
  check = Math.imul(check ^ (check >>> 13) ^ offsetHigh, 0xc2b2_ae35);
  check = Math.imul(check ^ (check >>> 16), 0x27d4_eb2f);
  return check ^ (check >>> 15);
}

/** A word of the body, different for each seed and each word, so that shifted bytes and foreign seeds differ widely. */
function bodyWord(seed: number, word: number): number {
  return stampCheck(word, ~word, seed);
}

/** What a block that was read from a file carries. */
export interface Stamp {
  /** Where in the file it belongs, by its head. */
  offset: number;
  seed: number;
  /** The block is whole: its head, its body and its tail agree in every byte. */
  ok: boolean;
  /** The head is right in itself, but the tail is not its own: another write's, or none. */
  torn: boolean;
}

/** Reads the stamp of 512 bytes; null if they are fewer or no block begins there. */
export function readStamp(block: Uint8Array): Stamp | null {
  if (block.byteLength < STAMP_BLOCK_BYTES) return null;
  const view = new DataView(block.buffer, block.byteOffset, STAMP_BLOCK_BYTES);
  const wordAt = (word: number): number => view.getUint32(word * 4, true);
  if (wordAt(HEAD_MAGIC_LOW) !== MAGIC_LOW || wordAt(HEAD_MAGIC_HIGH) !== MAGIC_HIGH) return null;
  const low = wordAt(HEAD_OFFSET_LOW);
  const high = wordAt(HEAD_OFFSET_HIGH);
  const seed = wordAt(HEAD_SEED);
  const check = wordAt(HEAD_CHECK);
  const headRight = check === stampCheck(low, high, seed) >>> 0 && low % STAMP_BLOCK_BYTES === 0;
  const tailRight =
    wordAt(TAIL_OFFSET_LOW) === low && wordAt(TAIL_OFFSET_HIGH) === high && wordAt(TAIL_CHECK) === check;
  let bodyRight = true;
  for (let word = BODY_FIRST; word < TAIL_OFFSET_LOW; word += 1) {
    if (wordAt(word) !== bodyWord(seed, word) >>> 0) bodyRight = false;
  }
  return { offset: high * 2 ** 32 + low, seed, ok: headRight && tailRight && bodyRight, torn: headRight && !tailRight };
}
