/** What happens to jobs when Redis, a host or a lock goes away. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Worker } from 'bullmq';
import { redisOptions } from '../src/connection/address.ts';
import { collect, progressOf, resultOf, Signal, Stage, untilAborted } from '../src/stage.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'a.bin', size: '4KiB' } as const;

test('Redis killed while a job runs: the job is performed once and completed once', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const end = new Signal();
  const attempts: number[] = [];
  await stage.worker(async (request, { attempt }, report) => {
    attempts.push(attempt);
    report(progressOf(10));
    begun.give();
    await end.given;
    report(progressOf(100));
    return resultOf(request);
  });
  const id = await queue.add(write);
  const watched = collect(queue.watch(id));
  await begun.given;
  await stage.killRedis();
  end.give();
  expect((await watched).filter(({ type }) => type === 'completed')).toHaveLength(1);
  const job = await queue.job(id);
  expect(attempts).toEqual([1]);
  expect([job?.attemptsMade, job?.progress]).toMatchObject([1, { progress: 100 }]);
  const stream = await stage.client.xrange('bull:penstock:events', '-', '+');
  expect(stream.filter(([, fields]) => fields[1] === 'completed')).toHaveLength(1);
});

test('Redis killed again and again under many jobs: each is completed, and none is lost', async () => {
  const queue = stage.queue();
  let performed = 0;
  await stage.worker(
    async (request) => {
      performed += 1;
      if (performed === 60 || performed === 120) await stage.killRedis();
      return resultOf(request);
    },
    { lockDurationMs: 1500, stalledIntervalMs: 300 },
  );
  const ids = await queue.addBulk(Array.from({ length: 200 }, () => write));
  const ends = await Promise.all(ids.map(async (id) => (await collect(queue.watch(id))).at(-1)?.type));
  expect(ends.filter((end) => end === 'completed')).toHaveLength(200);
});

test('Redis away for longer than the lock: the work is stopped, and done again once Redis is back', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const stopped = new Signal<unknown>();
  const attempts: number[] = [];
  await stage.worker(
    async (request, { attempt, whenAborted }) => {
      attempts.push(attempt);
      if (attempts.length > 1) return resultOf(request);
      begun.give();
      try {
        return await untilAborted(whenAborted);
      } catch (error) {
        stopped.give(error);
        throw error;
      }
    },
    { lockDurationMs: 300, stalledIntervalMs: 200 },
  );
  const id = await queue.add(write);
  const watched = collect(queue.watch(id));
  await begun.given;
  await stage.stopRedis();
  expect(await stopped.given).toMatchObject({ name: 'LockLostError', code: 'ELOCKLOST' });
  await stage.startRedis();
  expect((await watched).at(-1)).toMatchObject({ type: 'completed' });
  expect(attempts).toEqual([1, 1]);
  expect(stage.errors).toContainEqual(expect.objectContaining({ name: 'LockLostError' }));
});

test('a lock taken away stops the work at the next renewal, and the job runs again', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  let runs = 0;
  await stage.worker(
    async (request, { whenAborted }) => {
      runs += 1;
      if (runs > 1) return resultOf(request);
      begun.give();
      return untilAborted(whenAborted);
    },
    { lockDurationMs: 600, stalledIntervalMs: 100 },
  );
  const id = await queue.add(write);
  await begun.given;
  await stage.client.del(`bull:penstock:${id}:lock`);
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect(runs).toBe(2);
});

test('two runs of one job never write at once in one process, and the second keeps its lock', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const mayStop = new Signal();
  let writing = 0;
  let writingMax = 0;
  let runs = 0;
  await stage.worker(
    async (request) => {
      runs += 1;
      writing += 1;
      writingMax = Math.max(writingMax, writing);
      try {
        if (runs > 1) {
          await sleep(600); // three times the lock: only renewed it outlasts that
          return resultOf(request);
        }
        begun.give();
        await mayStop.given; // asked to stop, but its last writes are still in flight
        throw new Error('stopped');
      } finally {
        writing -= 1;
      }
    },
    { lockDurationMs: 200, stalledIntervalMs: 100 },
  );
  const id = await queue.add(write);
  await begun.given;
  await stage.client.del(`bull:penstock:${id}:lock`);
  let handedOut = 0;
  for await (const event of queue.watch(id)) {
    if (event.type !== 'active') continue;
    handedOut += 1;
    if (handedOut === 1) continue;
    expect(runs).toBe(1);
    mayStop.give();
  }
  const job = await queue.job(id);
  expect([runs, writingMax]).toEqual([2, 1]);
  expect([await job?.getState(), job?.attemptsMade, job?.stalledCounter]).toEqual(['completed', 1, 1]);
});

test('a long job keeps its lock for as long as it runs', async () => {
  const queue = stage.queue();
  let runs = 0;
  const perform = async (request: Parameters<typeof resultOf>[0]): Promise<ReturnType<typeof resultOf>> => {
    runs += 1;
    await sleep(800);
    return resultOf(request);
  };
  const often = { lockDurationMs: 200, stalledIntervalMs: 50 };
  await stage.worker(perform, often);
  await stage.worker(perform, often);
  const id = await queue.add(write);
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect(runs).toBe(1);
  expect(stage.errors).toEqual([]);
});

test('a job of a host that died is taken up by another after its lock has expired, at no attempt’s cost', async () => {
  const queue = stage.queue();
  const id = await queue.add(write, { attempts: 1 });
  // A worker that took the job and was never heard of again.
  const dead = new Worker('penstock', null, {
    connection: redisOptions(stage.connection, 'worker'),
    lockDuration: 300,
    autorun: false,
  });
  dead.on('error', () => {});
  const taken = await dead.getNextJob('token-of-the-dead');
  expect(taken?.id).toBe(id);
  await dead.close(true);

  await stage.worker(async (request) => resultOf(request), { lockDurationMs: 300, stalledIntervalMs: 100 });
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect((await queue.job(id))?.attemptsMade).toBe(1);
});

test('a job that stalls on every host is given up in the end, with a reason', async () => {
  const queue = stage.queue();
  const id = await queue.add(write);
  await stage.client.hset(`bull:penstock:${id}`, 'stc', 10);
  let runs = 0;
  const begun = new Signal();
  await stage.worker(
    async (_request, { whenAborted }) => {
      runs += 1;
      begun.give();
      return untilAborted(whenAborted);
    },
    { lockDurationMs: 300, stalledIntervalMs: 100 },
  );
  const watched = collect(queue.watch(id));
  await begun.given;
  await stage.client.del(`bull:penstock:${id}:lock`);
  expect((await watched).at(-1)).toMatchObject({ type: 'failed', error: { code: 'ESTALLED' } });
  expect(runs).toBe(1);
});

test('drained while Redis is away, a worker ends in bounded time', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const worker = await stage.worker(async (_request, { whenAborted }) => {
    begun.give();
    return untilAborted(whenAborted);
  });
  await queue.add(write);
  await begun.given;
  await stage.stopRedis();
  const since = performance.now();
  await worker.drain('shutdown');
  expect(performance.now() - since).toBeLessThan(6000);
});

test('an idle worker that lost Redis ends at once', async () => {
  const worker = await stage.worker(async (request) => resultOf(request));
  await stage.stopRedis();
  const since = performance.now();
  await worker.close();
  expect(performance.now() - since).toBeLessThan(2500);
});

test('a lost connection is told once, with the address, and the worker goes on when it is back', async () => {
  const queue = stage.queue();
  await stage.worker(async (request) => resultOf(request));
  await stage.stopRedis();
  await stage.told(/no such socket/);
  await expect(queue.add(write)).rejects.toMatchObject({ name: 'ConnectionError', code: 'ENOENT' });
  await stage.startRedis();
  const id = await queue.add(write);
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  const told = stage.errors.filter((error) => error.message.includes('no such socket'));
  expect(told).toHaveLength(1);
  expect(told[0]?.message).toMatch(/^Redis at unix:.*redis\.sock cannot be used: there is no such socket \(ENOENT\)/);
});

test('a Redis that refuses to write is told of, does not make the worker spin, and mends', async () => {
  const queue = stage.queue();
  await stage.worker(async (request) => resultOf(request));
  const id = await queue.add(write, { delay: 200 });
  await stage.client.config('SET', 'maxmemory', '1');
  await stage.told(/EREDISMEMORY/);
  const before = await commandCount();
  await sleep(500);
  const commands = (await commandCount()) - before;
  await stage.client.config('SET', 'maxmemory', '0');
  expect(commands).toBeLessThan(100);
  expect(stage.errors.filter((error) => error.message.includes('EREDISMEMORY'))).toHaveLength(1);
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
});

async function commandCount(): Promise<number> {
  return Number(/total_commands_processed:(\d+)/.exec(await stage.client.info('stats'))?.[1]);
}
