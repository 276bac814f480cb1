import { setImmediate } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import { SlotLine } from './slot-line.ts';

test('whoever waits longest gets the slot that is free again, and nobody overtakes', async () => {
  let free = 0;
  const line = new SlotLine(() => free);
  const first = line.enter()!;
  const second = line.enter()!;
  free = 1;
  line.serve();
  await first.granted;
  expect(line.enter()).not.toBeNull(); // the slot is kept
  first.leave();
  free = 0; // it was used
  await setImmediate();
  const state = await Promise.race([second.granted.then(() => 'granted'), setImmediate('waits')]);
  expect(state).toBe('waits');
});

test('a slot that is kept for one who leaves goes to the next', async () => {
  let free = 0;
  const line = new SlotLine(() => free);
  const [first, second, third] = [line.enter()!, line.enter()!, line.enter()!];
  first.leave(); // before it is its turn
  free = 1;
  line.serve();
  await second.granted;
  second.leave();
  await third.granted;
  third.leave();
  await setImmediate();
  expect(line.enter()).toBeNull();
});
