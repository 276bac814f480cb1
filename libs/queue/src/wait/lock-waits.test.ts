import { expect, test } from '@jest/globals';
import { LockWaits, nextLockDelayMs } from './lock-waits.ts';

const HOUR = 3_600_000;
const record = (tries: number, waitedMs: number) => ({ attempt: 1, tries, waitedMs });

test('a job that waits for a lock beside a few others tries again within 250 ms, for the first 25 seconds', () => {
  for (let tries = 0, waitedMs = 0; waitedMs < 25_000; tries += 1) {
    const delay = nextLockDelayMs(record(tries, waitedMs), 25, HOUR, 0);
    expect(delay).toBeGreaterThanOrEqual(50);
    expect(delay).toBeLessThanOrEqual(250);
    waitedMs += delay;
  }
});

test('one that has waited long, and one of very many, tries less often, and none for longer than it may wait', () => {
  expect(nextLockDelayMs(record(500, 600_000), 1, HOUR, 0)).toBe(5000);
  expect(nextLockDelayMs(record(5, 1000), 2000, HOUR, 0)).toBe(20_000);
  expect(nextLockDelayMs(record(5, 1000), 1_000_000, HOUR, 0)).toBe(30_000);
  expect(nextLockDelayMs(record(5, 1000), 10_000, 1040, 0)).toBe(40);
  expect(nextLockDelayMs(record(9, 1000), 1, HOUR, 0.999)).toBe(188);
});

test('each job counts once among those that wait', () => {
  const waits = new LockWaits();
  expect(['a', 'b', 'a', 'c'].map((id) => waits.note(id))).toEqual([1, 2, 2, 3]);
});
