/** From a pattern's name and seed to the source of its bytes. */
import type { PatternName } from '@penstock/contract';
import { BlockSource } from './blocks.ts';
import { ConstantSource } from './constant.ts';
import { CounterSource } from './counter.ts';
import { RandomSource } from './random.ts';
import type { DirectSource } from '../source.ts';
import { stampFormat } from './stamp.ts';
import { textFormat } from './text.ts';

const SEED_MAX = 0xffff_ffff;

/**
 * The source of a pattern's bytes:
 *
 * - zero: every byte 0, whatever the seed
 * - byte: every byte seed & 0xff
 * - counter: little-endian 32-bit words, seed + position / 4
 * - text: lines of 64 bytes with their number and the seed
 * - stamp: blocks of 512 bytes that carry their offset, the seed and a check at both ends
 * - random: the keystream of AES-256-CTR under a key made of the seed
 *
 * Each is defined to the byte in its own file. A source holds state of the matrix it fills: one for each running write.
 *
 * @throws RangeError for an unknown pattern, and for a seed that is no integer from 0 to 2^32-1.
 */
export function createPatternSource(pattern: PatternName, seed: number): DirectSource {
  if (!Number.isInteger(seed) || seed < 0 || seed > SEED_MAX) {
    throw new RangeError(`the seed ${seed} is not accepted; give a whole number from 0 to ${SEED_MAX}`);
  }
  switch (pattern) {
    case 'zero':
      return new ConstantSource(0);
    case 'byte':
      return new ConstantSource(seed & 0xff);
    case 'counter':
      return new CounterSource(seed);
    case 'text':
      return new BlockSource(textFormat(seed));
    case 'stamp':
      return new BlockSource(stampFormat(seed));
    case 'random':
      return new RandomSource(seed);
    default:
      throw new RangeError(`the pattern ${String(pattern)} is not known`);
  }
}
