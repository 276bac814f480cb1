import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { JobRequest } from '@penstock/contract';
import { FlowProducer, type JobsOptions, QueueEvents } from 'bullmq';
import { redisOptions } from '../connection/address.ts';
import { collect, resultOf, Signal, Stage } from '../stage.fixture.ts';
import type { ShardOutcome } from '../flow/shards.ts';
import type { WriteJobInfo } from '../work/executor.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const manifest = { path: 'all.json' };
/** A host that keeps what each manifest's job was told of its shards; shards named "bad…" fail for good. */
async function host(told: ShardOutcome[][], order: string[] = []): Promise<void> {
  await stage.worker(async (request: JobRequest, job: WriteJobInfo) => {
    if (request.source.kind === 'manifest') told.push(await job.shards(request.source));
    const result = resultOf(request);
    order.push(result.path);
    if (result.path.startsWith('bad')) throw Object.assign(new Error('no such root'), { retryable: false });
    return result;
  });
}

test('a flow’s manifest is begun when every shard is done, and is told of them in their order', async () => {
  const queue = stage.queue();
  const shards = Array.from({ length: 12 }, (_, index) => ({ path: `${12 - index}.dat`, size: index }));
  const ids = await queue.addFlow({ shards, manifest });
  expect(ids.shards).toEqual(shards.map((_, index) => `${ids.manifest}-${index + 1}`));
  const told: ShardOutcome[][] = [];
  const order: string[] = [];
  await host(told, order);
  const events = await collect(queue.watch(ids.manifest));
  expect(events.at(-1)).toMatchObject({ type: 'completed' });
  expect(order.at(-1)).toBe('all.json');
  expect(told).toHaveLength(1);
  expect(told[0]!.map(({ id }) => id)).toEqual(ids.shards);
  expect(told[0]).toMatchObject(
    shards.map(({ path, size }) => ({ request: { path, size, root: 'data' }, result: { path, bytes: size } })),
  );
});

test('where BullMQ named the jobs, shards are told in the order of their files', async () => {
  const told: ShardOutcome[][] = [];
  await host(told);
  const flows = new FlowProducer({ connection: redisOptions(stage.connection) });
  const child = (path: string) => ({ name: 'write', queueName: 'penstock', data: { path, size: 1 } });
  const { job } = await flows.add({
    name: 'write',
    queueName: 'penstock',
    data: { path: 'all.json', source: { kind: 'manifest', shards: 4 } },
    children: ['c', 'a', 'd', 'b'].map(child),
  });
  await collect(stage.queue().watch(job.id!));
  await flows.close();
  expect(told[0]!.map(({ request }) => request)).toMatchObject(['a', 'b', 'c', 'd'].map((path) => ({ path })));
});

test('a shard that fails for good fails the manifest’s job, which is never begun', async () => {
  const queue = stage.queue();
  const told: ShardOutcome[][] = [];
  await host(told);
  const ids = await queue.addFlow({
    shards: [
      { path: 'good', size: 1 },
      { path: 'bad', size: 1 },
    ],
    manifest,
  });
  const events = await collect(queue.watch(ids.manifest));
  expect(events.at(-1)).toMatchObject({
    type: 'failed',
    error: { code: 'ESHARD', message: expect.stringContaining(ids.shards[1]!), retryable: false },
  });
  expect(told).toEqual([]);
});

test('with onShardFailure "list" it is begun all the same, and told why the shard failed', async () => {
  const queue = stage.queue();
  const told: ShardOutcome[][] = [];
  await host(told);
  const shards = [
    { path: 'bad', size: 1 },
    { path: 'good', size: 2 },
  ];
  const ids = await queue.addFlow({ shards, manifest, onShardFailure: 'list' });
  const events = await collect(queue.watch(ids.manifest));
  expect(events.at(-1)).toMatchObject({ type: 'completed' });
  expect(told[0]).toMatchObject([
    { id: ids.shards[0], request: { path: 'bad' }, failedReason: 'no such root' },
    { id: ids.shards[1], result: { bytes: 2 } },
  ]);
});

test('a flow with a shard that cannot be is refused as a whole, and the shard is named', async () => {
  const queue = stage.queue();
  await expect(queue.addFlow({ shards: [], manifest })).rejects.toMatchObject({ field: 'shards' });
  await expect(
    queue.addFlow({
      shards: [
        { path: 'a', size: 1 },
        { path: '/b', size: 1 },
      ],
      manifest,
    }),
  ).rejects.toMatchObject({
    name: 'RequestError',
    field: 'path',
    message: expect.stringMatching(/^shards\.1: path: /),
  });
  expect(await stage.client.keys('bull:penstock:*')).not.toContain('bull:penstock:wait');
});

/** A flow of BullMQ's own making with the shards "1", "2" …, of which those named in `options` have these. */
async function addPlain(shards: unknown, options: Record<string, JobsOptions>): Promise<string> {
  const flows = new FlowProducer({ connection: redisOptions(stage.connection) });
  const child = (path: string) => ({
    name: 'write',
    queueName: 'penstock',
    data: { path, size: 1 },
    opts: { jobId: `shard-${path}`, ...options[path] },
  });
  const { job } = await flows.add({
    name: 'write',
    queueName: 'penstock',
    data: { path: 'all.json', source: { kind: 'manifest', shards } },
    opts: { attempts: 3 },
    children: Object.keys(options).map(child),
  });
  await flows.close();
  return job.id!;
}

const idsOf = (paths: string[]): string[] => paths.map((path) => `shard-${path}`);

test.each([
  [
    'whose failure is dropped',
    { removeDependencyOnFailure: true },
    /^Of 3 shards job shard-bad is not there: it was removed/,
  ],
  [
    'whose failure begins it',
    { continueParentOnFailure: true },
    /^Of the shards job shard-late is not done yet, and .* job shard-bad failed/,
  ],
  [
    'whose failure is ignored',
    { ignoreDependencyOnFailure: true },
    /^A shard failed for good, job shard-bad: no such root/,
  ],
])('a manifest is not begun without a shard %s, and is not tried again', async (_what, onFailure, message) => {
  const queue = stage.queue();
  const id = await addPlain(idsOf(['good', 'bad', 'late']), {
    good: {},
    bad: onFailure,
    // Not before the others: what is left to it ends long after this test.
    late: 'continueParentOnFailure' in onFailure ? { delay: 600_000 } : {},
  });
  const told: ShardOutcome[][] = [];
  await host(told);
  const events = await collect(queue.watch(id));
  expect(events.at(-1)).toMatchObject({
    type: 'failed',
    attemptsMade: 1,
    error: { name: 'ShardError', code: 'ESHARD', message: expect.stringMatching(message), retryable: false },
  });
  expect(told).toEqual([]);
});

test.each([
  ['named', ['shard-a', 'shard-b'], /^Of 2 shards job shard-b is not there: it was removed/],
  ['counted', 2, /^The shards declared: 2, there: 1; each of the others/],
])(
  'a manifest is not begun without a waiting shard that was removed, where they are %s',
  async (_how, shards, message) => {
    const queue = stage.queue();
    const id = await addPlain(shards, { a: {}, b: {} });
    await (await stage.plainQueue().getJob('shard-b'))!.remove();
    const told: ShardOutcome[][] = [];
    await host(told);
    const events = await collect(queue.watch(id));
    expect(events.at(-1)).toMatchObject({ type: 'failed', error: { message: expect.stringMatching(message) } });
    expect(told).toEqual([]);
  },
);

test('a manifest that a shard has failed is not written when it is retried by hand before that shard is', async () => {
  const queue = stage.queue();
  let mended = false;
  const told: ShardOutcome[][] = [];
  const begun = new Signal();
  await stage.worker(async (request, job) => {
    if (request.source.kind === 'manifest') {
      begun.give();
      told.push(await job.shards(request.source));
    }
    if (!mended && 'path' in request && request.path === 'bad') {
      throw Object.assign(new Error('no such root'), { retryable: false });
    }
    return resultOf(request);
  });
  const shards = [
    { path: 'good', size: 1 },
    { path: 'bad', size: 1 },
  ];
  const ids = await queue.addFlow({ shards, manifest });
  expect((await collect(queue.watch(ids.manifest))).at(-1)).toMatchObject({ type: 'failed' });
  await (await queue.job(ids.manifest))!.retry();
  await begun.given;
  const again = await collect(queue.watch(ids.manifest));
  expect(again.at(-1)).toMatchObject({ error: { message: expect.stringContaining(`job ${ids.shards[1]}`) } });
  expect(told).toEqual([]);

  const events = new QueueEvents('penstock', { connection: redisOptions(stage.connection, 'worker') });
  await events.waitUntilReady();
  mended = true;
  const shard = (await queue.job(ids.shards[1]!))!;
  await shard.retry();
  await shard.waitUntilFinished(events);
  await events.close();
  await (await queue.job(ids.manifest))!.retry();
  expect((await collect(queue.watch(ids.manifest))).at(-1)).toMatchObject({ type: 'completed' });
  expect(told[0]).toMatchObject(shards.map(({ path }) => ({ request: { path } })));
});

test.each([
  ['as they are named', idsOf(['m', 'c', 'x', 'a', 'k']), ['m', 'c', 'x', 'a', 'k']],
  ['by their files where they are counted', 5, ['a', 'c', 'k', 'm', 'x']],
])('shards that are removed when they complete are told in a fixed order, %s', async (_how, shards, order) => {
  const gone = { removeOnComplete: true };
  const id = await addPlain(shards, { c: gone, x: gone, a: gone, m: gone, k: gone });
  const told: ShardOutcome[][] = [];
  await host(told);
  expect((await collect(stage.queue().watch(id))).at(-1)).toMatchObject({ type: 'completed' });
  expect(told[0]).toMatchObject(order.map((path) => ({ request: null, result: { path } })));
});

test.each([
  ['says nothing of its shards', undefined, /^source\.shards: missing; give the ids of the shards' jobs/],
  ['names too few', ['shard-a'], /source\.shards does not name: job shard-b/],
  ['counts too few', 1, /^The shards declared: 1, there: 2\./],
])('a flow whose manifest %s is refused', async (_what, shards, message) => {
  const id = await addPlain(shards, { a: {}, b: {} });
  const told: ShardOutcome[][] = [];
  await host(told);
  const events = await collect(stage.queue().watch(id));
  expect(events.at(-1)).toMatchObject({ type: 'failed', error: { message: expect.stringMatching(message) } });
  expect(told).toEqual([]);
});
