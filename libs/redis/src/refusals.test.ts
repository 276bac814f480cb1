import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EmbeddedRedis } from './embedded-redis.ts';
import { gone, isAlive, Stage } from './processes.fixture.ts';

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.clear());

function script(text: string): string {
  const file = join(stage.directory(), 'server');
  writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  return file;
}

test('a server program that is not there is named', async () => {
  const opening = EmbeddedRedis.open({ directory: stage.directory(), server: { bin: '/nowhere/redis-server' } });
  await expect(opening).rejects.toMatchObject({
    name: 'RedisStartError',
    code: 'ENOENT',
    path: '/nowhere/redis-server',
    message: expect.stringMatching(/\/nowhere\/redis-server cannot be run.*executable redis-server/s),
  });
});

test('a server program that is not executable is named', async () => {
  const bin = script('exit 0');
  chmodSync(bin, 0o644);
  const opening = EmbeddedRedis.open({ directory: stage.directory(), server: { bin } });
  await expect(opening).rejects.toMatchObject({ code: 'EACCES', path: bin });
});

test('a program that exits is reported with its status, its last words and a remedy', async () => {
  const bin = script('echo "FATAL CONFIG FILE ERROR: bad directive" >&2; exit 3');
  const opening = EmbeddedRedis.open({ directory: stage.directory(), server: { bin } });
  await expect(opening).rejects.toMatchObject({
    code: 'EREDISSTART',
    log: 'FATAL CONFIG FILE ERROR: bad directive',
    message: expect.stringMatching(/exited with status 3\. It refused an option.*\n {2}FATAL CONFIG FILE ERROR/s),
  });
});

test('the log shown is of the start that failed, not of earlier ones', async () => {
  const directory = stage.directory();
  await (await stage.open(directory)).close();
  const opening = EmbeddedRedis.open({ directory, server: { bin: script('echo only this; exit 1') } });
  await expect(opening).rejects.toMatchObject({ log: 'only this' });
});

test('a program killed by a signal is reported so', async () => {
  const opening = EmbeddedRedis.open({ directory: stage.directory(), server: { bin: script('kill -9 $$') } });
  await expect(opening).rejects.toThrow(/was killed by SIGKILL/);
});

test('a directory that is a file is named', async () => {
  const directory = join(stage.directory(), 'file');
  writeFileSync(directory, '');
  await expect(EmbeddedRedis.open({ directory, server: stage.server })).rejects.toMatchObject({
    name: 'RedisStartError',
    path: join(directory, 'redis'),
    message: expect.stringMatching(/cannot be used for the embedded Redis.*writable/s),
  });
});

test('a directory that may not be written is named', async () => {
  // To root every directory is writable; /proc takes no user's.
  await expect(EmbeddedRedis.open({ directory: '/proc', server: stage.server })).rejects.toMatchObject({
    name: 'RedisStartError',
    path: '/proc/redis',
  });
});

test('a log that cannot be written is named', async () => {
  const directory = stage.directory();
  mkdirSync(join(directory, 'redis', 'redis.log'), { recursive: true });
  await expect(EmbeddedRedis.open({ directory, server: stage.server })).rejects.toMatchObject({
    code: 'EISDIR',
    path: join(directory, 'redis', 'redis.log'),
  });
});

function appendOnlyFile(directory: string): string {
  const files = join(directory, 'redis', 'appendonlydir');
  const name = readdirSync(files).find((file) => file.endsWith('.incr.aof')) ?? '';
  return join(files, name);
}

test('an append-only file whose end was torn by a crash is read up to there', async () => {
  const directory = stage.directory();
  const redis = await stage.open(directory);
  const client = stage.client(redis.socketPath);
  await client.set('first', 'kept');
  await client.set('second', 'torn');
  await redis.close();
  const file = appendOnlyFile(directory);
  truncateSync(file, statSync(file).size - 3);

  await stage.open(directory);
  expect(await client.mget('first', 'second')).toEqual(['kept', null]);
});

test('an append-only file damaged in the middle is not thrown away but reported, with the remedy', async () => {
  const directory = stage.directory();
  const redis = await stage.open(directory);
  await stage.client(redis.socketPath).set('key', 'value');
  await redis.close();
  appendFileSync(appendOnlyFile(directory), 'garbage\r\n*1\r\n$4\r\nPING\r\n');

  const opening = EmbeddedRedis.open({ directory, server: stage.server });
  await expect(opening).rejects.toMatchObject({
    hint: expect.stringContaining('redis-check-aof --fix'),
    log: expect.stringContaining('append only file'),
  });
});

test('a server that does not answer is reported in bounded time, and it is left alone', async () => {
  const directory = stage.directory();
  const { socketPath } = await stage.openElsewhere({ directory, server: stage.server });
  const pid = await stage.pidOf(socketPath);
  process.kill(pid, 'SIGSTOP');
  try {
    const opening = EmbeddedRedis.open({ directory, server: stage.server, answerMsMax: 300 });
    await expect(opening).rejects.toMatchObject({
      code: 'EREDISBUSY',
      path: socketPath,
      message: expect.stringMatching(/does not answer at .*redis\.sock.*redis\.lock/s),
    });
    expect(isAlive(pid)).toBe(true);
  } finally {
    process.kill(pid, 'SIGCONT');
  }
});

test('a server of ours that never answers is not left behind', async () => {
  const directory = stage.directory();
  const bin = script(`echo "$$" > "${directory}/pid"; exec sleep 60`);
  const opening = EmbeddedRedis.open({ directory, server: { bin }, answerMsMax: 300 });
  await expect(opening).rejects.toMatchObject({ code: 'EREDISBUSY', message: expect.stringMatching(/was stopped/) });

  await gone(Number(readFileSync(`${directory}/pid`, 'utf8')));
});

test('what listens at the socket and is no Redis is reported, not replaced', async () => {
  const directory = stage.directory();
  mkdirSync(join(directory, 'redis'), { mode: 0o700 });
  const listener = createServer((socket) => socket.resume().end('220 mail ready\r\n'));
  await new Promise<void>((resolve) => {
    listener.listen(join(directory, 'redis', 'redis.sock'), resolve);
  });
  await expect(EmbeddedRedis.open({ directory, server: stage.server })).rejects.toThrow(
    /redis\.sock is not the embedded Redis: '220 mail ready'/,
  );
  await new Promise((resolve) => {
    listener.close(resolve);
  });
});

test('a server that cannot be started again is reported, and started as soon as it can be', async () => {
  const directory = stage.directory();
  const errors: Error[] = [];
  const bin = script(`[ -e "${directory}/broken" ] && { echo out of order; exit 1; }; exec "${stage.server.bin}" "$@"`);
  let reported: (() => void) | undefined;
  const firstError = new Promise<void>((resolve) => {
    reported = resolve;
  });
  const redis = await stage.open(directory, {
    server: { ...stage.server, bin },
    onError: (error) => {
      errors.push(error);
      reported?.();
    },
  });
  const client = stage.client(redis.socketPath);
  await client.set('key', 'value');
  writeFileSync(join(directory, 'broken'), '');
  process.kill(await stage.pidOf(redis.socketPath), 'SIGKILL');
  await firstError;
  expect(errors[0]?.message).toContain('out of order');

  rmSync(join(directory, 'broken'));
  expect(await client.get('key')).toBe('value');
});
