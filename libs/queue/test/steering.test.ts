import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FlowProducer } from 'bullmq';
import { redisOptions } from '../src/connection/address.ts';
import { Signal, Stage, collect, resultOf, untilAborted } from '../src/stage.fixture.ts';
import { JobEndedError, UnknownJobError } from '../src/jobs/job-errors.ts';
import type { StandingLimits, Order } from '../src/steer/order.ts';
import type { WriteJobInfo } from '../src/work/executor.ts';

const said = { by: 'ann@ops', why: 'the disk is needed' };
const reason = 'cancelled by ann@ops: the disk is needed';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

/** Resolves with the first order that `accepts` takes. */
const ordered = (job: WriteJobInfo, accepts: (steer: Pick<Order, 'paused' | 'limit'>) => boolean): Promise<void> =>
  new Promise((resolve) => {
    job.whenSteered((steer) => {
      if (accepts(steer)) resolve();
    });
  });

test.each([
  ['waiting', {}],
  ['delayed', { delay: 60_000 }],
  ['prioritized', { priority: 3 }],
] as const)(
  'a %s job that is cancelled has failed at once, without any host, and is never performed',
  async (state, options) => {
    const queue = stage.queue();
    const id = await queue.add({ path: 'a', size: 1 }, options);
    const events = collect(queue.watch(id));
    expect(await queue.cancel(id, said)).toBe(state);
    const job = await queue.job(id);
    expect(job).toMatchObject({ failedReason: reason, finishedOn: expect.any(Number) });
    expect(await job?.getState()).toBe('failed');
    const end = (await events).at(-1);
    expect(end).toMatchObject({ type: 'failed', error: { code: 'ECANCELED', ...said, retryable: false } });
    const performed: string[] = [];
    await stage.worker(async (request, { id: taken }) => {
      performed.push(taken);
      return resultOf(request);
    });
    const next = await queue.add({ path: 'b', size: 1 });
    await collect(queue.watch(next));
    expect(performed).toEqual([next]);
    expect(await stage.client.llen('bull:penstock:active')).toBe(0);
  },
);

test('what is not there is refused, and what has ended too', async () => {
  const queue = stage.queue();
  await expect(queue.cancel('nothing', said)).rejects.toThrow(UnknownJobError);
  await expect(queue.pause('nothing')).rejects.toThrow(UnknownJobError);
  // Keys of BullMQ and of ours, that stand where a job of this name would.
  for (const id of ['meta', 'events', 'steer:limits', 'hosts:seen', 'repeat:nightly']) {
    await expect(queue.cancel(id, said)).rejects.toThrow(UnknownJobError);
  }
  expect(await stage.client.exists('bull:penstock:nothing')).toBe(0);
  const id = await queue.add({ path: 'a', size: 1 });
  await queue.cancel(id, said);
  await expect(queue.resume(id)).rejects.toThrow(JobEndedError);
  await expect(queue.limit(id, -1)).rejects.toThrow(/bytesPerSecond/);
});

test('a job that runs is aborted with who and why, and is not tried again', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const reasons: Error[] = [];
  await stage.worker((_request, job) => {
    begun.give();
    job.whenAborted((error) => reasons.push(error));
    return untilAborted(job.whenAborted);
  });
  const id = await queue.add({ path: 'a', size: 1 }, { attempts: 5 });
  const events = collect(queue.watch(id));
  await begun.given;
  expect(await queue.cancel(id, said)).toBe('active');
  expect((await events).at(-1)).toMatchObject({
    type: 'failed',
    error: { code: 'ECANCELED', ...said },
    attemptsMade: 1,
  });
  expect(reasons).toMatchObject([{ reason: 'cancel', ...said }]);
  expect(await queue.job(id)).toMatchObject({ failedReason: reason, attemptsMade: 1 });
});

test('a cancelled job whose attempt fails otherwise is cancelled all the same', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  await stage.worker(
    (_request, job) =>
      new Promise((_resolve, reject) => {
        begun.give();
        job.whenAborted(() => reject(new Error('the thread has died')));
      }),
  );
  const id = await queue.add({ path: 'a', size: 1 }, { attempts: 5 });
  const events = collect(queue.watch(id));
  await begun.given;
  await queue.cancel(id, said);
  expect((await events).at(-1)).toMatchObject({ type: 'failed', error: { code: 'ECANCELED' } });
});

test('a cancelled child fails its parent where the flow says so, and a cancelled parent is not waited for', async () => {
  const queue = stage.queue();
  await queue.connect();
  const flow = new FlowProducer({ connection: redisOptions(stage.connection) });
  try {
    const opts = { failParentOnFailure: true, removeOnFail: false };
    const tree = await flow.add({
      name: 'write',
      queueName: 'penstock',
      data: { path: 'parent', size: 1 },
      children: [{ name: 'write', queueName: 'penstock', data: { path: 'child', size: 1 }, opts }],
    });
    const [child] = tree.children ?? [];
    await queue.cancel(child!.job.id!, said);
    expect(await stage.client.hget(`bull:penstock:${tree.job.id}`, 'defa')).toMatch(/child/);

    const other = await flow.add({
      name: 'write',
      queueName: 'penstock',
      data: { path: 'parent', size: 1 },
      children: [{ name: 'write', queueName: 'penstock', data: { path: 'child', size: 1 } }],
    });
    expect(await queue.cancel(other.job.id!, said)).toBe('waiting-children');
    await stage.worker(async (request) => resultOf(request));
    await collect(queue.watch(other.children![0]!.job.id!));
    expect(await queue.job(other.job.id!)).toMatchObject({ failedReason: reason });
  } finally {
    await flow.close();
  }
});

test('a waiting job that is paused is taken by nobody until it is resumed', async () => {
  const queue = stage.queue();
  const [held = '', free = ''] = await queue.addBulk([
    { path: 'held', size: 1 },
    { path: 'free', size: 1 },
  ]);
  expect(await queue.pause(held)).toBe('waiting');
  expect(await queue.pause(held)).toBe('delayed'); // twice is once
  const performed: string[] = [];
  await stage.worker(async (request, { id, starts }) => {
    performed.push(`${id} ${starts}`);
    return resultOf(request);
  });
  await collect(queue.watch(free));
  expect(performed).toEqual([`${free} 1`]);
  await queue.resume(held);
  expect((await collect(queue.watch(held))).at(-1)?.type).toBe('completed');
  expect(performed).toEqual([`${free} 1`, `${held} 1`]);
});

test('a delayed job that is paused and resumed comes when it was due', async () => {
  const queue = stage.queue();
  const id = await queue.add({ path: 'a', size: 1 }, { delay: 3_600_000 });
  const due = await stage.client.zscore('bull:penstock:delayed', id);
  await queue.pause(id);
  expect(Number(await stage.client.zscore('bull:penstock:delayed', id))).toBeGreaterThan(Number(due));
  await queue.resume(id);
  const again = Number(await stage.client.zscore('bull:penstock:delayed', id));
  expect(Math.floor(again / 4096)).toBe(Math.floor(Number(due) / 4096));
});

test('a job that runs is told of pause, resume and limit; a limit from before it was begun is known to it', async () => {
  const queue = stage.queue();
  const id = await queue.add({ path: 'a', size: 1 });
  await queue.limit(id, 2 ** 52 + 1);
  const told: Pick<Order, 'paused' | 'limit'>[] = [];
  const begun = new Signal();
  await stage.worker(async (request, job) => {
    const resumed = ordered(job, (steer) => {
      told.push({ paused: steer.paused, ...(steer.limit === undefined ? {} : { limit: steer.limit }) });
      return !steer.paused && told.length > 1;
    });
    expect(job.starts).toBe(1);
    begun.give();
    await resumed;
    return resultOf(request);
  });
  await begun.given;
  expect(await queue.pause(id)).toBe('active');
  await queue.resume(id);
  await collect(queue.watch(id));
  const limit = 2 ** 52 + 1;
  expect(told).toEqual([
    { paused: false, limit },
    { paused: true, limit },
    { paused: false, limit },
  ]);
});

test('what a job was told holds on the next host that takes it', async () => {
  const queue = stage.queue();
  const first = new Signal();
  const paused = new Signal();
  const worker = await stage.worker((_request, job) => {
    first.give();
    void ordered(job, (steer) => steer.paused).then(() => paused.give());
    return untilAborted(job.whenAborted);
  });
  const id = await queue.add({ path: 'a', size: 1 });
  await first.given;
  await queue.pause(id);
  await paused.given;
  await worker.drain('shutdown');
  const second = new Signal();
  await stage.worker(async (request, job) => {
    await ordered(job, (steer) => steer.paused);
    expect(job.starts).toBeGreaterThan(1);
    second.give();
    await ordered(job, (steer) => !steer.paused);
    return resultOf(request);
  });
  await second.given;
  await queue.resume(id);
  expect((await collect(queue.watch(id))).at(-1)?.type).toBe('completed');
});

test('a job whose host died is cancelled at once, without another host', async () => {
  const queue = stage.queue();
  const id = await queue.add({ path: 'a', size: 1 });
  const plain = stage.plainQueue();
  await plain.waitUntilReady();
  // As a killed host leaves it: active, and no lock.
  await stage.client.lrem('bull:penstock:wait', 1, id);
  await stage.client.lpush('bull:penstock:active', id);
  await stage.client.hset(`bull:penstock:${id}`, 'ats', 1);
  expect(await queue.cancel(id, { by: 'cron' })).toBe('active');
  expect(await queue.job(id)).toMatchObject({ failedReason: 'cancelled by cron' });
  expect(await stage.client.llen('bull:penstock:active')).toBe(0);
});

test('limits of hosts and roots reach the workers they are of, live and at their start', async () => {
  const queue = stage.queue();
  await queue.limitHost('late', { bytesPerSecond: 5 });
  await queue.limitRoot('data', { bytesPerSecond: 7 });
  await queue.limitRoot('data', { bytesPerSecond: 9 }, 'late');
  const limits: StandingLimits[] = [];
  const changed = new Signal();
  await stage.worker(async (request) => resultOf(request), {
    host: 'late',
    onLimits: (standing) => {
      limits.push(standing);
      if (limits.length === 2) changed.give();
    },
  });
  expect(limits).toEqual([{ host: 5, roots: { data: 9 } }]);
  await queue.limitHost('late', null);
  await changed.given;
  expect(limits[1]).toEqual({ roots: { data: 9 } });
});

test('what a job that nobody runs has left is removed by the host that had it last, when it is there', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const first = await stage.worker((_request, job) => {
    begun.give();
    return untilAborted(job.whenAborted);
  });
  const id = await queue.add({ path: 'a', size: 1 });
  await begun.given;
  const { createdAtMs } = { createdAtMs: (await queue.job(id))!.timestamp };
  await first.drain('shutdown');
  expect(await queue.cancel(id, said)).toBe('waiting');
  expect(await queue.job(id)).toMatchObject({ failedReason: reason });
  const swept = new Signal<WriteJobInfo>();
  await stage.worker(
    (_request, job) => {
      swept.give(job);
      return untilAborted(job.whenAborted); // at once
    },
    { queue: 'own' },
  );
  const sweep = await swept.given;
  expect(sweep).toMatchObject({ id, createdAtMs });
  expect(sweep.starts).toBeGreaterThan(1);
});
