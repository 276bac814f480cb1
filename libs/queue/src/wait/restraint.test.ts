import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Restraint } from './restraint.ts';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test('each slot of a job that was put back comes free by itself, later than its job comes back, however many are held', async () => {
  const restraint = new Restraint();
  let free = 0;
  for (let slot = 0; slot < 100; slot += 1) void restraint.hold().then(() => (free += 1));
  await jest.advanceTimersByTimeAsync(1100);
  expect(free).toBe(0);
  await jest.advanceTimersByTimeAsync(500);
  expect(free).toBe(100);
  expect(jest.getTimerCount()).toBe(0);
});

test('slots that are held come free at once when there is no reason any more', async () => {
  const restraint = new Restraint();
  const held = [restraint.hold(), restraint.hold()];
  restraint.releaseAll();
  await Promise.all(held);
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
