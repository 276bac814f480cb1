import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { fromWords, highWord, lowWord, roundUp } from './words.ts';

test('the two words of any safe integer make it again (seed 6)', () => {
  const words = new Int32Array(2);
  const property = fc.property(fc.maxSafeInteger(), (value) => {
    words[0] = lowWord(value);
    words[1] = highWord(value);
    expect(fromWords(words[0], words[1])).toBe(value);
    expect(new BigInt64Array(words.buffer)[0]).toBe(BigInt(value));
  });
  fc.assert(property, { seed: 6 });
});

test('a length is rounded up to whole blocks, and a whole one stays', () => {
  expect([0, 1, 511, 512, 513, 2 ** 40 + 1].map((length) => roundUp(length, 512))).toEqual([
    0,
    512,
    512,
    512,
    1024,
    2 ** 40 + 512,
  ]);
});
