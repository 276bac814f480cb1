/** The pattern text: numbered lines, for people and line-based tools to read. */
import type { BlockFormat } from './blocks.ts';

/** The length of every line, its newline included. */
const TEXT_LINE_BYTES = 64; // 2^6

const NUMBER_WORD = 4; // the line number's 16 digits stand in words 4 to 7
const DIGITS = 10_000;

/** The four ASCII digits of 0 to 9999, each as the word that spells it in memory: the first digit in the lowest byte. */
const FOUR_DIGITS: Uint32Array = Uint32Array.from({ length: DIGITS }, (_, value) => {
  const text = String(value).padStart(4, '0');
  return Buffer.from(text, 'latin1').readUInt32LE();
});

/**
 * Line n of the file, counted from 0, stands at bytes 64n to 64n+63:
 *
 * `penstock line = 0000000000000042 seed = 0000000007 ............` and a newline.
 *
 * The number has 16 digits, the seed 10. A file whose size is no multiple of 64 ends within a line.
 */
export function textFormat(seed: number): BlockFormat {
  const line = `penstock line = ${'0'.repeat(16)} seed = ${String(seed).padStart(10, '0')} ${'.'.repeat(12)}\n`;
  const bytes = Buffer.from(line, 'latin1');
  const body = Uint32Array.from({ length: TEXT_LINE_BYTES / 4 }, (_, word) => bytes.readUInt32LE(word * 4));
  const writeBody = (words: Uint32Array, wordIndex: number): void => words.set(body, wordIndex);
  return { blockBytes: TEXT_LINE_BYTES, writeBody, mark: markLines };
}

function markLines(
  words: Uint32Array,
  wordIndex: number,
  lineCount: number,
  positionHigh: number,
  positionLow: number,
): void {
  // Groups of four digits, the lowest last, counted up with carry: a division for each line would cost more than its stores.
  let rest = positionHigh * (2 ** 32 / TEXT_LINE_BYTES) + (positionLow >>> 6);
  let next = Math.floor(rest / DIGITS);
  let fourth = (rest - next * DIGITS) | 0;
  rest = next;
  next = Math.floor(rest / DIGITS);
  let third = (rest - next * DIGITS) | 0;
  rest = next;
  next = Math.floor(rest / DIGITS);
  let second = (rest - next * DIGITS) | 0;
  let first = next | 0; // a position has 53 bits, its line number 47: below 10^16
  let word = wordIndex + NUMBER_WORD;
  for (let line = 0; line < lineCount; line += 1) {
    words[word] = FOUR_DIGITS[first] ?? 0;
    words[word + 1] = FOUR_DIGITS[second] ?? 0;
    words[word + 2] = FOUR_DIGITS[third] ?? 0;
    words[word + 3] = FOUR_DIGITS[fourth] ?? 0;
    word += TEXT_LINE_BYTES / 4;
    fourth += 1;
    if (fourth === DIGITS) {
      fourth = 0;
      third += 1;
      if (third === DIGITS) {
        third = 0;
        second += 1;
        if (second === DIGITS) {
          second = 0;
          first += 1;
        }
      }
    }
  }
}
