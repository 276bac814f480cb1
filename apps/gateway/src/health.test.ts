import { expect, test } from '@jest/globals';
import { healthOf } from './health.ts';

const silent = (): Promise<never> => new Promise(() => {});

test('a Redis that does not answer is reported in time', async () => {
  const queue = { name: 'penstock', getWorkersCount: silent, getJobCounts: silent };
  expect(await healthOf(queue, 1)).toEqual({
    status: 'unavailable',
    queue: 'penstock',
    error: 'Redis did not answer within 1 ms',
  });
});

test('a Redis that refuses is reported with its reason', async () => {
  const queue = {
    name: 'penstock',
    getWorkersCount: () => Promise.reject(new Error('NOAUTH Authentication required.')),
    getJobCounts: silent,
  };
  expect(await healthOf(queue)).toMatchObject({ status: 'unavailable', error: expect.stringContaining('NOAUTH') });
});
