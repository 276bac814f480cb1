// A flow by BullMQ alone whose manifest is larger than what a request may carry inline.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { FlowProducer } from 'bullmq';
import { System } from '../support/system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

test('a manifest of more than a request may carry is written whole, bulks file by file', async () => {
  await system.host(['--threads', '1']);
  const bulk = (index: number) => ({
    name: 'write',
    queueName: 'penstock',
    data: {
      size: 1,
      root: 'data',
      files: Array.from({ length: 1000 }, (_, file) => ({ path: `${index}/${'long-name-'.repeat(24)}${file}` })),
    },
    opts: { jobId: `bulk-${index}`, failParentOnFailure: true },
  });
  const flows = new FlowProducer({ connection: { path: system.redis.socketPath } });
  const { job } = await flows.add({
    name: 'write',
    queueName: 'penstock',
    data: { path: 'large.json', source: { kind: 'manifest', shards: [1, 2, 3, 4].map((index) => `bulk-${index}`) } },
    children: [1, 2, 3, 4].map(bulk),
  });
  await flows.close();
  const end = await system.finished((await system.queue.getJob(job.id!))!, 120_000);
  expect(end.failedReason).toBeUndefined();
  const text = readFileSync(system.path('large.json'), 'utf8');
  expect(text.length).toBeGreaterThan(1_048_576);
  const entries = JSON.parse(text) as { path: string; bytes: number }[];
  expect(entries.length).toBe(4000);
  for (const [index, { path, bytes }] of entries.entries()) {
    expect(bytes).toBe(1);
    expect(path).toBe(`${Math.floor(index / 1000) + 1}/${'long-name-'.repeat(24)}${index % 1000}`);
  }
}, 120_000);
