import { expect, test } from '@jest/globals';
import { JobLimit } from './job-limit.ts';

test('no more than the job slots are held at once, and whoever waits longest is next', async () => {
  const jobLimit = new JobLimit(2);
  const shared = jobLimit.sharedSeat(() => {});
  const own = jobLimit.ownSeat();
  expect([shared.enter(), own.enter()]).toEqual([null, null]);
  const order: string[] = [];
  const first = own.enter();
  const second = shared.enter();
  void first?.granted.then(() => order.push('first'));
  void second?.granted.then(() => order.push('second'));
  shared.leave();
  await first?.granted;
  own.leave();
  await second?.granted;
  expect(order).toEqual(['first', 'second']);
});

test('the shared queue is limited to what the own queue leaves, and never to nothing', () => {
  const jobLimit = new JobLimit(2);
  const limits: number[] = [];
  jobLimit.sharedSeat((jobs) => limits.push(jobs));
  const own = jobLimit.ownSeat();
  own.enter();
  own.enter();
  const third = own.enter();
  expect(third?.giveUp()).toBe(true);
  own.leave();
  own.leave();
  expect(limits).toEqual([1, 1, 1, 1, 1, 2]);
});

test('a turn that was granted before it was given up must be given back', async () => {
  const jobLimit = new JobLimit(1);
  const seat = jobLimit.sharedSeat(() => {});
  seat.enter();
  const turn = seat.enter();
  seat.leave();
  await turn?.granted;
  expect(turn?.giveUp()).toBe(false);
  seat.leave();
  expect(seat.enter()).toBeNull();
});
