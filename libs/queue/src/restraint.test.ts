import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Restraint } from './restraint.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('slots of jobs that were put back come free one after the other, the first later than its job comes back', async () => {
  const restraint = new Restraint();
  let free = 0;
  for (let slot = 0; slot < 3; slot += 1) void restraint.hold().then(() => (free += 1));
  await jest.advanceTimersByTimeAsync(1100);
  expect(free).toBe(0);
  await jest.advanceTimersByTimeAsync(500);
  expect(free).toBe(1);
  await jest.advanceTimersByTimeAsync(1500);
  expect(free).toBe(2);
  restraint.releaseAll();
  await jest.advanceTimersByTimeAsync(0);
  expect(free).toBe(3);
  expect(jest.getTimerCount()).toBe(0);
});

test('once it has ended nobody is held', async () => {
  const restraint = new Restraint();
  const held = restraint.hold();
  restraint.end();
  await held;
  await restraint.hold();
  expect(jest.getTimerCount()).toBe(0);
});
