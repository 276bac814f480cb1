import type { JobRequest, JobResult } from '@penstock/contract';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Queue } from 'bullmq';
import { collect, resultOf, Stage } from '../stage.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'a.bin', size: '4KiB' } as const;
const key = (id: string): string => `bull:penstock:${id}`;

/** Has the worker of these tests begin nothing but what is added after it. */
async function addBroken(queue: Queue, breakIt: (id: string) => Promise<unknown>): Promise<string> {
  const { id = '' } = await queue.add('write', write, { attempts: 5, delay: 60_000 });
  await breakIt(id);
  return id;
}

const BROKEN: Record<string, (id: string) => Promise<unknown>> = {
  'data that end early': (id) => stage.client.hset(key(id), 'data', '{"path":"a.bi'),
  'data that are missing': (id) => stage.client.hdel(key(id), 'data'),
  'opts that are no JSON': (id) => stage.client.hset(key(id), 'opts', '{attempts:3}'),
  'opts that are null': (id) => stage.client.hset(key(id), 'opts', 'null'),
  'opts that are a list': (id) => stage.client.hset(key(id), 'opts', '[1]'),
  'opts with attempts that are no number': (id) => stage.client.hset(key(id), 'opts', '{"attempts":"three"}'),
  'opts with a backoff that is a text': (id) => stage.client.hset(key(id), 'opts', '{"attempts":3,"backoff":"soon"}'),
  'a progress that is no JSON': (id) => stage.client.hset(key(id), 'progress', '{"progress":'),
  'a parent that is no JSON': (id) => stage.client.hset(key(id), 'parent', '{'),
  'a returnvalue that is no JSON': (id) => stage.client.hset(key(id), 'returnvalue', 'done'),
  'a stacktrace that is no list': (id) => stage.client.hset(key(id), 'stacktrace', '{"at":1}'),
  'a name that is missing': (id) => stage.client.hdel(key(id), 'name'),
  'a timestamp that is missing': (id) => stage.client.hdel(key(id), 'timestamp'),
  'a count that is no number': (id) => stage.client.hset(key(id), 'ats', 'once'),
  'a count of stalls that is no number': (id) => stage.client.hset(key(id), 'stc', '{}'),
  'an order that is no JSON': (id) => stage.client.hset(key(id), { steer: '{"rev":', ats: '1' }),
  'a count of bytes that are no text': (id) => stage.client.hset(key(id), 'ats', Buffer.of(0xff, 0xfe)),
  'a count with a zero before it': (id) => stage.client.hset(key(id), 'ats', '007'),
  'a parent without an id': (id) => stage.client.hset(key(id), 'parent', '{"queueKey":"bull:other"}'),
  'a key of a parent that names none': (id) => stage.client.hset(key(id), 'parentKey', '9'),
  'an order without a number': (id) => stage.client.hset(key(id), { steer: '{"paused":true}', ats: '1' }),
  'a schedule that its opts have not': (id) => stage.client.hset(key(id), 'rjk', 'nightly'),
  'a hash that is a text': async (id) => {
    await stage.client.del(key(id));
    await stage.client.set(key(id), 'no hash');
  },
};

test('a job that cannot be read fails once, by its id and by what is wrong with it, and the jobs behind it are written', async () => {
  const plain = stage.plainQueue();
  const queue = stage.queue();
  const ids = new Map<string, string>();
  for (const [what, breakIt] of Object.entries(BROKEN)) ids.set(what, await addBroken(plain, breakIt));
  for (const id of ids.values()) {
    await stage.client.zrem('bull:penstock:delayed', id);
    await stage.client.rpush('bull:penstock:wait', id);
  }
  const sound = await queue.add(write);
  await stage.worker(async (request) => resultOf(request), { lockDurationMs: 2000, stalledIntervalMs: 500 });
  expect((await collect(queue.watch(sound))).at(-1)).toMatchObject({ type: 'completed' });
  for (const [what, id] of ids) {
    const last = (await collect(queue.watch(id))).at(-1);
    expect([what, last]).toEqual([
      what,
      {
        type: 'failed',
        attemptsMade: 1,
        error: expect.objectContaining({ code: 'EBROKENJOB', message: expect.stringContaining(`Job '${id}'`) }),
      },
    ]);
  }
  expect(await plain.getJobCounts()).toMatchObject({ failed: ids.size, active: 0, waiting: 0 });
  for (const id of ids.values())
    expect(stage.errors.filter(({ message }) => message.includes(`'${id}'`))).not.toEqual([]);
  expect(stage.errors.every(({ name }) => name === 'BrokenJobError')).toBe(true);
});

test('jobs that cannot be read keep none from its end that is sent with the one that fetched them', async () => {
  const plain = stage.plainQueue();
  const queue = stage.queue();
  const sound = await queue.addBulk(Array.from({ length: 40 }, () => write));
  const broken: string[] = [];
  for (let count = 0; count < 6; count += 1) {
    const id = await addBroken(plain, (added) => stage.client.hset(key(added), 'ats', 'once'));
    await stage.client.zrem('bull:penstock:delayed', id);
    await stage.client.linsert('bull:penstock:wait', 'BEFORE', sound[5 + 4 * count]!, id);
    broken.push(id);
  }
  const held: (() => void)[] = [];
  const perform = async (request: JobRequest): Promise<JobResult> => {
    // Their ends come in one turn.
    await new Promise<void>((resolve) => {
      if (held.push(resolve) === 1) setTimeout(() => held.splice(0).forEach((end) => end()), 20);
    });
    return resultOf(request);
  };
  await stage.worker(perform, { concurrency: 8 });
  const lasts = await Promise.all([...sound, ...broken].map(async (id) => (await collect(queue.watch(id))).at(-1)));
  expect(lasts.map((last) => last?.type)).toEqual([...sound.map(() => 'completed'), ...broken.map(() => 'failed')]);
  expect(await plain.getJobCounts()).toMatchObject({ completed: 40, failed: 6, active: 0, waiting: 0 });
  expect(stage.errors.every(({ name }) => name === 'BrokenJobError')).toBe(true);
});

test('a job that BullMQ ends without an attempt, for a child of it failed, ends in order though it cannot be read', async () => {
  const plain = stage.plainQueue();
  const id = await addBroken(plain, (broken) =>
    stage.client.hset(key(broken), { defa: 'child failed', atm: 'x', parent: '{}' }),
  );
  await stage.client.zrem('bull:penstock:delayed', id);
  await stage.client.rpush('bull:penstock:wait', id);
  await stage.worker(async (request) => resultOf(request));
  expect((await collect(stage.queue().watch(id))).at(-1)).toMatchObject({ type: 'failed' });
  expect(await plain.getJobCounts()).toMatchObject({ failed: 1, active: 0, waiting: 0 });
});

test('a job that cannot be read is cancelled, and removed, like any other', async () => {
  const plain = stage.plainQueue();
  const queue = stage.queue();
  for (const [what, breakIt] of Object.entries(BROKEN)) {
    const id = await addBroken(plain, breakIt);
    await queue.cancel(id, { by: 'a test' });
    const last = (await collect(queue.watch(id))).at(-1);
    expect([what, last]).toMatchObject([what, { type: 'failed', error: { code: 'ECANCELED' } }]);
    if (what === 'a hash that is a text') continue; // BullMQ removes it once it is cancelled
    const removed = await addBroken(plain, breakIt);
    expect([what, await plain.remove(removed)]).toEqual([what, 1]);
  }
  expect(await plain.getJobCounts()).toMatchObject({ waiting: 0, active: 0, delayed: 0 });
});
