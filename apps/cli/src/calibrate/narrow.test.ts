import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { type Candidate, MATRIX_BYTES_MAX, gridFor, median, narrow } from './narrow.ts';

const MIB = 1_048_576;

/** A device that takes up to `full` bytes in flight, and loses `noise` of its rate at times. */
function deviceOf(full: number, noise: (times: number) => number = () => 0) {
  let times = 0;
  const tried: Candidate[] = [];
  return {
    tried,
    measure: async (candidate: Candidate): Promise<number> => {
      tried.push(candidate);
      times += 1;
      const inFlight = candidate.threads * candidate.depth * candidate.rowBytes;
      return 2000 * MIB * Math.min(1, inFlight / full) * (1 - noise(times));
    },
  };
}

test('finds the cheapest of those that fill the device: fewer threads, then less row memory', async () => {
  const { winner, complete } = await narrow(gridFor(256, 4), deviceOf(8 * MIB).measure);
  expect(winner).toMatchObject({ threads: 1 });
  expect(winner!.depth * winner!.rowBytes).toBe(8 * MIB);
  expect(complete).toBe(true);
});

test('takes more threads where one does not fill the device', async () => {
  const { winner } = await narrow(gridFor(256, 4), deviceOf(64 * MIB).measure);
  expect(winner).toMatchObject({ threads: 2 });
  expect(winner!.threads * winner!.depth * winner!.rowBytes).toBe(64 * MIB);
});

test('a tie within 3 % goes to the cheaper, a difference beyond it to the faster', async () => {
  const rates = (ofTwo: number) => async (candidate: Candidate) => (candidate.threads === 2 ? ofTwo : 1000);
  const tie = await narrow(gridFor(256, 2), rates(1029));
  expect(tie.winner).toMatchObject({ threads: 1, depth: 8, rowBytes: 65_536 });
  const faster = await narrow(gridFor(256, 2), rates(1032));
  expect(faster.winner).toMatchObject({ threads: 2, depth: 8, rowBytes: 65_536 });
});

test('one bad sample of each decides nothing', async () => {
  // Every fifth trial comes out at half: the medians do not.
  const { winner } = await narrow(gridFor(256, 4), deviceOf(8 * MIB, (times) => (times % 5 === 0 ? 0.5 : 0)).measure);
  expect(winner!.threads * winner!.depth * winner!.rowBytes).toBeGreaterThanOrEqual(8 * MIB);
  expect(median(winner!.samples)).toBe(2000 * MIB);
});

test('tries nothing beyond the tags of the device or the memory of a matrix, on any device (seed 4)', async () => {
  const anyDevice = fc.record({
    tags: fc.option(fc.integer({ min: 1, max: 2048 })),
    threadsMax: fc.integer({ min: 1, max: 4 }),
    full: fc.integer({ min: 1, max: 256 }),
  });
  const property = fc.asyncProperty(anyDevice, async ({ tags, threadsMax, full }) => {
    const { tried, measure } = deviceOf(full * MIB);
    const { winner } = await narrow(gridFor(tags, threadsMax), measure);
    expect(winner).not.toBeNull();
    for (const { threads, depth, rowBytes } of tried) {
      expect(threads * depth).toBeLessThanOrEqual(tags ?? Number.POSITIVE_INFINITY);
      expect(threads).toBeLessThanOrEqual(threadsMax);
      expect(depth * rowBytes).toBeLessThanOrEqual(MATRIX_BYTES_MAX);
    }
  });
  await fc.assert(property, { seed: 4 });
});

test('at half a second a trial it is over within 45 seconds, on any device (seed 5)', async () => {
  const property = fc.asyncProperty(
    fc.integer({ min: 1, max: 256 }),
    fc.infiniteStream(fc.double({ min: 0, max: 0.3, noNaN: true })),
    async (full, noise) => {
      const { tried, measure } = deviceOf(full * MIB, () => noise.next().value);
      await narrow(gridFor(null, 4), measure);
      expect(tried.length / 2).toBeLessThanOrEqual(45);
    },
  );
  await fc.assert(property, { seed: 5, numRuns: 200 });
});

test('when the time is over it measures no more and says the best so far', async () => {
  const { tried, measure } = deviceOf(8 * MIB);
  const { winner, trials, complete } = await narrow(gridFor(256, 4), async (candidate) =>
    tried.length < 3 ? measure(candidate) : null,
  );
  expect(tried).toHaveLength(3);
  expect(trials).toHaveLength(3);
  expect(winner).toMatchObject({ threads: 1, depth: 32, rowBytes: 262_144 });
  expect(complete).toBe(false);
});

test('when the time is over before the first trial there is no winner', async () => {
  expect(await narrow(gridFor(null, 1), async () => null)).toEqual({ winner: null, trials: [], complete: false });
});

test('the median is the middle, or between the two in the middle', () => {
  expect([median([3]), median([1, 4]), median([9, 1, 2])]).toEqual([3, 2.5, 2]);
});
