import { expect, test } from '@jest/globals';
import { ProgressReporter } from './progress-reporter.ts';
import { progressOf, Signal } from '../stage.fixture.ts';

test('sends one at a time, and of those that come meanwhile the newest', async () => {
  const sent: number[] = [];
  const free = new Signal();
  let underWay = 0;
  const reporter = new ProgressReporter(
    async ({ progress }) => {
      underWay += 1;
      expect(underWay).toBe(1);
      sent.push(progress);
      await free.given;
      underWay -= 1;
    },
    () => {},
  );
  for (const percent of [1, 2, 3, 4]) reporter.report(progressOf(percent));
  expect(reporter.newest).toEqual(progressOf(4));
  free.give();
  await reporter.close();
  expect(sent).toEqual([1, 4]);
});

test('tells of what could not be sent, throws nothing, and goes on', async () => {
  const sent: number[] = [];
  const errors: unknown[] = [];
  const reporter = new ProgressReporter(
    async ({ progress }) => {
      if (progress === 1) throw new Error('no');
      sent.push(progress);
    },
    (error) => errors.push(error),
  );
  reporter.report(progressOf(1));
  reporter.report(progressOf(2));
  await reporter.close();
  expect([sent, errors]).toEqual([[2], [new Error('no')]]);
});

test('drops what comes after it was closed', async () => {
  const sent: number[] = [];
  const reporter = new ProgressReporter(
    async ({ progress }) => void sent.push(progress),
    () => {},
  );
  reporter.report(progressOf(1));
  await reporter.close();
  reporter.report(progressOf(2));
  await reporter.close();
  expect(sent).toEqual([1]);
});
