import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Stage } from '../processes.fixture.ts';
import { makePrivateTemporaryDirectory, socketPathOf } from './socket-path.ts';

let stage: Stage;
beforeEach(() => {
  stage = new Stage();
});
afterEach(() => stage.clear());

test('a socket stands in its directory as long as sun_path holds it, to the byte', () => {
  const fitting = `/${'d'.repeat(107 - '/'.length - '/redis.sock'.length)}`;
  expect(socketPathOf(fitting, '/tmp')).toBe(`${fitting}/redis.sock`);
  expect(socketPathOf(`${fitting}d`, '/tmp')).toMatch(/^\/tmp\/penstock-[0-9a-f]{16}\/redis\.sock$/);
  // 54 characters, 108 bytes
  expect(socketPathOf(`/${'ü'.repeat(50)}`, '/tmp')).toMatch(/^\/tmp\//);
});

test('different directories get different sockets, the same one always the same', () => {
  const long = `/${'d'.repeat(200)}`;
  expect(socketPathOf(long, '/tmp')).toBe(socketPathOf(long, '/tmp'));
  expect(socketPathOf(long, '/tmp')).not.toBe(socketPathOf(`${long}e`, '/tmp'));
});

test('no room for a socket anywhere is an error that names both', () => {
  expect(() => socketPathOf(`/${'d'.repeat(200)}`, `/${'t'.repeat(200)}`)).toThrow(/No Unix socket.*dddd.*tttt.*107/s);
});

test('a data directory with a long path works and is shared', async () => {
  const directory = join(stage.directory(), 'x'.repeat(120));
  const first = await stage.open(directory);
  expect(first.socketPath).toMatch(/\/penstock-[0-9a-f]{16}\/redis\.sock$/);
  expect(statSync(dirname(first.socketPath)).mode & 0o777).toBe(0o700);
  const { socketPath, started } = await stage.openElsewhere({ directory, server: stage.server });
  expect({ socketPath, started }).toEqual({ socketPath: first.socketPath, started: false });
});

test('a socket outside its directory is taken over, and leaves nothing behind in the end', async () => {
  const directory = join(stage.directory(), 'x'.repeat(120));
  const [first, second] = [await stage.open(directory), await stage.open(directory)];
  const client = stage.client(first.socketPath);
  await client.set('key', 'value');
  await first.close();
  expect(await client.get('key')).toBe('value');
  await second.close();
  expect(existsSync(dirname(first.socketPath))).toBe(false);
});

test('another name of the same directory leads to the same server', async () => {
  const directory = stage.directory();
  const link = join(stage.directory(), 'link');
  symlinkSync(directory, link);
  const first = await stage.open(directory);
  const second = await stage.open(link);
  expect([second.socketPath, second.started]).toEqual([first.socketPath, false]);
});

test('a temporary directory that somebody else put there is refused', () => {
  const own = stage.directory();
  const target = join(own, 'target');
  mkdirSync(target);
  symlinkSync(target, join(own, 'planted'));
  const userId = process.getuid?.() ?? 0;
  expect(() => makePrivateTemporaryDirectory(join(own, 'planted'), userId)).toThrow(
    /planted is not a directory of this/,
  );
  expect(() => makePrivateTemporaryDirectory(target, userId + 1)).toThrow(/target is not a directory of this/);
});

test('a temporary directory of this user is closed to others', () => {
  const own = join(stage.directory(), 'own');
  mkdirSync(own);
  chmodSync(own, 0o755);
  makePrivateTemporaryDirectory(own, process.getuid?.() ?? 0);
  expect(existsSync(own)).toBe(true);
  expect(statSync(own).mode & 0o777).toBe(0o700);
});
