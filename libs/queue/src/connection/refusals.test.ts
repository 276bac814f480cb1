import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import type { WriteResult } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { Redis } from 'ioredis';
import { checkRedis } from './check.ts';
import type { Connection } from './address.ts';
import { RedisServer } from '../redis-server.fixture.ts';
import { NEEDED_RIGHTS } from './refusals.ts';
import { resultOf } from '../stage.fixture.ts';
import { WriteQueue } from '../produce/write-queue.ts';
import { WriteWorker } from '../work/write-worker.ts';

const written: WriteResult = resultOf(parseRequest({ path: 'a', size: 1 }));
const toClose: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close();
});

async function server(...o: Parameters<typeof RedisServer.start>): Promise<RedisServer> {
  const started = await RedisServer.start(...o);
  toClose.push(() => started.close());
  return started;
}

function newWorker(connection: Connection, perform: () => Promise<WriteResult>, told: string[] = []): WriteWorker {
  const onError = (error: Error): void => void told.push(error.message);
  const worker = new WriteWorker({ connection, concurrency: 4, host: 'a-host', onError, perform });
  toClose.push(() => worker.close());
  return worker;
}

/** What the check, a host and a client say at their start. */
async function refusalsOf(connection: Connection): Promise<unknown[]> {
  const queue = new WriteQueue({ connection });
  toClose.push(() => queue.close());
  const idle = newWorker(connection, () => Promise.reject(new Error('no job')));
  return (await Promise.allSettled([checkRedis(connection), idle.ready(), queue.connect()])).map((outcome) =>
    outcome.status === 'rejected' ? (outcome.reason as unknown) : outcome,
  );
}

async function expectEverywhere(connection: Connection, code: string, ...words: RegExp[]): Promise<void> {
  for (const refusal of await refusalsOf(connection)) {
    expect(refusal).toMatchObject({ name: 'ConnectionError', code });
    for (const word of words) expect(String(refusal)).toMatch(word);
  }
}

test('a replica is named with its master', async () => {
  const [master, replica] = await Promise.all([server(), server()]);
  await replica.follow(master);
  const place = new RegExp(`replica of 127\\.0\\.0\\.1:${master.port}.*Give the address of its master`);
  await expectEverywhere({ url: replica.url }, 'EREADONLY', place);
});

test('a node of a cluster is named, unless all keys are in one slot', async () => {
  const node = await server({ 'cluster-enabled': 'yes' });
  await node.client.call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383');
  while (!String(await node.client.call('CLUSTER', 'INFO')).includes('cluster_state:ok')) await sleep(20);
  await expectEverywhere({ url: node.url }, 'ECLUSTER', /node of a Redis Cluster.*cluster-enabled no/);
  await expect(checkRedis({ url: node.url }, 3000, '{bull}')).resolves.toMatchObject({ trouble: null });
});

test('a Sentinel is named', async () => {
  const sentinel = await server({}, { sentinel: true });
  await expectEverywhere({ url: sentinel.url }, 'ESENTINEL', /is a Sentinel.*address of the master/);
});

test('a user who may not do all that is needed is refused with the commands and the rights; with those it works', async () => {
  const { client, url } = await server();
  await client.call('ACL', 'SETUSER', 'narrow', 'on', '>secret', '~*', '&*', '+@all', '-xadd', '-publish', '-bzpopmin');
  const connection = { url: url.replace('//', '//narrow:secret@') };
  await expectEverywhere(connection, 'EAUTH', /may not use xadd, publish, bzpopmin/, /ACL SETUSER <user> ~bull/);
  await client.call('ACL', 'SETUSER', 'narrow', 'reset', 'on', '>secret', ...NEEDED_RIGHTS.split(' '));
  const worker = newWorker(connection, () => Promise.resolve(written));
  await worker.ready();
  const queue = new WriteQueue({ connection });
  toClose.push(() => queue.close());
  const events = [];
  for await (const { type } of queue.watch(await queue.add({ path: 'a', size: 1 }))) events.push(type);
  expect(events.at(-1)).toBe('completed');
  expect(await client.call('ACL', 'LOG')).toEqual(
    expect.not.arrayContaining([expect.arrayContaining(['context', 'lua'])]),
  );
});

test('a user whose keys are others is refused', async () => {
  const { client, url } = await server();
  await client.call('ACL', 'SETUSER', 'other', 'on', '>secret', '~other:*', '&*', '+@all');
  await expectEverywhere({ url: url.replace('//', '//other:secret@') }, 'EAUTH', /may not use zadd, hdel/);
});

test.each([
  [
    'a full memory',
    { maxmemory: '1' },
    'EREDISMEMORY',
    /its memory is full \(.* of maxmemory 1B\).*CONFIG SET maxmemory/,
  ],
  ['too few replicas', { 'min-replicas-to-write': '1' }, 'ENOREPLICAS', /min-replicas-to-write/],
] as const)(
  '%s is named to a host, and to a producer that adds; what only reads is served',
  async (_name, options, code, words) => {
    const { url } = await server(options);
    await expect(newWorker({ url }, () => Promise.reject(new Error('no job'))).ready()).rejects.toMatchObject({
      code,
      message: expect.stringMatching(words),
    });
    await expect(checkRedis({ url })).resolves.toMatchObject({ trouble: { code } });
    const queue = new WriteQueue({ connection: { url } });
    toClose.push(() => queue.close());
    await expect(queue.add({ path: 'a', size: 1 })).rejects.toMatchObject({ code });
    expect(await queue.workers()).toBe(0);
  },
);

/** Snapshots that fail: what Redis also says on a full disk. */
async function stopSaving({ client, directory }: RedisServer): Promise<void> {
  await client.config('SET', 'save', '3600 1');
  rmSync(directory, { recursive: true });
  await client.call('BGSAVE');
  while (!(await client.info('persistence')).includes('rdb_last_bgsave_status:err')) await sleep(20);
}

test('a Redis that cannot save is named, with its disk', async () => {
  const broken = await server();
  await stopSaving(broken);
  const worker = newWorker({ url: broken.url }, () => Promise.reject(new Error('no job')));
  await expect(worker.ready()).rejects.toMatchObject({
    code: 'EMISCONF',
    message: expect.stringMatching(/cannot save.*Free space on its disk/),
  });
});

test('a web server, and TLS where it is spoken on one side alone, are named as what they are', async () => {
  const { createServer } = await import('node:http');
  const web = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  toClose.push(() => web.close());
  await once(web, 'listening');
  const address = web.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await expectEverywhere(
    { url: `redis://127.0.0.1:${port}` },
    'EPROTO',
    /web server answers there.*Correct the address/,
  );
  const { url } = await server();
  await expectEverywhere({ url: url.replace('redis:', 'rediss:') }, 'EPROTO', /does not speak TLS.*Write redis:/);
});

test('a certificate that nobody vouches for is named as that, and how to trust it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'penstock-tls-'));
  toClose.push(() => rmSync(directory, { recursive: true }));
  const [key, certificate] = [join(directory, 'key.pem'), join(directory, 'certificate.pem')];
  const program = fileURLToPath(new URL('../../../../config/jest.certificate.mjs', import.meta.url));
  execFileSync(process.execPath, [program, key, certificate]);
  const { createServer } = await import('node:tls');
  const { readFileSync } = await import('node:fs');
  const listener = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }).listen(0, '127.0.0.1');
  toClose.push(() => listener.close());
  await once(listener, 'listening');
  const address = listener.address();
  const port = typeof address === 'object' ? address?.port : 0;
  await expectEverywhere(
    { url: `rediss://127.0.0.1:${port}` },
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    /its certificate is not trusted.*NODE_EXTRA_CA_CERTS/,
  );
  await expectEverywhere({ url: `redis://127.0.0.1:${port}` }, 'EPROTO', /it speaks TLS.*Write rediss:/);
});

test('a host that is refused pauses, says so once, and records the end of a job that was written meanwhile', async () => {
  const { client, url } = await server();
  const told: string[] = [];
  let finish: () => void = () => {};
  let begun: () => void = () => {};
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const worker = newWorker(
    { url },
    async () => {
      begun();
      await finished;
      return written;
    },
    told,
  );
  await worker.ready();
  const queue = new WriteQueue({ connection: { url } });
  toClose.push(() => queue.close());
  const id = await queue.add({ path: 'a', size: 1 });
  await hasBegun;
  await client.config('SET', 'min-replicas-to-write', '1');
  const before = await commandsOf(client);
  finish();
  await sleep(1000);
  // Thousands a second unless it pauses.
  expect((await commandsOf(client)) - before).toBeLessThan(200);
  await client.config('SET', 'min-replicas-to-write', '0');
  const ends = [];
  for await (const event of queue.watch(id)) ends.push(event);
  expect(ends.at(-1)).toMatchObject({ type: 'completed', result: written });
  expect(told.filter((message) => message.includes('min-replicas-to-write'))).toHaveLength(1);
}, 30_000);

async function commandsOf(client: Redis): Promise<number> {
  return Number(/total_commands_processed:(\d+)/.exec(await client.info('stats'))?.[1]);
}
