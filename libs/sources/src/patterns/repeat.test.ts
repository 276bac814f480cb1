/** Spreading a few bytes over a row. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { repeatBytes } from './repeat.ts';

const SEED = 20_110_608;

test(`repeats a period of any length to the end, the last in part, and writes nothing beyond (seed ${SEED})`, () => {
  const periods = fc.oneof(fc.integer({ min: 1, max: 700 }), fc.constantFrom(512, 4095, 4096, 4097, 5000));
  fc.assert(
    fc.property(fc.nat(9), periods, fc.nat(20_000), (start, period, more) => {
      const end = start + period + more;
      const bytes = new Uint8Array(new SharedArrayBuffer(end + 5)).fill(0xee);
      for (let index = 0; index < period; index += 1) bytes[start + index] = index % 251;
      repeatBytes(bytes, start, period, end);
      const expected = Buffer.alloc(end + 5, 0xee);
      for (let index = start; index < end; index += 1) expected[index] = ((index - start) % period) % 251;
      expect(Buffer.from(bytes.slice()).compare(expected)).toBe(0);
    }),
    { seed: SEED, numRuns: 300 },
  );
});
