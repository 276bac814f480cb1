import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { JobRequest } from '@penstock/contract';
import { FlowProducer } from 'bullmq';
import { redisOptions } from './connection.ts';
import { collect, resultOf, Stage } from './stage.fixture.ts';
import type { ShardOutcome } from './shards.ts';
import type { WriteJobInfo } from './write-worker.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const manifest = { path: 'all.json' };
const isManifest = (request: JobRequest): boolean => request.source.kind === 'manifest';

/** A host that keeps what each manifest's job was told of its shards; shards named "bad…" fail for good. */
async function host(told: ShardOutcome[][], order: string[] = []): Promise<void> {
  await stage.worker(async (request: JobRequest, job: WriteJobInfo) => {
    if (isManifest(request)) told.push(await job.shards());
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
    data: { path: 'all.json', source: { kind: 'manifest' } },
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
