// Writes into a file that others write to as well: whatever dies, is retried or comes in between, each stands there once.
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { WriteQueue } from '@penstock/queue';
import { createPatternSource, readSource } from '@penstock/sources';
import type { Job } from 'bullmq';
import { Redis } from 'ioredis';
import { System } from '../../support/system.ts';

/** A dead host's job is nobody's for as long as this says: until its lock is taken from it, see takeLock(). */
const NEVER_STALLED = ['--lock-duration', '600000'];
const LOOKS_OFTEN = ['--lock-duration', '1000', '--url-allow', '127.0.0.1'];
const WAIT_MS = 60_000;

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

const stamp = (seed: number, size: number): Buffer =>
  Buffer.from(readSource(createPatternSource('stamp', seed), 0, size));
const small = (seed: number) => ({ path: 'log', mode: 'append', size: 300, source: pattern(seed) });
const pattern = (seed: number) => ({ kind: 'pattern', pattern: 'stamp', seed });

/** Appends records of `seeds`, one after the other. */
async function appendAll(seeds: readonly number[]): Promise<Buffer> {
  for (const seed of seeds) {
    const end = await system.finished(await system.add(small(seed)), WAIT_MS);
    expect(end.returnvalue).toMatchObject({ bytes: 300 });
  }
  return Buffer.concat(seeds.map((seed) => stamp(seed, 300)));
}

function expectFile(...parts: Buffer[]): void {
  const [found, expected] = [readFileSync(system.path('log')), Buffer.concat(parts)];
  expect(found.length).toBe(expected.length);
  expect(Buffer.compare(found, expected)).toBe(0);
}

async function inRedis<T>(call: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(system.redis.socketPath);
  try {
    return await call(redis);
  } finally {
    redis.disconnect();
  }
}

/** The dead host's lock runs out, and with it its turn to look for stalled jobs. */
const takeLock = (job: Job): Promise<number> =>
  inRedis((redis) => redis.del(`bull:penstock:${job.id}:lock`, 'bull:penstock:stalled-check'));

const range = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

const head = stamp(1, 1234);

test('an append whose host is killed stands once, however many others end before its second attempt', async () => {
  writeFileSync(system.path('log'), head);
  const first = await system.host([...NEVER_STALLED, '--checkpoint', '1MiB']);
  const size = 40_000_003;
  const matrix = { rows: 1, rowBytes: 4096 };
  const job = await system.add({ path: 'log', mode: 'append', size, matrix, source: pattern(2) });
  await system.progressOf(job, ({ bytesWritten }) => bytesWritten! > 0);
  await first.end('SIGKILL');
  await system.host(LOOKS_OFTEN);
  const behind = await appendAll(range(10, 60));
  expect(await job.getState()).toBe('active');
  await takeLock(job);
  expect((await system.finished(job, WAIT_MS)).returnvalue).toMatchObject({ bytes: size, offset: head.length });
  expectFile(head, stamp(2, size), behind);
}, 120_000);

test.each([
  ['when its file still names it', 0],
  ['when its file names it no more', 40],
])(
  'an append that is retried with its counts set back writes the same place again, %s',
  async (_when, others) => {
    await system.host(LOOKS_OFTEN);
    const job = await system.add({ ...small(1), size: 70_001 });
    await system.finished(job, WAIT_MS);
    const behind = await appendAll(range(10, others));
    for (let round = 0; round < 2; round += 1) {
      const ended = (await system.queue.getJob(job.id!))!;
      await ended.retry('completed', { resetAttemptsMade: true, resetAttemptsStarted: true });
      const end = await system.finished(job, WAIT_MS);
      expect(end).toMatchObject({ attemptsStarted: 1, returnvalue: { bytes: 70_001, offset: 0 } });
    }
    expectFile(stamp(1, 70_001), behind);
  },
  120_000,
);

test('an id that is removed and added again is another append', async () => {
  await system.host(LOOKS_OFTEN);
  for (let round = 0; round < 2; round += 1) {
    const job = await system.add(small(1), { jobId: 'nightly-1' });
    await system.finished(job, WAIT_MS);
    await job.remove();
  }
  expectFile(stamp(1, 300), stamp(1, 300));
});

test.each(['atomic', 'in-place'])(
  'create: a file that the job itself has made is its own when it is retried with its counts set back (%s)',
  async (publish) => {
    await system.host(LOOKS_OFTEN);
    const request = { path: 'log', mode: 'create', publish, size: 5000, source: pattern(1) };
    const job = await system.add(request);
    await system.finished(job, WAIT_MS);
    await (await system.queue.getJob(job.id!))!.retry('completed', {
      resetAttemptsMade: true,
      resetAttemptsStarted: true,
    });
    expect((await system.finished(job, WAIT_MS)).returnvalue).toMatchObject({ bytes: 5000 });
    expectFile(stamp(1, 5000));
    const other = await system.finished(await system.add(request), WAIT_MS);
    expect(other.failedReason).toMatch(/EEXIST/);
  },
  60_000,
);

/** Writes from a server, of a size that nobody declares, whose host is killed in the middle. */
interface UrlCase {
  path: string;
  fields: Record<string, unknown>;
  tellsLength: boolean;
  /** What stands in the file before. */
  standing: Buffer;
  /** Another job appends between the two attempts. */
  anotherComes?: boolean;
  expected: (fetched: Buffer, other: Buffer) => Buffer[];
}

const [short, long] = [stamp(1, 3_000_000), stamp(1, 9_000_000)];
const append = { mode: 'append' };
const overwrite = { mode: 'overwrite', offset: 1001 };
const over =
  (old: Buffer) =>
  (fetched: Buffer): Buffer[] => [old.subarray(0, 1001), fetched, old.subarray(1001 + fetched.length)];
const URL_CASES: UrlCase[] = [true, false].flatMap((tellsLength) => [
  { path: 'append', fields: append, tellsLength, standing: head, expected: (fetched) => [head, fetched] },
  {
    path: 'append-behind-which-another-comes',
    fields: append,
    tellsLength,
    standing: head,
    anotherComes: true,
    // What has no length yet holds no place: what comes first goes where it began.
    expected: (fetched, other) => (tellsLength ? [head, fetched, other] : [head, other, fetched]),
  },
  { path: 'overwrite-shorter', fields: overwrite, tellsLength, standing: short, expected: over(short) },
  { path: 'overwrite-longer', fields: overwrite, tellsLength, standing: long, expected: over(long) },
]);

/** The first answer to each url brings so much and then nothing more. */
const BROUGHT_FIRST = 4_500_000;
const fetched = stamp(3, 6_000_123);

/** A server whose urls begin with /told or /untold. */
async function serve(): Promise<{ base: string; close: () => void }> {
  const asked = new Set<string>();
  const server = createServer(({ url = '' }, response) => {
    response.writeHead(200, url.startsWith('/told') ? { 'content-length': fetched.length } : {});
    if (asked.has(url)) response.end(fetched);
    else response.write(fetched.subarray(0, BROUGHT_FIRST));
    asked.add(url);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close };
}

const isStuck = ({ bytesWritten }: Record<string, number>): boolean => bytesWritten! > BROUGHT_FIRST - 1_048_576;

test('what comes from a url without a declared size stands once after a kill, and nothing else', async () => {
  const { base, close } = await serve();
  const first = await system.host([...NEVER_STALLED, '--jobs', '8', '--url-allow', '127.0.0.1']);
  const begun = URL_CASES.map(async ({ path, fields, tellsLength, standing }) => {
    const told = tellsLength ? 'told' : 'untold';
    writeFileSync(system.path(`${path}-${told}`), standing);
    const source = { kind: 'url', url: `${base}/${told}/${path}`, timeoutMs: 60_000 };
    const job = await system.add({ path: `${path}-${told}`, source, ...fields });
    await system.progressOf(job, isStuck);
    return job;
  });
  const jobs = await Promise.all(begun);
  await first.end('SIGKILL');
  const sizes = jobs.map(({ data }) => statSync(system.path(data.path)).size);
  await system.host([...LOOKS_OFTEN, '--jobs', '8']);
  for (const { data } of jobs.filter((_job, index) => URL_CASES[index]!.anotherComes === true))
    await system.finished(await system.add({ ...small(9), path: data.path }), WAIT_MS);
  for (const job of jobs) await takeLock(job);
  for (const [index, job] of jobs.entries()) {
    const end = await system.finished(job, WAIT_MS);
    expect(end.returnvalue).toMatchObject({ bytes: fetched.length });
    const expected = Buffer.concat(URL_CASES[index]!.expected(fetched, stamp(9, 300)));
    const found = readFileSync(system.path(job.data.path));
    expect([job.data.path, found.length]).toEqual([job.data.path, expected.length]);
    expect(Buffer.compare(found, expected)).toBe(0);
    expect(sizes[index]).toBeGreaterThan(BROUGHT_FIRST - 1_048_576); // it was amid its bytes
  }
  close();
}, 120_000);

test('an append that is cancelled when its host is dead is cut off', async () => {
  writeFileSync(system.path('log'), head);
  const first = await system.host([...NEVER_STALLED, '--name', 'one']);
  const matrix = { rows: 1, rowBytes: 4096 };
  const job = await system.add({ path: 'log', mode: 'append', size: 200_000_000, matrix, source: pattern(2) });
  await system.progressOf(job, ({ bytesWritten }) => bytesWritten! > 0);
  await first.end('SIGKILL');
  await takeLock(job);
  const queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath }, onError: () => {} });
  await queue.cancel(job.id!, { by: 'test' });
  await queue.close();
  await system.host(['--name', 'one']);
  const sweep = `bull:penstock-one:sweep-${job.id}@one`;
  const isSwept = async (): Promise<boolean> => (await inRedis((redis) => redis.exists(sweep))) === 0;
  while (!(await isSwept())) await setTimeout(20); // its job is removed with its end
  expectFile(head);
});
