// What operators see of jobs and do with them: listed, shown, tried again, removed, whatever other programs wrote there.
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { JobView } from '../src/inspect/job-view.ts';
import type { JobFilter } from '../src/inspect/listing.ts';
import type { WriteQueue } from '../src/produce/write-queue.ts';
import { OrderSender } from '../src/steer/order-sender.ts';
import { collect, resultOf, Signal, Stage, untilAborted } from '../src/stage.fixture.ts';

let stage: Stage;
let queue: WriteQueue;
beforeEach(async () => {
  stage = await Stage.open();
  queue = stage.queue();
});
afterEach(() => stage.clear());

const write = (path: string, more: object = {}): { path: string; size: string } => ({ path, size: '4KiB', ...more });

async function list(filter?: JobFilter): Promise<JobView[]> {
  const jobs: JobView[] = [];
  for await (const job of queue.list(filter)) jobs.push(job);
  return jobs;
}

const ended = (id: string): Promise<unknown> => collect(queue.watch(id));

test('jobs of all queues are listed by state, what waits in the order in which it is taken, what has ended newest first', async () => {
  const names = ['a', 'b', 'c'];
  const done = new Map<string, string>();
  const first = await stage.worker(
    async (request) => {
      if ('path' in request && request.path === 'b')
        throw Object.assign(new Error('no such thing'), { code: 'ENOENT' });
      return { ...resultOf(request), host: 'disk-1' };
    },
    { host: 'disk-1' },
  );
  for (const name of names) {
    const id = await queue.add(write(name), { attempts: 1 });
    done.set(name, id);
    await ended(id);
  }
  await first.drain('shutdown');
  const begun = new Signal();
  await stage.worker(
    (_request, { whenAborted }) => {
      begun.give();
      return untilAborted(whenAborted);
    },
    { host: 'disk-1', queue: 'own', concurrency: 1 },
  );
  const active = await queue.add(write('d', { target: { host: 'disk-1' } }));
  await begun.given;
  const waiting = [await queue.add(write('e', { root: 'captures' })), await queue.add(write('f'))];
  const own = await queue.add(write('g', { target: { host: 'disk-1' } }));
  const delayed = await queue.add(write('h'), { delay: 60_000 });
  const prioritized = await queue.add(write('i'), { priority: 5 });
  const bulk = await queue.add({
    files: [
      { path: 'j', size: '1KiB' },
      { path: 'k', size: '1KiB' },
    ],
  });
  const all = await list();
  expect(all.map(({ id, state }) => [state, id])).toEqual([
    ['active', active],
    ['waiting', waiting[0]],
    ['waiting', waiting[1]],
    ['waiting', bulk],
    ['waiting', own],
    ['prioritized', prioritized],
    ['delayed', delayed],
    ['failed', done.get('b')],
    ['completed', done.get('c')],
    ['completed', done.get('a')],
  ]);
  const byId = new Map(all.map((job) => [job.id, job]));
  expect(byId.get(waiting[0]!)).toMatchObject({
    root: 'captures',
    path: 'e',
    files: 1,
    host: null,
    target: null,
    attempts: 0,
    attemptsMax: 3,
  });
  expect(byId.get(bulk)).toMatchObject({ path: 'j', files: 2 });
  expect(byId.get(own)).toMatchObject({ target: 'disk-1', startedAtMs: null });
  expect(byId.get(done.get('b')!)).toMatchObject({
    attempts: 1,
    attemptsMax: 1,
    error: { code: 'ENOENT', message: 'no such thing' },
  });
  expect(byId.get(done.get('a')!)).toMatchObject({ host: 'disk-1', error: null, endedAtMs: expect.any(Number) });
  const ids = async (filter: JobFilter): Promise<string[]> => (await list(filter)).map(({ id }) => id);
  expect(await ids({ states: ['failed', 'active'] })).toEqual([active, done.get('b')]);
  expect(await ids({ root: 'captures' })).toEqual([waiting[0]]);
  expect(await ids({ host: 'disk-1', states: ['waiting', 'completed'] })).toEqual([own, done.get('c'), done.get('a')]);
  expect(await ids({ sinceMs: byId.get(waiting[0]!)!.addedAtMs, states: ['waiting', 'failed', 'completed'] })).toEqual([
    ...waiting,
    bulk,
    own,
  ]);
});

test('more jobs than a page are listed, each once', async () => {
  const ids = await queue.addBulk(Array.from({ length: 450 }, (_, index) => write(`f${index}`)));
  expect((await list()).map(({ id }) => id)).toEqual(ids);
});

test('what other programs wrote is listed too, and nothing of it is believed', async () => {
  const plain = stage.plainQueue();
  const { id = '' } = await plain.add('other', { path: 7, files: 'x', target: 'y' });
  await stage.client.hset(`bull:penstock:${id}`, { data: '{', progress: '[', opts: 'null' });
  expect(await list()).toMatchObject([
    { id, state: 'waiting', path: null, root: null, files: 1, target: null, attemptsMax: 1 },
  ]);
  await expect(list({ states: ['nonsense' as 'failed'] })).rejects.toMatchObject({
    code: 'EBADREQUEST',
    field: 'states',
  });
});

test('one job is shown with its request, its result, its error and its log', async () => {
  let fails = true;
  await stage.worker(async (request) => {
    if (fails) throw Object.assign(new Error('for now'), { code: 'EIO', retryable: true });
    return resultOf(request);
  });
  const id = await queue.add(write('a', { root: 'captures' }), { attempts: 1 });
  await ended(id);
  expect(await queue.show(id)).toMatchObject({
    id,
    state: 'failed',
    root: 'captures',
    request: { path: 'a', root: 'captures' },
    result: null,
    error: { message: 'for now' },
    logs: [expect.stringMatching(/attempt 1 on test-host failed: for now$/)],
  });
  fails = false;
  await queue.retry(id);
  await ended(id);
  expect(await queue.show(id)).toMatchObject({ state: 'completed', result: { bytes: 4096 } });
  const calls = [
    () => queue.show('nope'),
    () => queue.retry('nope'),
    () => queue.remove('nope'),
    () => queue.show('wait'),
  ];
  for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'ENOJOB' });
});

test('a cancelled job that is tried again runs, though hosts still know the order that ended it', async () => {
  const begun = new Signal();
  let hangs = true;
  const perform = (
    request: Parameters<typeof resultOf>[0],
    whenAborted: Parameters<typeof untilAborted>[0],
  ): Promise<ReturnType<typeof resultOf>> => {
    if (!hangs) return Promise.resolve(resultOf(request));
    begun.give();
    return untilAborted(whenAborted);
  };
  // The second gets the order too, and keeps it for a job that might come to it.
  const one = await stage.worker((request, { whenAborted }) => perform(request, whenAborted), { host: 'disk-1' });
  const id = await queue.add(write('a'));
  await begun.given;
  const two = await stage.worker((request, { whenAborted }) => perform(request, whenAborted), { host: 'disk-2' });
  await queue.cancel(id, { by: 'a test' });
  await ended(id);
  await one.drain('shutdown');
  hangs = false;
  await queue.retry(id);
  await ended(id);
  expect(await queue.show(id)).toMatchObject({ state: 'completed' });
  await two.drain('shutdown');
});

test('a retry of a job that another client removes, or has put in line and paused, leaves nothing and undoes nothing', async () => {
  const id = await queue.add(write('a'));
  await queue.cancel(id, { by: 'a test' });
  const orders = new OrderSender(stage.client, stage.plainQueue(), undefined);
  const key = `bull:penstock:${id}`;
  // What another client does between the look at the state and this.
  const hget = stage.client.hget.bind(stage.client);
  jest.spyOn(stage.client, 'hget').mockImplementation(async (...args) => {
    const value = await hget(...args);
    await queue.remove(id);
    return value;
  });
  await orders.takeBack(id);
  if ((await stage.client.exists(key)) === 1) await queue.remove(id);
  await orders.takeBack(id);
  expect(await stage.client.exists(key)).toBe(0);
  const waiting = await queue.add(write('b'));
  await queue.pause(waiting);
  await orders.takeBack(waiting);
  expect(JSON.parse((await stage.client.hgetall(`bull:penstock:${waiting}`))['steer']!)).toMatchObject({
    paused: true,
  });
});

test('a list that Redis refuses is no empty one', async () => {
  await queue.add(write('a'));
  await stage.client.acl('SETUSER', 'default', '-hmget');
  await expect(list()).rejects.toMatchObject({ code: 'EAUTH' });
  await stage.client.acl('SETUSER', 'default', '+@all');
});

test('only a failed job is tried again, and a job that a host has is not removed', async () => {
  const begun = new Signal();
  await stage.worker(
    (_request, { whenAborted }) => {
      begun.give();
      return untilAborted(whenAborted);
    },
    { concurrency: 1 },
  );
  const active = await queue.add(write('a'));
  await begun.given;
  const waiting = await queue.add(write('b'));
  await expect(queue.retry(active)).rejects.toMatchObject({ code: 'EJOBSTATE', state: 'active' });
  await expect(queue.retry(waiting)).rejects.toMatchObject({ code: 'EJOBSTATE', state: 'waiting' });
  await expect(queue.remove(active)).rejects.toMatchObject({
    code: 'EJOBSTATE',
    hint: expect.stringContaining(`penstock cancel ${active}`),
  });
  await queue.remove(waiting);
  expect((await list()).map(({ id }) => id)).toEqual([active]);
});

test('a removed job counts no more against the capacity', async () => {
  await queue.setCapacity({ bytes: 8192 });
  const id = await queue.add(write('a'));
  await queue.add(write('b'));
  await expect(queue.add(write('c'))).rejects.toMatchObject({ code: 'EQUEUEFULL' });
  await queue.remove(id);
  await queue.add(write('c'));
});

test('old jobs are removed from all queues, by how they ended', async () => {
  await stage.worker(async (request) => resultOf(request), { host: 'disk-1', queue: 'own' });
  await stage.worker(async () => Promise.reject(Object.assign(new Error('no'), { code: 'ENOENT' })));
  const own = await queue.add(write('a', { target: { host: 'disk-1' } }));
  const failed = await queue.add(write('b'));
  await Promise.all([ended(own), ended(failed)]);
  expect(await queue.clean({ olderThanMs: 3_600_000 })).toBe(0);
  expect(await queue.clean({ olderThanMs: 0, states: ['failed'] })).toBe(1);
  expect((await list()).map(({ id }) => id)).toEqual([own]);
  expect(await queue.clean({ olderThanMs: 0 })).toBe(1);
  await expect(queue.clean({ olderThanMs: -1 })).rejects.toMatchObject({ code: 'EBADREQUEST', field: 'olderThanMs' });
});
