import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Store, openStore } from '@penstock/config';
import { redisOptions, WriteQueue, WriteWorker } from '@penstock/queue';
import { Redis } from 'ioredis';
import { Gateway } from './gateway.ts';
import { letIn } from './let-in.fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'penstock-gateway-'));
let store: Store;
let queue: WriteQueue;
let gateway: Gateway;
let origin: string;
let cookie: string;

beforeAll(async () => {
  store = await openStore({ kind: 'embedded', directory }, process.env);
  queue = new WriteQueue({ connection: store.connection });
  gateway = await Gateway.start({ connection: store.connection, address: '127.0.0.1', port: 0, onError: () => {} });
  ({ origin } = new URL(gateway.url));
  cookie = await letIn(gateway.link());
});

afterAll(async () => {
  await gateway.close();
  await queue.close();
  await store.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What the dashboard's own page asks. */
async function shownJobs(status: string): Promise<{ name: string; progress: unknown; data: unknown }[]> {
  const url = `${gateway.url}/api/queues?activeQueue=penstock&status=${status}&page=1&jobsPerPage=10`;
  const response = await fetch(url, { headers: { cookie } });
  const { queues } = (await response.json()) as {
    queues: { jobs: { name: string; progress: unknown; data: unknown }[] }[];
  };
  return queues[0]?.jobs ?? [];
}

const post = (body: unknown, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${gateway.url}/api/queues/penstock/add`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', cookie, ...headers },
    body: JSON.stringify(body),
  });

test('the health check reports the queue and who serves it', async () => {
  const response = await fetch(`${origin}/healthz`, { headers: { cookie } });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ status: 'ok', queue: 'penstock', workers: 0, counts: { active: 0 } });
});

test('the description of a queue that stands still has the reason, and that of one that goes on does not', async () => {
  const redis = new Redis(redisOptions(store.connection));
  const descriptions = async (): Promise<string> => {
    // One of its own: a gateway looks every five seconds only.
    const fresh = await Gateway.start({
      connection: store.connection,
      address: '127.0.0.1',
      port: 0,
      onError: () => {},
    });
    try {
      const headers = { cookie: await letIn(fresh.link()) };
      const response = await fetch(`${fresh.url}/api/queues?activeQueue=penstock`, { headers });
      const { queues } = (await response.json()) as { queues: { description: string }[] };
      return queues.map(({ description }) => description).join('; ');
    } finally {
      await fresh.close();
    }
  };
  try {
    await redis.hset('bull:penstock:meta', 'paused', '1'); // as BullMQ's queue.pause() does
    expect(await descriptions()).toMatch(/— the queue 'penstock' is paused/);
    await redis.hdel('bull:penstock:meta', 'paused');
    expect(await descriptions()).not.toMatch(/is paused/);
  } finally {
    redis.disconnect();
  }
});

test('the front door leads to the dashboard', async () => {
  const response = await fetch(`${origin}/`, { headers: { cookie } });
  expect(response.url).toBe(gateway.url);
  expect(await response.text()).toContain('Penstock');
});

test('a job is shown by the path it writes, and its data as it came', async () => {
  const id = await queue.add({ path: 'captures/run-42.dat', size: '1GiB' });
  const [shown] = await shownJobs('waiting');
  expect(shown).toMatchObject({
    name: 'captures/run-42.dat',
    data: { path: 'captures/run-42.dat', size: 1_073_741_824 },
  });
  await (await queue.job(id))?.remove();
});

test('what the form adds is a write, whatever it calls it', async () => {
  const response = await post({ name: 'run-42.dat · 1.00 GiB', data: { path: 'a.bin', size: 1 }, options: {} });
  expect(response.status).toBe(200);
  const { job } = (await response.json()) as { job: { id: string } };
  const added = await queue.job(job.id);
  expect(added?.name).toBe('write');
  expect(added?.opts.attempts).toBe(3);
  await added?.remove();
});

test('a request that no host could carry out is refused with its reason', async () => {
  const response = await post({ name: 'write', data: { path: '../a', size: 1 }, options: {} });
  expect(response.status).toBe(400);
  expect(await response.text()).toContain('..');
});

test('the form knows what a request is made of', async () => {
  const response = await fetch(`${gateway.url}/api/queues/penstock/job-data-schema`, { headers: { cookie } });
  expect(await response.text()).toContain('rowBytes');
});

test('a page of another site cannot add a job through the browser of a user of this machine', async () => {
  const response = await post(
    { name: 'write', data: { path: 'a', size: 1 }, options: {} },
    { origin: 'https://evil.example' },
  );
  expect(response.status).toBe(403);
  expect(await shownJobs('waiting')).toEqual([]);
});

test('it does not listen where others could reach it', async () => {
  const start = Gateway.start({ connection: store.connection, address: '0.0.0.0', port: 0, onError: () => {} });
  await expect(start).rejects.toThrow(/not a loopback address/);
});

test('nor at a name, which a browser may look up as an address where another user listens', async () => {
  const start = Gateway.start({ connection: store.connection, address: 'localhost', port: 0, onError: () => {} });
  await expect(start).rejects.toThrow(/localhost is not a loopback address but a name/);
});

test('a Redis that is not there is reported by its address', async () => {
  const connection = { url: 'redis://127.0.0.1:1' };
  const start = Gateway.start({ connection, address: '127.0.0.1', port: 0, onError: () => {} });
  await expect(start).rejects.toThrow(/127\.0\.0\.1:1.*ECONNREFUSED/);
});

test('a port that is taken is reported with what to do', async () => {
  const port = Number(new URL(origin).port);
  const start = Gateway.start({ connection: store.connection, address: '127.0.0.1', port, onError: () => {} });
  await expect(start).rejects.toMatchObject({ code: 'EADDRINUSE', hint: expect.stringContaining('--port') });
});

test('the queue of a host that has been there is shown beside that of any host', async () => {
  const worker = new WriteWorker({
    connection: store.connection,
    host: 'disk-3',
    queue: 'own',
    concurrency: 1,
    perform: () => Promise.reject(new Error('nothing is written here')),
    onError: () => {},
  });
  await worker.ready();
  await worker.close();
  const id = await queue.add({ path: 'a.bin', size: 1, target: { host: 'disk-3' } });
  const { connection } = store;
  const other = await Gateway.start({ connection, address: '127.0.0.1', port: 0, onError: () => {} });
  try {
    const response = await fetch(
      `${other.url}/api/queues?activeQueue=penstock-disk-3&status=waiting&page=1&jobsPerPage=10`,
      { headers: { cookie: await letIn(other.link()) } },
    );
    const { queues } = (await response.json()) as { queues: { name: string; jobs: { id: string }[] }[] };
    expect(queues.map(({ name }) => name)).toEqual(['penstock', 'penstock-disk-3']);
    expect(queues[1]?.jobs).toMatchObject([{ id }]);
  } finally {
    await other.close();
    await (await queue.job(id))?.remove();
  }
});
