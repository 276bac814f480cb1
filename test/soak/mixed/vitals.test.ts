import { expect, test } from '@jest/globals';
import { Seeded } from '../seeded.ts';
import { type Vitals, growthBytes, growthBytesMax, readVitals } from './vitals.ts';

const MIB = 1_048_576;
const MINUTE_MS = 60_000;

/** An hour of a process of some 200 MiB, whose garbage comes and goes, with a leak of so many MiB an hour. */
function hour(leakMiB: number): Vitals[] {
  const random = new Seeded(7);
  return Array.from({ length: 240 }, (_, index) => ({
    atMs: (index * MINUTE_MS) / 4,
    hostRssBytes: (200 + random.next() * 40 + (leakMiB * index) / 240) * MIB,
    redisRssBytes: 0,
    descriptors: 0,
    threads: 0,
    contexts: 0,
  }));
}

test('a leak shows through the noise of garbage, and garbage alone is none', () => {
  const judged = (samples: Vitals[]): boolean =>
    growthBytes(samples, 'hostRssBytes') <= growthBytesMax(samples, 'hostRssBytes');
  expect(judged(hour(0))).toBe(true);
  expect(judged(hour(40))).toBe(false);
});

test('a peak at the very end, or in the middle, is no trend', () => {
  for (const at of [120, 238]) {
    const samples = hour(0);
    for (const sample of samples.slice(at, at + 2)) sample.hostRssBytes += 300 * MIB;
    expect(Math.abs(growthBytes(samples, 'hostRssBytes'))).toBeLessThan(8 * MIB);
  }
});

test('the vitals of a process are read', () => {
  const vitals = readVitals(process.pid, process.pid, 5);
  expect(vitals).toMatchObject({ atMs: 5, contexts: 0 });
  expect(vitals.hostRssBytes).toBeGreaterThan(20 * MIB);
  expect(vitals.descriptors).toBeGreaterThan(2);
  expect(vitals.threads).toBeGreaterThan(1);
});
