import { IoError, WriteAbortedError, type JobRequest } from '@penstock/contract';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { collect, progressOf, resultOf, Signal, Stage, untilAborted } from '../src/stage.fixture.ts';
import type { WatchEvent } from '../src/watch/watch.ts';
import { WriteWorker } from '../src/work/write-worker.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const write = { path: 'a.bin', size: '4KiB' } as const;

test('a request that is added is performed with its defaults, and its result is the job’s', async () => {
  const queue = stage.queue();
  const seen: JobRequest[] = [];
  await stage.worker(async (request, job, report) => {
    seen.push(request);
    expect(job).toMatchObject({ attempt: 1, starts: 1, willRetry: true, createdAtMs: expect.any(Number) });
    report(progressOf(50));
    return resultOf(request);
  });
  const id = await queue.add(write);
  expect(await collect(queue.watch(id))).toContainEqual({
    type: 'completed',
    result: resultOf(seen[0] as JobRequest),
  });
  expect(seen).toEqual([
    {
      path: 'a.bin',
      root: 'data',
      size: 4096,
      source: { kind: 'pattern', pattern: 'zero', seed: 0 },
      mode: 'replace',
      publish: 'atomic',
      durability: 'fdatasync',
    },
  ]);
  expect(stage.errors).toEqual([]);
});

test('a producer that knows only BullMQ adds a write, and is told when it is done', async () => {
  const queue = stage.plainQueue();
  await stage.worker(async (request) => resultOf(request));
  const job = await queue.add('write', { path: 'plain.bin', size: 1024 });
  const [last] = (await collect(stage.queue().watch(job.id ?? ''))).slice(-1);
  expect(last).toMatchObject({ type: 'completed', result: { path: 'plain.bin', bytes: 1024 } });
});

test('ended jobs of a producer that says nothing of it are not kept for ever', async () => {
  const queue = stage.plainQueue();
  const ends = new Signal();
  let performed = 0;
  const worker = await stage.worker(
    async (request) => {
      performed += 1;
      if (performed === 1050) ends.give();
      return resultOf(request);
    },
    { concurrency: 50 },
  );
  await queue.addBulk(Array.from({ length: 1050 }, () => ({ name: 'write', data: { path: 'a', size: 0 } })));
  await ends.given;
  await worker.close();
  expect(await queue.getJobCounts()).toMatchObject({ completed: 1000, waiting: 0, active: 0, failed: 0 });
});

test('a request that breaks the schema fails at once, names the field, and is not retried', async () => {
  let performed = 0;
  await stage.worker(async (request) => {
    performed += 1;
    return resultOf(request);
  });
  const data = { path: 'a.bin', size: 1, matrix: { rows: 1, rowBytes: -5 } };
  const job = await stage.plainQueue().add('write', data, { attempts: 5 });
  const events = await collect(stage.queue().watch(job.id ?? ''));
  expect(events.at(-1)).toMatchObject({
    type: 'failed',
    attemptsMade: 1,
    error: {
      name: 'RequestError',
      code: 'EBADREQUEST',
      field: 'matrix.rowBytes',
      message: expect.stringContaining('matrix.rowBytes: -5'),
      retryable: false,
    },
  });
  expect(performed).toBe(0);
});

test('a job of another name is refused by name', async () => {
  await stage.worker(async (request) => resultOf(request));
  const job = await stage.plainQueue().add('read', { path: 'a.bin', size: 1 }, { attempts: 5 });
  const events = await collect(stage.queue().watch(job.id ?? ''));
  expect(events.at(-1)).toMatchObject({
    type: 'failed',
    attemptsMade: 1,
    error: { message: expect.stringMatching(/name: "read".*"write"/) },
  });
});

test('an error that may pass is retried after its backoff, and the job then succeeds', async () => {
  const queue = stage.queue();
  const attempts: number[] = [];
  const watched = new Signal();
  await stage.worker(async (request, { attempt }) => {
    await watched.given;
    attempts.push(attempt);
    if (attempt < 3)
      throw new IoError({ syscall: 'pwrite', errno: -5, path: '/data/a.bin', offset: 8192, length: 4096 });
    return resultOf(request);
  });
  const id = await queue.add(write, { backoff: { type: 'fixed', delay: 50 } });
  const events: WatchEvent[] = [];
  for await (const event of queue.watch(id)) {
    events.push(event);
    watched.give(); // a first attempt that ends before anybody watches is told by its log alone
  }
  expect(attempts).toEqual([1, 2, 3]);
  expect(events.filter(({ type }) => type === 'retrying')).toMatchObject([
    { attempt: 1, delayMs: expect.any(Number), error: { code: 'EIO', path: '/data/a.bin', offset: 8192 } },
    { attempt: 2, error: { code: 'EIO' } },
  ]);
  expect(events.at(-1)).toMatchObject({ type: 'completed' });

  const job = await queue.job(id);
  const { logs } = await stage.plainQueue().getJobLogs(id);
  expect(job?.attemptsMade).toBe(3);
  expect(logs).toEqual([
    expect.stringMatching(/attempt 1 on test-host failed: EIO: .*pwrite '\/data\/a\.bin' at 8192, 4096 bytes/),
    expect.stringMatching(/attempt 2 on test-host failed: EIO/),
  ]);
});

test('a reason of several lines is one line of the job’s log, and nothing that a terminal obeys', async () => {
  const queue = stage.queue();
  await stage.worker(async () => {
    throw Object.assign(new Error('gone\n2026-01-01 attempt 2 on other completed\u001B[2J'), { retryable: false });
  });
  const id = await queue.add(write);
  await collect(queue.watch(id));
  const { logs } = await stage.plainQueue().getJobLogs(id);
  expect(logs).toEqual([
    expect.stringMatching(/attempt 1 on test-host failed: gone\\n2026-01-01 .* completed\\u\{1b\}\[2J$/),
  ]);
});

test('an error that would come again is not retried', async () => {
  const queue = stage.queue();
  await stage.worker(async () => {
    throw new IoError({ syscall: 'openat', errno: -30, path: '/data/a.bin' });
  });
  const id = await queue.add(write);
  const events = await collect(queue.watch(id));
  expect(events.at(-1)).toMatchObject({
    type: 'failed',
    attemptsMade: 1,
    error: { name: 'IoError', code: 'EROFS', syscall: 'openat', errno: -30, retryable: false },
  });
});

test('after the last attempt the job has failed, and its progress carries why', async () => {
  const queue = stage.queue();
  await stage.worker(async (_request, _job, report) => {
    report(progressOf(30));
    throw new Error('the disk is on fire');
  });
  const id = await queue.add(write, { attempts: 2, backoff: { type: 'fixed', delay: 10 } });
  const events = await collect(queue.watch(id));
  expect(events.at(-1)).toMatchObject({ type: 'failed', attemptsMade: 2, error: { message: 'the disk is on fire' } });
  expect((await queue.job(id))?.progress).toMatchObject({ progress: 30, error: { message: 'the disk is on fire' } });
});

test('what is thrown need not be an error', async () => {
  const queue = stage.queue();
  await stage.worker(async () => {
    throw 'just words';
  });
  const id = await queue.add(write, { attempts: 1 });
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'failed', error: { message: 'just words' } });
});

test('a new attempt begins with blank progress', async () => {
  const queue = stage.queue();
  const second = new Signal();
  await stage.worker(async (request, { attempt }, report) => {
    if (attempt === 1) {
      report(progressOf(90));
      throw new Error('once');
    }
    await second.given;
    return resultOf(request);
  });
  const id = await queue.add(write, { backoff: { type: 'fixed', delay: 10 } });
  for await (const event of queue.watch(id)) {
    if (event.type !== 'progress' || event.progress.progress !== 0) continue;
    expect(event.progress).toMatchObject({ phase: 'opening', host: 'test-host' });
    expect(event.progress.error).toBeUndefined();
    second.give();
  }
});

test('the last progress arrives before the completion, and stragglers never', async () => {
  const queue = stage.queue();
  const reports: ((percent: number) => void)[] = [];
  const worker = await stage.worker(async (request, _job, report) => {
    reports.push((percent) => report(progressOf(percent)));
    for (let percent = 0; percent <= 100; percent += 1) report(progressOf(percent));
    return resultOf(request);
  });
  const id = await queue.add(write);
  const events = await collect(queue.watch(id));
  reports[0]?.(55);
  await worker.close(); // what it had sent has arrived
  const [last] = events.slice(-1);
  expect(last?.type).toBe('completed');
  expect((await queue.job(id))?.progress).toMatchObject({ progress: 100 });
  const stream = await stage.client.xrange('bull:penstock:events', '-', '+');
  const percents = stream
    .map(([, fields]) => (fields[1] === 'progress' ? JSON.parse(fields[5] ?? '{}').progress : null))
    .filter((percent) => percent !== null);
  // Of a hundred and one reports in one breath, the first and the newest are worth an update.
  expect(percents).toEqual([0, 100]);
});

test('drained, a job goes back without having used up an attempt, and another worker takes it', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const first = await stage.worker(async (_request, { whenAborted }) => {
    begun.give();
    return untilAborted(whenAborted);
  });
  const id = await queue.add(write);
  await begun.given;
  await first.drain('shutdown');
  const job = await queue.job(id);
  expect([await job?.getState(), job?.attemptsMade]).toEqual(['waiting', 0]);

  const attempts: number[] = [];
  await stage.worker(async (request, { attempt }) => {
    attempts.push(attempt);
    return resultOf(request);
  });
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect(attempts).toEqual([1]);
  expect(stage.errors).toEqual([]);
});

test('drained, a worker lets a job finish that is nearly done, and takes no more', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const end = new Signal();
  const worker = await stage.worker(
    async (request) => {
      begun.give();
      await end.given;
      return resultOf(request);
    },
    { concurrency: 1 },
  );
  const [done = '', left = ''] = await queue.addBulk([write, write]);
  await begun.given;
  const drained = worker.drain('shutdown');
  end.give();
  await drained;
  expect(await (await queue.job(done))?.getState()).toBe('completed');
  expect(await (await queue.job(left))?.getState()).toBe('waiting');
});

test('drained while idle, a worker leaves at once what comes after', async () => {
  const queue = stage.queue();
  await queue.connect();
  const performed: string[] = [];
  const worker = await stage.worker(async (request, { id }) => {
    performed.push(id);
    return resultOf(request);
  });
  const before = await queue.add(write);
  await collect(queue.watch(before));
  const begun = performance.now();
  const drained = worker.drain('shutdown');
  const [id] = await Promise.all([queue.add(write), drained]);
  expect(performance.now() - begun).toBeLessThan(2000);
  const job = await queue.job(id);
  expect([await job?.getState(), job?.attemptsMade]).toEqual(['waiting', 0]);
  expect(performed).toEqual([before]);
});

test('closed, a worker lets its jobs finish without aborting them', async () => {
  const queue = stage.queue();
  const begun = new Signal();
  const aborted: Error[] = [];
  const end = new Signal();
  const worker = await stage.worker(async (request, { whenAborted }) => {
    whenAborted((reason) => aborted.push(reason));
    begun.give();
    await end.given;
    return resultOf(request);
  });
  const id = await queue.add(write);
  await begun.given;
  const closed = worker.close();
  end.give();
  await closed;
  expect(aborted).toEqual([]);
  expect(await (await queue.job(id))?.getState()).toBe('completed');
  await expect(worker.drain('shutdown')).resolves.toBeUndefined();
});

test.each(['shutdown', 'lost'] as const)('a job whose perform says %s of itself goes back too', async (reason) => {
  const queue = stage.queue();
  let calls = 0;
  await stage.worker(async (request) => {
    calls += 1;
    if (calls === 1) throw new WriteAbortedError(reason);
    return resultOf(request);
  });
  const id = await queue.add(write, { attempts: 1 });
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect((await queue.job(id))?.attemptsMade).toBe(1);
});

test('a job whose thread another write ended goes back without an attempt, but not for ever', async () => {
  const queue = stage.queue();
  let calls = 0;
  await stage.worker(async () => {
    calls += 1;
    throw Object.assign(new Error('died'), { code: 'EWRITERDIED', retryable: true, blameless: true });
  });
  const id = await queue.add(write, { attempts: 1 });
  const events = await collect(queue.watch(id));
  expect(events.at(-1)).toMatchObject({ type: 'failed', attemptsMade: 1, error: { code: 'EWRITERDIED' } });
  expect(calls).toBe(11);
});

test('a cancelled write that was left behind has failed as cancelled, and its log says what may still come of it', async () => {
  const queue = stage.queue();
  await stage.worker(async (_request, { whenAborted }) => {
    await untilAborted(whenAborted).catch(() => {});
    throw new WriteAbortedError('cancel', { cause: new Error('its disk does not answer') });
  });
  const id = await queue.add(write);
  await stage.queue().cancel(id, { by: 'ann' });
  const events = await collect(queue.watch(id));
  expect(events.at(-1)).toMatchObject({ type: 'failed', error: { message: 'cancelled by ann' } });
  const { logs } = await stage.plainQueue().getJobLogs(id);
  expect(logs.at(-1)).toMatch(/its disk does not answer/);
});

test('a cancelled job is not retried', async () => {
  const queue = stage.queue();
  await stage.worker(async () => {
    throw new WriteAbortedError('cancel');
  });
  const id = await queue.add(write);
  expect((await collect(queue.watch(id))).at(-1)).toMatchObject({
    type: 'failed',
    attemptsMade: 1,
    error: { code: 'ECANCELED' },
  });
});

test('a host’s name with spaces is still counted as a worker', async () => {
  await stage.worker(async (request) => resultOf(request), { host: 'rack 7 / höst' });
  expect(await stage.queue().workers()).toBe(1);
});

test('a worker that cannot reach Redis says so and can be drained', async () => {
  await stage.stopRedis();
  const worker = new WriteWorker({
    connection: stage.connection,
    concurrency: 1,
    host: 'test-host',
    perform: async (request) => resultOf(request),
    onError: (error) => stage.errors.push(error),
  });
  await expect(worker.ready()).rejects.toMatchObject({ name: 'ConnectionError', code: 'ENOENT' });
  await expect(worker.drain('shutdown')).resolves.toBeUndefined();
});

test('no two attempts at a job have the same number, whatever its counts are set back to, and the first costs no command', async () => {
  const plain = stage.plainQueue();
  const queue = stage.queue();
  const numbers: number[] = [];
  const worker = await stage.worker(async (request, { starts }) => {
    numbers.push(starts);
    if (numbers.length % 3 !== 0) throw new Error('not yet');
    return resultOf(request);
  });
  const { id = '' } = await plain.add('write', write, { attempts: 3 });
  await collect(queue.watch(id));
  expect(await stage.client.hexists(`bull:penstock:${id}`, 'again')).toBe(1);
  const job = (await plain.getJob(id))!;
  await job.retry('completed', { resetAttemptsMade: true, resetAttemptsStarted: true });
  await collect(queue.watch(id));
  expect(numbers).toEqual([1, 2, 3, 4, 5, 6]);
  const once = await queue.add(write, { attempts: 1 });
  await collect(queue.watch(once)).catch(() => {});
  expect(await stage.client.hexists(`bull:penstock:${once}`, 'again')).toBe(0);
  await worker.close();
});
