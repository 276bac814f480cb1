/** Jobs that wait without using up an attempt. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { IoError } from '@penstock/contract';
import { collect, progressOf, resultOf, Signal, Stage } from '../src/stage.fixture.ts';
import type { WatchEvent } from '../src/watch/watch.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const hint = '2.00 GiB needed, 1.10 GiB free on data.';
const full = (): IoError =>
  new IoError({ syscall: 'fallocate', errno: -28, path: '/data/a.bin', offset: 0, length: 4096, hint });

test('a full disk is waited for by a plain producer with one attempt, from host to host, and no attempt is counted', async () => {
  const hosts: string[] = [];
  const perform = (name: string) => async (request: Parameters<typeof resultOf>[0]) => {
    hosts.push(name);
    if (hosts.length < 3) throw full();
    return resultOf(request);
  };
  const first = await stage.worker(perform('one'), { host: 'one', concurrency: 1 });
  const plain = stage.plainQueue();
  const { id = '' } = await plain.add('write', { path: 'a.bin', size: 4096 });
  const events: WatchEvent[] = [];
  let moved = false;
  for await (const event of stage.queue().watch(id)) {
    events.push(event);
    if (event.type !== 'waiting' || event.note === undefined || moved) continue;
    moved = true; // while it waits, its host goes and another comes
    await first.close();
    await stage.worker(perform('two'), { host: 'two', concurrency: 1 });
  }
  expect(hosts).toEqual(['one', 'two', 'two']);
  const waits = events.filter((event) => event.type === 'waiting' && event.note !== undefined);
  expect(waits).toMatchObject([
    {
      note: expect.stringMatching(/^waiting for space: 2\.00 GiB needed, 1\.10 GiB free on data \(attempt not counted/),
    },
    { note: expect.stringMatching(/^waiting for space/) },
  ]);
  expect(events.filter(({ type }) => type === 'retrying')).toEqual([]);
  expect(events.at(-1)).toMatchObject({ type: 'completed' });

  const job = await plain.getJob(id);
  expect(job).toMatchObject({ attemptsMade: 1, attemptsStarted: 3, data: { path: 'a.bin', size: 4096 } });
  const { logs } = await plain.getJobLogs(id);
  expect(logs).toEqual([
    expect.stringMatching(
      /attempt 1 on one waits for space \(try 1, 0 ms so far\): ENOSPC.*fallocate '\/data\/a\.bin' at 0, 4096 bytes/,
    ),
    expect.stringMatching(/attempt 1 on two waits for space \(try 2, 1 s so far\): ENOSPC/),
  ]);
});

test('whoever begins to watch while it waits is told for what', async () => {
  const begun = new Signal();
  let tries = 0;
  await stage.worker(async (request, _job, report) => {
    tries += 1;
    if (tries > 1) return resultOf(request);
    report(progressOf(40));
    begun.give();
    throw full();
  });
  const queue = stage.queue();
  const id = await queue.add({ path: 'a.bin', size: 4096 });
  for await (const event of queue.watch(id)) if (event.type === 'waiting' && event.note !== undefined) break;
  expect((await queue.job(id))?.progress).toMatchObject({ progress: 40, phase: 'waiting', inFlight: 0 });
  const events = await collect(queue.watch(id));
  expect(events[0]).toMatchObject({
    type: 'waiting',
    note: expect.stringContaining('space'),
    delayMs: expect.any(Number),
  });
  expect(events.at(-1)).toMatchObject({ type: 'completed' });
});

test('a wait that lasts too long fails the job, and says for what it waited and for how long', async () => {
  let tries = 0;
  await stage.worker(
    async () => {
      tries += 1;
      throw new IoError({ syscall: 'flock', errno: -16, path: '/data/a.bin' });
    },
    { waitMsMax: 1500 },
  );
  const queue = stage.queue();
  const id = await queue.add({ path: 'a.bin', size: 1 });
  const events = await collect(queue.watch(id));
  expect(tries).toBeGreaterThan(5); // ever less often, up to four times a second
  expect(events.at(-1)).toMatchObject({
    type: 'failed',
    attemptsMade: 1,
    error: {
      code: 'EBUSY',
      syscall: 'flock',
      retryable: false,
      message: expect.stringMatching(/Waited 2 s for the lock of the file, \d+ tries/),
    },
  });
  // What a dashboard shows of it has the same.
  expect((await queue.job(id))?.stacktrace).toEqual([expect.stringMatching(/^IoError: EBUSY.* Waited 2 s/)]);
});

test('with no time to wait a full disk counts as an attempt like any other failure', async () => {
  await stage.worker(
    async () => {
      throw full();
    },
    { waitMsMax: 0 },
  );
  const queue = stage.queue();
  const id = await queue.add({ path: 'a.bin', size: 1 }, { attempts: 2, backoff: { type: 'fixed', delay: 1 } });
  const events = await collect(queue.watch(id));
  expect(events.at(-1)).toMatchObject({ type: 'failed', attemptsMade: 2, error: { code: 'ENOSPC' } });
});
