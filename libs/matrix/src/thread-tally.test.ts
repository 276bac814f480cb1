// What the main thread reads of a writer thread's counts: bytes and quantiles of any two moments.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { TallySum, ThreadTallies, ThreadTally } from './thread-tally.ts';

const PARAMETERS = { seed: 20_261_128, numRuns: 200 };

const sumOf = (...tallies: ThreadTally[]): TallySum => {
  const sum = new TallySum();
  for (const tally of tallies) tally.addTo(sum);
  return sum;
};

test('a quantile is within a tenth of the true one, of any latencies between two moments', () => {
  const latency = fc.integer({ min: 1, max: 600_000_000 });
  fc.assert(
    fc.property(fc.array(latency), fc.array(latency, { minLength: 1 }), (before, since) => {
      const tallies = new ThreadTallies(2);
      for (const us of before) tallies.of(0).count(4096, us);
      const earlier = sumOf(tallies.of(0), tallies.of(1));
      since.forEach((us, index) => tallies.of(index % 2).count(4096, us));
      const found = sumOf(tallies.of(0), tallies.of(1)).latencySince(earlier)!;
      const sorted = since.toSorted((one, other) => one - other);
      for (const [share, value] of [
        [0.5, found.p50],
        [0.99, found.p99],
      ] as const) {
        const exact = sorted[Math.ceil(sorted.length * share) - 1]!;
        expect(Math.abs(value - exact)).toBeLessThanOrEqual(Math.max(1, exact * 0.1 + 0.5)); // it is rounded
      }
    }),
    PARAMETERS,
  );
});

test('bytes of failed iocbs do not count, and more than 2^32 do', () => {
  const tally = new ThreadTally();
  for (let index = 0; index < 5000; index += 1) tally.count(1_048_576, 100);
  tally.count(-28, 100);
  expect(sumOf(tally).bytes).toBe(5000 * 1_048_576);
});

test('where nothing came back there is no latency', () => {
  const tally = new ThreadTally();
  tally.count(1, 50);
  expect(sumOf(tally).latencySince(sumOf(tally))).toBeNull();
});

test('row memory is what the thread took and has not given back, and nothing of a thread that died', () => {
  const tally = new ThreadTally();
  tally.addRowBytes(12_288);
  tally.addRowBytes(-4096);
  expect(sumOf(tally, tally).rowBytes).toBe(16_384);
  tally.dropRowBytes();
  expect(sumOf(tally).rowBytes).toBe(0);
});
