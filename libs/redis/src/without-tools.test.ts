/** The same promises on a machine without flock(1) and setpriv(1). */
import { existsSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { RedisServerBinary } from './server/binary.ts';
import { gone, isAlive, Stage, statOf } from './processes.fixture.ts';

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.clear());

/** The server, with a PATH on which there are only the shell and the tools named. */
function serverWithOnly(...tools: string[]): RedisServerBinary {
  const bin = stage.directory();
  for (const tool of ['sh', ...tools]) {
    const found = ['/usr/bin', '/bin'].map((directory) => `${directory}/${tool}`).find((file) => existsSync(file));
    if (found !== undefined) symlinkSync(found, `${bin}/${tool}`);
  }
  return { ...stage.server, env: { ...stage.server.env, PATH: bin } };
}

test.each([['neither'], ['setpriv', 'setpriv', 'true']])(
  'with %s, several processes make one server and it dies with its starter',
  async (_name, ...tools) => {
    const server = serverWithOnly(...tools);
    const directory = stage.directory();
    const opened = await Promise.all(Array.from({ length: 3 }, () => stage.openElsewhere({ directory, server })));
    const starters = opened.filter(({ started }) => started);
    expect(starters).toHaveLength(1);

    const [starter] = starters;
    const socketPath = starter?.socketPath ?? '';
    const client = stage.client(socketPath);
    await client.set('key', 'value');
    const pid = await stage.pidOf(socketPath);
    starter?.child.kill('SIGKILL');
    await gone(pid);
    expect(await client.get('key')).toBe('value');
    expect(await stage.pidOf(socketPath)).not.toBe(pid);
  },
);

test('with flock alone, several processes make one server, which stays for the others when its starter is killed', async () => {
  const server = serverWithOnly('flock');
  const directory = stage.directory();
  const opened = await Promise.all(Array.from({ length: 3 }, () => stage.openElsewhere({ directory, server })));
  const [starter, ...more] = opened.filter(({ started }) => started);
  expect(more).toEqual([]);
  const socketPath = starter?.socketPath ?? '';
  const pid = await stage.pidOf(socketPath);
  starter?.child.kill('SIGKILL');
  await gone(starter?.child.pid ?? 0);
  expect(await stage.pidOf(socketPath)).toBe(pid);
  for (const { child } of opened) child.kill('SIGKILL');
  await gone(pid);
  expect(existsSync(socketPath)).toBe(false);
});

test('with neither, a killed server is started again and a closed one leaves nothing', async () => {
  const redis = await stage.open(stage.directory(), { server: serverWithOnly() });
  const client = stage.client(redis.socketPath);
  await client.set('key', 'value');
  const first = await stage.pidOf(redis.socketPath);
  process.kill(first, 'SIGKILL');
  await gone(first);
  expect(await client.get('key')).toBe('value');

  const second = await stage.pidOf(redis.socketPath);
  const shell = Number(statOf(second)?.[1]);
  await redis.close();
  expect([isAlive(second), isAlive(shell), existsSync(redis.socketPath)]).toEqual([false, false, false]);
});
