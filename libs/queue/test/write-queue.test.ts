import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { resultOf, Stage } from '../src/stage.fixture.ts';
import { WriteQueue } from '../src/produce/write-queue.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'a.bin', size: '4KiB' } as const;

test('a request is stored as the host will carry it out, with three attempts and a backoff', async () => {
  const queue = stage.queue();
  const job = await queue.job(await queue.add(write));
  expect(job).toMatchObject({
    name: 'write',
    data: { path: 'a.bin', size: 4096, durability: 'fdatasync' },
    opts: { attempts: 3, backoff: { type: 'exponential', delay: 1000 }, removeOnComplete: { count: 1000 } },
  });
});

test('what the producer says of a job goes before the defaults', async () => {
  const queue = stage.queue();
  const id = await queue.add(write, { attempts: 7, jobId: 'mine', priority: 3 });
  expect(id).toBe('mine');
  expect((await queue.job(id))?.opts).toMatchObject({ attempts: 7, priority: 3, backoff: { type: 'exponential' } });
});

test('a request that cannot be carried out is refused before it is stored', async () => {
  const queue = stage.queue();
  await expect(queue.add({ path: '../a', size: 1 })).rejects.toMatchObject({ name: 'RequestError', field: 'path' });
  // Of many, the place is told, and none is stored.
  await expect(queue.addBulk([write, { path: 'b', size: -1 }])).rejects.toMatchObject({
    name: 'RequestError',
    field: 'size',
    message: expect.stringMatching(/^request 1: size: -1/),
  });
  // One id for several writes would have the first alone added.
  await expect(queue.addBulk([write, write], { jobId: 'mine' })).rejects.toMatchObject({ field: 'jobId' });
  await expect(queue.add(write, { jobId: 'wait' })).rejects.toMatchObject({ field: 'jobId' });
  expect(await stage.client.keys('bull:penstock:*')).not.toContain('bull:penstock:wait');
});

test('the ids of many are in the order of their requests', async () => {
  const queue = stage.queue();
  const sizes = Array.from({ length: 2003 }, (_, index) => index); // in three round trips
  const ids = await queue.addBulk(sizes.map((size) => ({ path: `${size}`, size })));
  const jobs = await Promise.all(ids.map((id) => queue.job(id)));
  expect(jobs.map((job) => job?.data.size)).toEqual(sizes);
});

test('an add that is sent twice, as after a break, adds one job', async () => {
  const queue = stage.queue();
  await queue.connect();
  let added = 0;
  const adding = (async () => {
    for (; added < 300; added += 1) {
      await queue.add(write);
      if (added === 100) void stage.killRedis();
    }
  })();
  await adding;
  expect(await stage.client.llen('bull:penstock:wait')).toBe(300);
});

test('an unknown job is null', async () => {
  expect(await stage.queue().job('none')).toBeNull();
});

test('workers are counted by their connections', async () => {
  const queue = stage.queue();
  expect(await queue.workers()).toBe(0);
  const one = await stage.worker(async (request) => resultOf(request), { host: 'one' });
  await stage.worker(async (request) => resultOf(request), { host: 'two' });
  expect(await queue.workers()).toBe(2);
  await one.close();
  // Redis sees the end of a connection in its own time.
  while ((await queue.workers()) > 1) await stage.client.ping();
  expect(await queue.workers()).toBe(1);
});

test('another prefix is another queue', async () => {
  const other = new WriteQueue({ connection: stage.connection, prefix: 'other' });
  const id = await other.add(write);
  expect(await stage.queue().job(id)).toBeNull();
  expect(await stage.client.exists(`other:penstock:${id}`)).toBe(1);
  await other.close();
});

test('closed, it refuses, and closing again does nothing', async () => {
  const queue = stage.queue();
  await queue.connect();
  await queue.close();
  await queue.close();
  await expect(queue.add(write)).rejects.toThrow('the queue was closed');
});

test('it can be closed while Redis is away', async () => {
  const queue = stage.queue();
  const watched = queue.watch(await queue.add(write));
  await watched.next();
  await stage.stopRedis();
  await stage.told(/no such socket/);
  const begun = performance.now();
  await queue.close();
  expect(performance.now() - begun).toBeLessThan(2500);
});
