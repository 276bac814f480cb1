import { expect, test } from '@jest/globals';
import { trialBytesMax } from './measure.ts';

const MIB = 1_048_576;

test('trials take half of what is free at most, and say what is missing where that is too little', () => {
  expect(trialBytesMax('root data', 1e15)).toBe(1024 * MIB);
  expect(trialBytesMax('root data', 600 * MIB)).toBe(300 * MIB);
  expect(() => trialBytesMax('root data (/srv/x)', 100 * MIB)).toThrow(
    'to measure root data (/srv/x) takes 512.00 MiB free, and there are 100.00 MiB',
  );
});
