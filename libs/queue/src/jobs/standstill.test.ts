import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { collect, resultOf, Signal, Stage, untilAborted } from '../stage.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'a.bin', size: '4KiB' } as const;

test('a queue that is paused or rate-limited is told of by name and with what ends it, to clients and to hosts', async () => {
  const queue = stage.queue();
  const plain = stage.plainQueue();
  expect(await queue.standstill()).toBeNull();
  await plain.pause();
  expect(await queue.standstill()).toMatch(/'penstock' is paused.*queue\.resume\(\)/);
  const notes: string[] = [];
  const told = new Signal();
  await stage.worker(async (request) => resultOf(request), {
    onNote: (text) => {
      notes.push(text);
      told.give();
    },
  });
  await told.given;
  expect(notes).toEqual([expect.stringContaining("the queue 'penstock' is paused")]);
  await plain.resume();
  expect(await queue.standstill()).toBeNull();
  await plain.rateLimit(60_000);
  expect(await queue.standstill()).toMatch(/rate-limited \(queue\.rateLimit\(\)\).*another (60|59) s/);
  await plain.removeRateLimitKey();
  await plain.setGlobalRateLimit(1, 60_000);
  await collect(queue.watch(await queue.add(write)));
  expect(await queue.standstill()).toMatch(/setGlobalRateLimit\(\), 1 at a time/);
  await plain.removeGlobalRateLimit();
  await plain.setGlobalConcurrency(0);
  expect(await queue.standstill()).toMatch(/global concurrency of 0/);
});

test('a job that stands in no line is named by watch and by the look through the queue, and is put in line or cancelled', async () => {
  const queue = stage.queue();
  const ids = [await queue.add(write), await queue.add(write), await queue.add(write)];
  const [lost = '', cancelled = '', sound = ''] = ids;
  // As the resume() of a client of BullMQ 5 leaves them.
  await stage.client.lrem('bull:penstock:wait', 0, lost);
  await stage.client.lrem('bull:penstock:wait', 0, cancelled);
  expect(await stage.plainQueue().getJobState(lost)).toBe('unknown');
  const { ids: found, complete } = await queue.lostJobs();
  expect([found.toSorted(), complete]).toEqual([[lost, cancelled].toSorted(), true]);
  await expect(collect(queue.watch(lost))).rejects.toMatchObject({
    code: 'ELOSTJOB',
    message: expect.stringContaining(`penstock resume ${lost}`),
  });
  expect(await queue.resume(lost)).toBe('waiting');
  await queue.cancel(cancelled, { by: 'a test' });
  expect((await queue.lostJobs()).ids).toEqual([]);
  await stage.worker(async (request) => resultOf(request));
  expect((await collect(queue.watch(lost))).at(-1)).toMatchObject({ type: 'completed' });
  expect((await collect(queue.watch(sound))).at(-1)).toMatchObject({ type: 'completed' });
  expect((await collect(queue.watch(cancelled))).at(-1)).toMatchObject({ error: { code: 'ECANCELED' } });
});

test('a job whose id has three parts is watched and steered like any other, and BullMQ’s own keys are none', async () => {
  const queue = stage.queue();
  const plain = stage.plainQueue();
  const begun = new Signal();
  await plain.add('write', write, { jobId: 'run:42:first', delay: 60_000 });
  expect(await queue.pause('run:42:first')).toBe('delayed');
  expect(await queue.limit('run:42:first', '1MiB')).toBe('delayed');
  expect(await queue.resume('run:42:first')).toBe('delayed');
  expect(await queue.cancel('run:42:first', { by: 'a test' })).toBe('delayed');
  await stage.worker((_request, { whenAborted }) => {
    begun.give();
    return untilAborted(whenAborted);
  });
  await plain.add('write', write, { jobId: 'run:42:second' });
  await begun.given;
  expect(await queue.cancel('run:42:second', { by: 'a test' })).toBe('active');
  expect((await collect(queue.watch('run:42:second'))).at(-1)).toMatchObject({ error: { code: 'ECANCELED' } });
  await plain.add('write', write, { deduplication: { id: 'x:y' } });
  for (const key of ['de:x:y', 'metrics:completed:data', 'run:42', 'a:b:c:d']) {
    await expect(queue.pause(key)).rejects.toMatchObject({ code: 'ENOJOB' });
  }
});
