import { expect, test } from '@jest/globals';
import { type Side, median, runPairs } from './pairs.ts';

test('both sides take turns, the order swaps every pair, and each is prepared and the disk at rest before it runs', async () => {
  const seen: string[] = [];
  const side = (name: string, rates: number[], cpuSeconds: number): Side => ({
    prepare: async () => void seen.push(`prepare ${name}`),
    async run() {
      seen.push(`run ${name}`);
      return { rate: rates.shift()!, processes: [{ name, cpuSeconds, peakRssBytes: 0 }], figures: {} };
    },
  });
  const result = await runPairs(side('ours', [1, 20, 30, 70], 1), [side('peer', [1, 10, 10, 10], 4)], {
    pairs: 3,
    warmups: 1,
    settle: async () => void seen.push('settle'),
  });
  const turn = (name: string): string[] => [`prepare ${name}`, 'settle', `run ${name}`];
  const order = ['ours', 'peer', 'ours', 'peer', 'peer', 'ours', 'ours', 'peer'];
  expect(seen).toEqual(order.flatMap(turn));
  // The warm-up counts for nothing.
  expect(result).toMatchObject({ subjectMedian: 30, peerMedian: 10, ratio: 3, cpuRatio: 0.25 });
});

test('of several peers, which all take turns, the one that is faster in the median counts', async () => {
  const seen: string[] = [];
  const side = (name: string, rates: number[]): Side => ({
    prepare: async () => {},
    async run() {
      seen.push(name);
      return { rate: rates.shift()!, processes: [{ name, cpuSeconds: 1, peakRssBytes: 0 }], figures: {} };
    },
  });
  const peers = [side('slow', [99, 10, 10]), side('fast', [20, 20, 40])];
  const plan = { pairs: 3, warmups: 0, settle: async () => {} };
  const result = await runPairs(side('ours', [30, 40, 60]), peers, plan);
  expect(seen.join(' ')).toBe('ours slow fast fast slow ours ours slow fast');
  expect(result).toMatchObject({ peerIndex: 1, peerMedian: 20, ratio: 1.5 });
});

test.each([
  [[3, 1, 2], 2],
  [[4, 1, 2, 3], 2.5],
  [[7], 7],
])('the median of %p is %p', (values, expected) => expect(median(values)).toBe(expected));
