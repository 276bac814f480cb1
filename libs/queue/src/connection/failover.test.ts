import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { RedisServer, VirtualAddress } from '../redis-server.fixture.ts';
import { resultOf } from '../stage.fixture.ts';
import { WriteQueue } from '../produce/write-queue.ts';
import { WriteWorker } from '../work/write-worker.ts';

let old: RedisServer;
let successor: RedisServer;
let port: number;
let address: VirtualAddress;
const toClose: (() => Promise<unknown>)[] = [];
const told: string[] = [];

beforeEach(async () => {
  [old, successor] = await Promise.all([RedisServer.start(), RedisServer.start()]);
  await successor.follow(old);
  port = old.port;
  address = await VirtualAddress.leadingTo(() => port);
  told.length = 0;
});
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
  await address.close();
  await Promise.all([old.close(), successor.close()]);
});

const onError = (error: Error): void => {
  told.push(error.message);
};

/** The old master keeps every connection it has, and refuses from now on. */
async function failOver(): Promise<void> {
  await old.client.set('last', 'word'); // WAIT looks at what its own connection wrote
  expect(await old.client.wait(1, 10_000)).toBe(1); // what was acknowledged is there: replication itself promises nothing
  await successor.lead();
  port = successor.port;
  await old.follow(successor);
}

test('after a failover behind the same address a running job and one added then both end within seconds, and are seen to', async () => {
  const begun = new AbortController();
  const finish = new AbortController();
  const worker = new WriteWorker({
    connection: { url: address.url },
    concurrency: 2,
    host: 'a-host',
    onError,
    perform: async (request) => {
      if ('path' in request && request.path === 'running') {
        begun.abort();
        await once(finish.signal, 'abort');
      }
      return resultOf(request);
    },
  });
  toClose.push(() => worker.close());
  await worker.ready();
  const queue = new WriteQueue({ connection: { url: address.url }, onError });
  toClose.push(() => queue.close());
  const running = await queue.add({ path: 'running', size: 1 });
  const seen = (async (): Promise<string> => {
    for await (const event of queue.watch(running)) if (event.type === 'completed') return 'completed';
    return 'lost';
  })();
  if (!begun.signal.aborted) await once(begun.signal, 'abort');

  await failOver();
  const since = performance.now();
  finish.abort();
  const later = await queue.add({ path: 'later', size: 1 });
  for await (const event of queue.watch(later)) if (event.type === 'completed') break;
  expect(await seen).toBe('completed');
  expect(performance.now() - since).toBeLessThan(15_000);
  // Each is written once, and nobody has stayed behind with the old one.
  expect(await successor.client.zcard('bull:penstock:completed')).toBe(2);
  expect(told.filter((message) => message.includes('replica')).length).toBeLessThanOrEqual(2);
}, 60_000);

test('after a failover the ends of jobs that come in one turn reach the new master, each once', async () => {
  const JOBS = 8;
  let begun = 0;
  const allBegun = new AbortController();
  const finish = new AbortController();
  const worker = new WriteWorker({
    connection: { url: address.url },
    concurrency: JOBS,
    host: 'a-host',
    onError,
    perform: async (request) => {
      begun += 1;
      if (begun === JOBS) allBegun.abort();
      await once(finish.signal, 'abort');
      return resultOf(request);
    },
  });
  toClose.push(() => worker.close());
  await worker.ready();
  const queue = new WriteQueue({ connection: { url: address.url }, onError });
  toClose.push(() => queue.close());
  const ids = await queue.addBulk(Array.from({ length: JOBS }, (_, index) => ({ path: `at-once-${index}`, size: 1 })));
  const seen = ids.map(async (id) => {
    for await (const event of queue.watch(id)) if (event.type === 'completed') return event.type;
    return 'lost';
  });
  if (!allBegun.signal.aborted) await once(allBegun.signal, 'abort');

  await failOver();
  const since = performance.now();
  finish.abort();
  expect(await Promise.all(seen)).toEqual(ids.map(() => 'completed'));
  expect(performance.now() - since).toBeLessThan(15_000);
  expect(await successor.client.zcard('bull:penstock:completed')).toBe(JOBS);
}, 60_000);

test('an order that is given after a failover reaches the host that has been writing all along', async () => {
  const begun = new AbortController();
  const worker = new WriteWorker({
    connection: { url: address.url },
    concurrency: 2,
    host: 'a-host',
    onError,
    perform: (_request, job) =>
      new Promise((_resolve, reject) => {
        job.whenAborted(reject);
        begun.abort();
      }),
  });
  toClose.push(() => worker.close());
  await worker.ready();
  const queue = new WriteQueue({ connection: { url: address.url }, onError });
  toClose.push(() => queue.close());
  const id = await queue.add({ path: 'running', size: 1 });
  if (!begun.signal.aborted) await once(begun.signal, 'abort');
  await failOver();
  expect(await queue.cancel(id, { by: 'a test', why: 'it is over' })).toBe('active');
  const events = [];
  for await (const event of queue.watch(id)) events.push(event);
  expect(events.at(-1)).toMatchObject({ type: 'failed', error: { code: 'ECANCELED' } });
}, 60_000);
