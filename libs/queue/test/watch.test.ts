import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { WriteAbortedError } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { Worker } from 'bullmq';
import { redisOptions } from '../src/connection/address.ts';
import { collect, progressOf, resultOf, Signal, Stage, untilAborted } from '../src/stage.fixture.ts';
import type { WatchEvent } from '../src/watch/watch.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'a.bin', size: '4KiB' } as const;

function typesOf(events: WatchEvent[]): string[] {
  return events.map(({ type }) => type);
}

test('tells a job’s whole life in its order', async () => {
  const queue = stage.queue();
  const watching = new Signal();
  const id = await queue.add(write, { backoff: { type: 'fixed', delay: 300 } });
  const watched = queue.watch(id);
  expect(await watched.next()).toEqual({ done: false, value: { type: 'waiting' } });
  await stage.worker(async (request, { attempt }, report) => {
    report(progressOf(40));
    if (attempt === 1) throw new Error('once');
    await watching.given;
    return resultOf(request);
  });
  watching.give();
  const events = await collect(watched);
  expect(typesOf(events)).toEqual([
    'active',
    'progress', // 40
    'progress', // with the error
    'retrying',
    'waiting',
    'active',
    'progress', // blank
    'progress', // 40
    'completed',
  ]);
  expect(events[3]).toMatchObject({ attempt: 1, error: { message: 'once' } });
  // From the entry in the stream to the end of the backoff: a little less than the backoff.
  expect(events[3]).toHaveProperty('delayMs', expect.closeTo(200, -2.4));
});

test('tells a result that was stored without what goes without saying as a whole one', async () => {
  const queue = stage.queue();
  await stage.worker(async (request) => {
    const { reads: _reads, alignment: _alignment, writeLatencyUs: _latency, ...rest } = resultOf(request);
    return { ...rest, matrix: { rows: 1, rowBytes: 4096 }, durationsMs: { writing: 1, total: 1 } };
  });
  const id = await queue.add(write);
  const whole = {
    reads: 0,
    alignment: { memory: 512, offset: 512 },
    matrix: { rows: 1, rowBytes: 4096, ioBytes: 4096 },
    durationsMs: { waiting: 0, writing: 1, total: 1 },
    writeLatencyUs: { count: 0, p99: 0, max: 0 },
  };
  const events = await collect(queue.watch(id)); // from the stream of events
  expect(events.at(-1)).toMatchObject({ type: 'completed', result: whole });
  expect(await collect(stage.queue().watch(id))).toMatchObject([{ type: 'completed', result: whole }]); // from the job
});

test('tells the end of a job that ended before it was watched', async () => {
  const queue = stage.queue();
  await stage.worker(async (request) => {
    if (resultOf(request).path === 'bad') throw new Error('no such luck');
    return resultOf(request);
  });
  const good = await queue.add(write);
  const bad = await queue.add({ path: 'bad', size: 0 }, { attempts: 1 });
  await Promise.all([collect(queue.watch(good)), collect(queue.watch(bad))]);
  expect(await collect(stage.queue().watch(good))).toMatchObject([{ type: 'completed', result: { path: 'a.bin' } }]);
  expect(await collect(stage.queue().watch(bad))).toMatchObject([
    { type: 'failed', attemptsMade: 1, error: { message: 'no such luck', retryable: true } },
  ]);
});

test('tells where a job is that runs already', async () => {
  const queue = stage.queue();
  const reported = new Signal();
  const end = new Signal();
  await stage.worker(async (request, _job, report) => {
    report(progressOf(70));
    reported.give();
    await end.given;
    return resultOf(request);
  });
  const id = await queue.add(write);
  await reported.given;
  const seen: WatchEvent[] = [];
  for await (const event of queue.watch(id)) {
    seen.push(event);
    if (event.type === 'progress') end.give();
  }
  expect(typesOf(seen)).toEqual(['active', 'progress', 'completed']);
});

test('tells of a failed attempt to those who come while its backoff lasts', async () => {
  const queue = stage.queue();
  await stage.worker(async () => {
    throw new Error('not now');
  });
  const id = await queue.add(write, { attempts: 2, backoff: { type: 'fixed', delay: 400 } });
  for await (const event of queue.watch(id)) {
    if (event.type === 'retrying') break;
  }
  const later = await collect(stage.queue().watch(id));
  expect(later[0]).toMatchObject({ type: 'retrying', attempt: 1, error: { message: 'not now' } });
  expect(later[0]).toHaveProperty('delayMs', expect.closeTo(400, -3));
  expect(later.at(-1)).toMatchObject({ type: 'failed', attemptsMade: 2 });
});

test('a retry without delay is told as one, a return to the queue is not', async () => {
  const queue = stage.queue();
  let calls = 0;
  await stage.worker(async (request) => {
    calls += 1;
    if (calls === 1) throw new Error('again');
    if (calls === 2) throw new WriteAbortedError('shutdown');
    return resultOf(request);
  });
  const id = await queue.add(write, { delay: 100, attempts: 2, backoff: { type: 'fixed', delay: 0 } });
  const events = await collect(queue.watch(id));
  expect(typesOf(events).filter((type) => type !== 'progress')).toEqual([
    'waiting',
    'active',
    'retrying',
    'waiting',
    'active',
    'waiting',
    'active',
    'completed',
  ]);
  expect(events.find(({ type }) => type === 'retrying')).toMatchObject({ attempt: 1, delayMs: 0 });
});

test('what another program’s worker tells and returns ends no watch with a TypeError: its job is told as completed by a foreigner', async () => {
  const plain = stage.plainQueue();
  const queue = stage.queue();
  const returned = [null, 5, 'done', [], {}, { bytes: 1 }, { path: 'a', items: 3 }, undefined];
  const worker = new Worker(
    plain.name,
    async (job) => {
      await job.updateProgress({ progress: 50 });
      await job.updateProgress({ progress: 50, phase: 5, bytesWritten: 1, totalBytes: 2, bytesPerSecond: 3, error: 7 });
      return returned[Number(job.data.index)];
    },
    { connection: redisOptions(stage.connection, 'worker') },
  );
  const ids = await Promise.all(returned.map(async (_, index) => (await plain.add('write', { index })).id ?? ''));
  const ends = await Promise.all(ids.map(async (id) => (await collect(queue.watch(id))).at(-1)));
  await worker.close();
  for (const end of [...ends, (await collect(queue.watch(ids[0]!))).at(-1)]) {
    expect(end).toMatchObject({
      type: 'failed',
      error: { code: 'EFOREIGNRESULT', message: expect.stringContaining('by a worker that is no host of Penstock') },
    });
  }
});

test('an unknown job is named', async () => {
  await expect(collect(stage.queue().watch('17'))).rejects.toMatchObject({
    name: 'UnknownJobError',
    code: 'ENOJOB',
    jobId: '17',
    message: expect.stringContaining("no job '17' in the queue 'penstock'"),
  });
});

test('a job that is removed while it is watched is told as gone', async () => {
  const queue = stage.queue();
  const id = await queue.add(write);
  const watched = queue.watch(id);
  await watched.next();
  await (await queue.job(id))?.remove();
  await expect(collect(watched)).rejects.toMatchObject({ code: 'ENOJOB', message: expect.stringMatching(/is gone/) });
});

test('a job that is not kept is told to its end all the same', async () => {
  const queue = stage.queue();
  const id = await queue.add(write, { removeOnComplete: true });
  const watched = queue.watch(id);
  await watched.next();
  await stage.worker(async (request) => resultOf(request));
  expect((await collect(watched)).at(-1)).toMatchObject({ type: 'completed', result: { path: 'a.bin' } });
});

test('an aborted watch rejects with the signal’s reason, before and while it runs', async () => {
  const queue = stage.queue();
  const id = await queue.add(write);
  const controller = new AbortController();
  const watched = queue.watch(id, { signal: controller.signal });
  await watched.next();
  const next = watched.next();
  controller.abort(new Error('enough'));
  await expect(next).rejects.toThrow('enough');
  await expect(collect(queue.watch(id, { signal: controller.signal }))).rejects.toThrow('enough');
});

test('closing the queue ends its watches', async () => {
  const queue = stage.queue();
  const watched = queue.watch(await queue.add(write));
  await watched.next();
  await Promise.all([expect(watched.next()).rejects.toThrow('the queue was closed'), queue.close()]);
});

test('a thousand watches share one connection, under one signal, without a warning', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error): number => warnings.push(warning);
  process.on('warning', warned);
  const queue = stage.queue();
  const { signal } = new AbortController();
  const ids = await queue.addBulk(Array.from({ length: 1000 }, () => write));
  const begun = ids.map((id) => queue.watch(id, { signal }));
  await Promise.all(begun.map((watched) => watched.next()));
  expect(Number(/connected_clients:(\d+)/.exec(await stage.client.info('clients'))?.[1])).toBeLessThan(6);
  await stage.worker(async (request) => resultOf(request), { concurrency: 50 });
  const ends = await Promise.all(begun.map(async (watched) => (await collect(watched)).at(-1)?.type));
  expect(ends.filter((end) => end === 'completed')).toHaveLength(1000);
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});

test('a slow reader gets the newest progress, and never misses the end', async () => {
  const queue = stage.queue();
  const id = await queue.add(write);
  const watched = queue.watch(id);
  await watched.next();
  await stage.worker(async (request, _job, report) => {
    for (let percent = 1; percent <= 50; percent += 1) {
      report(progressOf(percent));
      await stage.client.ping();
    }
    return resultOf(request);
  });
  // One stream serves all watches: when another has read the end, this one has been told it all, and has read nothing.
  await collect(queue.watch(id));
  const events = await collect(watched);
  expect(typesOf(events)).toEqual(['active', 'progress', 'completed']);
  expect(events[1]).toMatchObject({ progress: { progress: 50 } });
});

test('a watch outlasts Redis and tells what happened while it was cut off', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  await stage.worker(async (_request, { whenAborted }) => {
    begun.give();
    return untilAborted(whenAborted);
  });
  const id = await queue.add(write);
  const watched = queue.watch(id);
  await begun.given;
  await watched.next();
  const rest = collect(watched);
  await stage.stopRedis();
  await stage.told(/no such socket/);
  await stage.startRedis();
  // Completed in a stream that lost its beginning, as after a trim: only the job's state tells.
  await stage.client
    .multi()
    .del('bull:penstock:events')
    .lrem('bull:penstock:active', 0, id)
    .zadd('bull:penstock:completed', 1, id)
    .hset(`bull:penstock:${id}`, {
      returnvalue: JSON.stringify({ ...resultOf(parseRequest(write)), path: 'told late' }),
      finishedOn: 1,
    })
    .exec();
  await stage.killRedis();
  expect((await rest).at(-1)).toMatchObject({ type: 'completed', result: { path: 'told late' } });
});

test('a job that Redis has lost is told as gone', async () => {
  const queue = stage.queue();
  const id = await queue.add(write);
  const watched = queue.watch(id);
  await watched.next();
  await stage.client.flushall();
  await Promise.all([expect(collect(watched)).rejects.toMatchObject({ code: 'ENOJOB' }), stage.killRedis()]);
});
