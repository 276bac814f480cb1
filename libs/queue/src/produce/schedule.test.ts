import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { JobRequest } from '@penstock/contract';
import { oncePerPath } from './once-per-path.ts';
import { collect, resultOf, Signal, Stage } from '../stage.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'status.json', size: 10 };

test('a schedule adds its write again and again until it is ended', async () => {
  const queue = stage.queue();
  const thrice = new Signal();
  const seen: JobRequest[] = [];
  await stage.worker(async (request) => {
    seen.push(request);
    if (seen.length === 3) thrice.give();
    return resultOf(request);
  });
  await queue.schedule('status', { every: 50 }, write, { attempts: 5 });
  await thrice.given;
  expect(await queue.schedules()).toMatchObject([{ name: 'status', every: 50, request: { path: 'status.json' } }]);
  expect(await queue.unschedule('status')).toBe(true);
  expect(await queue.unschedule('status')).toBe(false);
  expect(await queue.schedules()).toEqual([]);
  expect(new Set(seen.map((request) => JSON.stringify(request))).size).toBe(1);
});

test('a schedule of the same name is changed, not added', async () => {
  const queue = stage.queue();
  await queue.schedule('nightly', { pattern: '0 3 * * *', tz: 'UTC' }, write);
  await queue.schedule('nightly', { pattern: '0 4 * * *', tz: 'UTC' }, { ...write, size: 20 });
  const [schedule, ...others] = await queue.schedules();
  expect(others).toEqual([]);
  expect(schedule).toMatchObject({ pattern: '0 4 * * *', tz: 'UTC', request: { size: 20 } });
  expect(new Date(schedule!.nextAtMs!).getUTCHours()).toBe(4);
});

test('a request that cannot be is refused before it is scheduled', async () => {
  const queue = stage.queue();
  await expect(queue.schedule('bad', { every: 1000 }, { path: '/etc/x', size: 1 })).rejects.toMatchObject({
    name: 'RequestError',
    field: 'path',
  });
  expect(await queue.schedules()).toEqual([]);
});

test('a write is not added twice while one of the same file waits, and may be once that has ended', async () => {
  const queue = stage.queue();
  const first = await queue.add(write, oncePerPath(write));
  expect(await queue.add({ ...write, size: 11 }, oncePerPath(write))).toBe(first);
  const other = { ...write, root: 'captures' };
  expect(await queue.add(other, oncePerPath(other))).not.toBe(first);
  await stage.worker(async (request) => resultOf(request));
  await collect(queue.watch(first));
  expect(await queue.add(write, oncePerPath(write))).not.toBe(first);
});
