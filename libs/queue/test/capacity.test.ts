/** The limit on the bytes of all jobs: counted once, refused or waited for, and given back exactly once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { CapacityScripts } from '../src/capacity/scripts.ts';
import type { ScriptClient } from '../src/connection/script-client.ts';
import { CapacityError } from '../src/capacity/capacity-error.ts';
import { collect, resultOf, Signal, Stage } from '../src/stage.fixture.ts';

let stage: Stage;
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(() => stage.clear());

const mib = 1_048_576;
const write = (mebibytes: number, more: object = {}) => ({ path: 'a.bin', size: mebibytes * mib, ...more });

/** The scripts over a connection of the test's own. */
async function scripts(): Promise<CapacityScripts> {
  const client = (await stage.plainQueue().getBackend().client) as unknown as ScriptClient;
  return new CapacityScripts(client, 'bull', (part) => `bull:penstock:${part}`);
}

/** Resolves once the capacity in use is what is expected. */
async function inUse(usedBytes: number, jobs: number): Promise<void> {
  const queue = stage.queue();
  for (;;) {
    const now = await queue.capacity();
    if (now.usedBytes === usedBytes && now.jobs === jobs) return;
    await delay(20);
  }
}

test('jobs that do not fit are refused with all figures, of many none is added, and there is room again when jobs have ended', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: 10 * mib });
  const first = await queue.add(write(6));
  await queue.addBulk([write(1), write(3)]);
  await expect(queue.addBulk([write(0), write(1, { path: 'b' })])).rejects.toMatchObject({
    name: 'CapacityError',
    code: 'EQUEUEFULL',
    retryable: true,
    askedBytes: mib,
    usedBytes: 10 * mib,
    limitBytes: 10 * mib,
    message: expect.stringMatching(/1\.00 MiB asked, 10\.00 MiB of 10\.00 MiB in use/),
  });
  expect(await stage.plainQueue().getWaitingCount()).toBe(3);
  expect(await queue.capacity()).toEqual({ bytes: 10 * mib, whenFull: 'reject', usedBytes: 10 * mib, jobs: 3 });
  await stage.worker(async (request) => resultOf(request));
  await collect(queue.watch(first));
  await inUse(0, 0);
  await queue.add(write(10));
});

test('whoever waits for room is told when the queue is closed', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: mib, whenFull: 'wait' });
  await queue.add(write(1));
  const waiting = queue.add(write(1));
  waiting.catch(() => {});
  while (!(await stage.client.pubsub('CHANNELS', '*freed')).toString()) await delay(5);
  await queue.close();
  await expect(waiting).rejects.toThrow('the queue was closed');
});

test('a request that is larger than the limit is refused for good', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: mib, whenFull: 'wait' });
  await expect(queue.add(write(2))).rejects.toMatchObject({ code: 'EQUEUEFULL', retryable: false });
});

test('with "wait" add() waits until a job has ended, in the order of those who wait', async () => {
  const queue = stage.queue();
  const end = new Signal();
  await queue.setCapacity({ bytes: 10 * mib, whenFull: 'wait' });
  await stage.worker(async (request) => {
    if (request.size === 8 * mib) await end.given;
    return resultOf(request);
  });
  await queue.add(write(8));
  const order: string[] = [];
  const waiting = ['first', 'second'].map(async (name) => {
    const id = await queue.add(write(6, { path: name }));
    order.push(name);
    return id;
  });
  const given = new AbortController();
  const third = queue.add(write(6), { signal: given.signal });
  given.abort(new Error('not any more'));
  await expect(third).rejects.toThrow('not any more');
  await expect(queue.add(write(6), { waitMsMax: 50 })).rejects.toMatchObject({
    code: 'EQUEUEFULL',
    message: expect.stringMatching(/8\.00 MiB of 10\.00 MiB in use, also after \d+ ms/),
  });
  expect(order).toEqual([]);
  end.give();
  await Promise.all(waiting);
  expect(order).toEqual(['first', 'second']);
  await inUse(0, 0);
});

test('a job that fails for good is counted no more, one that is retried is', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: 10 * mib });
  const attempted = new Signal();
  const again = new Signal();
  await stage.worker(async (_request, { attempt }) => {
    if (attempt === 2) {
      attempted.give();
      await again.given;
    }
    throw new Error('no');
  });
  await queue.add(write(4), { attempts: 2, backoff: { type: 'fixed', delay: 1 } });
  await attempted.given;
  expect(await queue.capacity()).toMatchObject({ usedBytes: 4 * mib, jobs: 1 });
  again.give();
  await inUse(0, 0);
});

test('a limit counts what is there already, in all queues, and lifting it wakes those who wait', async () => {
  const queue = stage.queue();
  await stage.worker(async (request) => resultOf(request), { host: 'disk-1', queue: 'own', concurrency: 1 });
  await stage.plainQueue().add('write', { path: 'a', size: '3MiB' });
  await stage.plainQueue().add('write', { not: 'a request' });
  await queue.add(write(2), { delay: 60_000 });
  await queue.add(write(4, { target: { host: 'disk-2' } }));
  await queue.setCapacity({ bytes: 6 * mib, whenFull: 'wait' });
  expect(await queue.capacity()).toMatchObject({ usedBytes: 5 * mib, jobs: 2 }); // disk-2 is not known
  const waiting = queue.add(write(2));
  const other = stage.queue();
  await expect(other.add(write(2), { waitMsMax: 1 })).rejects.toBeInstanceOf(CapacityError);
  await other.setCapacity({ bytes: null });
  await waiting;
  expect(await queue.capacity()).toEqual({ bytes: null, whenFull: 'reject', usedBytes: 0, jobs: 0 });
});

test('a cancelled job makes room at once', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: 10 * mib });
  const id = await queue.add(write(10));
  await queue.cancel(id, { by: 'ann@ops' });
  expect(await queue.capacity()).toMatchObject({ usedBytes: 0, jobs: 0 });
  await queue.add(write(10));
});

test('removed jobs make room as soon as it is wanted', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: 10 * mib });
  const id = await queue.add(write(10));
  await (await queue.job(id))?.remove();
  // Added a moment ago: its entry could be one whose job is still to come.
  await expect(queue.add(write(1))).rejects.toMatchObject({ code: 'EQUEUEFULL' });
  await stage.client.del('bull:penstock:capacity:sweeping');
  expect(await (await scripts()).sweep(0)).toBe(true);
  await queue.add(write(10));
});

test('a job is counted once, however often it is added, and given back once, however often it is released', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: 10 * mib });
  await queue.add(write(6), { jobId: 'mine' });
  await queue.add(write(6), { jobId: 'mine' });
  const same = { deduplication: { id: 'a.bin' } };
  const first = await queue.add(write(1), same);
  expect(await queue.add(write(1), same)).toBe(first);
  expect(await queue.capacity()).toMatchObject({ usedBytes: 7 * mib, jobs: 2 });
  const capacity = await scripts();
  for (let count = 0; count < 3; count += 1) await capacity.release(['penstock:mine', 'penstock:never']);
  expect(await capacity.read()).toMatchObject({ usedBytes: mib, jobs: 1 });
});

test('a producer that is killed between the admission and the add leaves nothing for ever', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: 10 * mib });
  const fixture = fileURLToPath(new URL('./dying-producer.fixture.mjs', import.meta.url));
  const { socketPath } = stage.connection as { socketPath: string };
  const child = spawn(process.execPath, [fixture, socketPath, String(10 * mib)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data'); // it has been admitted
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await queue.capacity()).toMatchObject({ usedBytes: 10 * mib, jobs: 1 });
  await expect(queue.add(write(1))).rejects.toMatchObject({ code: 'EQUEUEFULL' });
  // A minute later, as Redis counts.
  const [field = ''] = await stage.client.hkeys('bull:penstock:capacity:held');
  const [seconds = 0] = (await stage.client.time()).map(Number);
  await stage.client.hset('bull:penstock:capacity:held', field, `${10 * mib}:${seconds * 1000 - 61_000}`);
  await stage.client.del('bull:penstock:capacity:sweeping');
  await queue.add(write(10));
  expect(await queue.capacity()).toMatchObject({ usedBytes: 10 * mib, jobs: 1 });
});

test('without a limit neither adding nor ending a job costs a command', async () => {
  const queue = stage.queue();
  const ids = await queue.addBulk([write(1), write(1)]);
  await stage.worker(async (request) => resultOf(request));
  for (const id of ids) await collect(queue.watch(id));
  const seen: string[] = [];
  const watcher = stage.client.duplicate();
  const monitor = await watcher.monitor();
  monitor.on('monitor', (_time, args: string[]) => seen.push(args.join(' ')));
  const begunAt = performance.now();
  const more = await Promise.all(Array.from({ length: 50 }, () => queue.add(write(1))));
  for (const id of more) await collect(queue.watch(id));
  const seconds = Math.ceil((performance.now() - begunAt) / 1000) + 1;
  monitor.disconnect();
  watcher.disconnect();
  const asked = seen.filter((command) => command.includes('capacity:'));
  // The producer and the host look once a second whether there is one now.
  expect(asked.length).toBeLessThanOrEqual(2 * seconds);
  expect(asked.every((command) => command.startsWith('hmget'))).toBe(true);
});

test('a flow counts as a whole: all of its jobs fit, or none is added', async () => {
  const queue = stage.queue();
  await queue.setCapacity({ bytes: 10 * mib });
  const flow = (size: number) => ({
    shards: [1, 2].map((shard) => ({ path: `shard-${shard}`, size })),
    manifest: { path: 'manifest' },
  });
  await expect(queue.addFlow(flow(6 * mib))).rejects.toMatchObject({ code: 'EQUEUEFULL', askedBytes: 12 * mib });
  expect(await queue.capacity()).toMatchObject({ usedBytes: 0 });
  await queue.addFlow(flow(4 * mib));
  expect(await queue.capacity()).toMatchObject({ usedBytes: 8 * mib });
});
