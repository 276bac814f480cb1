import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { checkRedis } from './check.ts';
import { Stage } from '../stage.fixture.ts';
import { WriteQueue } from '../produce/write-queue.ts';

let stage: Stage;
const listeners: Server[] = [];
const sockets: Socket[] = [];
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(listeners.splice(0).map((listener) => new Promise((resolve) => listener.close(resolve))));
  await stage.clear();
});

/** Something that listens and answers in its own way; resolves with its address. */
async function listen(serve: (socket: Socket) => void, password = ''): Promise<{ url: string }> {
  const listener = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  listeners.push(listener);
  await new Promise<void>((resolve) => {
    listener.listen(0, '127.0.0.1', resolve);
  });
  const address = listener.address();
  const port = typeof address === 'object' ? address?.port : 0;
  return { url: `redis://${password}127.0.0.1:${port}` };
}

test('a Redis says what it is', async () => {
  expect(await checkRedis(stage.connection)).toEqual({
    flavour: expect.stringMatching(/^(redis|valkey)$/),
    version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    appendOnly: true,
    evictionPolicy: 'noeviction',
    trouble: null,
  });
});

test('nothing there: refused, or no socket', async () => {
  await expect(checkRedis({ url: 'redis://127.0.0.1:1' })).rejects.toMatchObject({
    code: 'ECONNREFUSED',
    address: 'redis://127.0.0.1:1',
    retryable: true,
    message:
      'Redis at redis://127.0.0.1:1 cannot be used: nothing listens there (ECONNREFUSED). Start it, or correct the address.',
  });
  await expect(checkRedis({ url: 'redis://localhost:1' })).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await expect(checkRedis({ socketPath: '/nowhere/redis.sock' })).rejects.toMatchObject({
    code: 'ENOENT',
    message: expect.stringContaining('unix:/nowhere/redis.sock'),
  });
});

test('a password that is missing is asked for', async () => {
  await stage.client.config('SET', 'requirepass', 'right');
  await expect(checkRedis(stage.connection)).rejects.toMatchObject({ code: 'EAUTH', retryable: false });
  await expect(checkRedis(stage.connection)).rejects.toThrow(/asks for a password.*redis:\/\/:password@host/);
});

test('a wrong password is refused in words', async () => {
  const connection = await listen((socket) => {
    socket.on('data', (chunk) => {
      const commands = chunk.toString().split('*').length - 1;
      socket.write('-WRONGPASS invalid username-password pair or user is disabled.\r\n'.repeat(commands));
    });
  }, ':wrong@');
  await expect(checkRedis(connection)).rejects.toMatchObject({
    code: 'EAUTH',
    message: expect.stringMatching(/does not accept/),
  });
});

test('another protocol', async () => {
  const connection = await listen((socket) => socket.on('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
  await expect(checkRedis(connection)).rejects.toMatchObject({ code: 'EPROTO', retryable: false });
});

test('a listener that hangs up', async () => {
  const connection = await listen((socket) => socket.destroy());
  await expect(checkRedis(connection)).rejects.toMatchObject({ code: expect.stringMatching(/^(ECONNRESET|EPIPE)$/) });
});

test('a listener that never answers, in bounded time', async () => {
  const connection = await listen((socket) => socket.resume());
  const begun = performance.now();
  await expect(checkRedis(connection, 300)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
  expect(performance.now() - begun).toBeLessThan(1500);
});

test('a Redis that is too old', async () => {
  const info = 'redis_version:5.0.14\r\n';
  const connection = await listen((socket) => {
    socket.on('data', (chunk) => {
      for (const command of chunk.toString().split('*').slice(1)) {
        if (/\r\ninfo\r\n/i.test(command)) socket.write(`$${info.length}\r\n${info}\r\n`);
        else if (/\r\nhello\r\n/i.test(command)) socket.write("-ERR unknown command 'HELLO'\r\n");
        else socket.write('+OK\r\n');
      }
    });
  });
  await expect(checkRedis(connection)).rejects.toMatchObject({
    code: 'EVERSION',
    message: expect.stringMatching(/it is version 5\.0\.14, and 6\.2 or newer is needed/),
  });
});

test('a producer is told within seconds, and may try again', async () => {
  await stage.stopRedis();
  const queue = new WriteQueue({ connection: stage.connection });
  await expect(queue.add({ path: 'a', size: 1 })).rejects.toMatchObject({ name: 'ConnectionError', code: 'ENOENT' });
  await stage.startRedis();
  await expect(queue.add({ path: 'a', size: 1 })).resolves.toMatch(/^[0-9a-z]{13}$/);
  await queue.close();
});

test('a producer whose Redis goes away is told why within seconds, not how often was tried', async () => {
  const queue = stage.queue();
  await queue.connect();
  await stage.stopRedis();
  await stage.told(/no such socket/);
  const begun = performance.now();
  await expect(queue.add({ path: 'a', size: 1 })).rejects.toMatchObject({
    name: 'ConnectionError',
    code: 'ENOENT',
    message: expect.stringContaining('there is no such socket'),
  });
  expect(performance.now() - begun).toBeLessThan(6000);
});
