import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { findRedisServer } from './binary.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'penstock-binary-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function program(name: string): string {
  const file = join(directory, name);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '', { mode: 0o755 });
  return file;
}

function nativeFile(content: unknown): string {
  const file = join(directory, 'native.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

test('the server named explicitly comes first, even if it is not there', () => {
  program('bin/redis-server');
  expect(findRedisServer({ explicit: '/opt/none', path: join(directory, 'bin') })).toEqual({ bin: '/opt/none' });
});

test('an explicit name without a slash is looked up on PATH', () => {
  const bin = program('bin/keydb-server');
  expect(findRedisServer({ explicit: 'keydb-server', path: join(directory, 'bin') })).toEqual({ bin });
  expect(findRedisServer({ explicit: 'none', path: join(directory, 'bin') })).toEqual({ bin: 'none' });
});

test('an empty explicit name is none', () => {
  expect(findRedisServer({ explicit: '', path: '' })).toBeNull();
});

test('redis-server is preferred to valkey-server, wherever on PATH', () => {
  const valkey = program('first/valkey-server');
  const path = `${join(directory, 'first')}:${join(directory, 'second')}`;
  expect(findRedisServer({ path })).toEqual({ bin: valkey });
  const redis = program('second/redis-server');
  expect(findRedisServer({ path })).toEqual({ bin: redis });
});

test('what is not executable, or a directory, is not a server', () => {
  chmodSync(program('first/redis-server'), 0o644);
  mkdirSync(join(directory, 'second', 'redis-server'), { recursive: true });
  expect(findRedisServer({ path: `${join(directory, 'first')}:${join(directory, 'second')}` })).toBeNull();
});

test('relative entries of PATH are passed over', () => {
  program('bin/redis-server');
  expect(findRedisServer({ path: `:bin:./bin` })).toBeNull();
});

test('the server that set-up unpacked comes last, with its libraries', () => {
  const bin = program('unpacked/redis-server');
  const file = nativeFile({ redis: { bin, env: { LD_LIBRARY_PATH: '/unpacked/lib' } }, libaio: 'libaio.so.1' });
  expect(findRedisServer({ path: '', nativeFile: file })).toEqual({ bin, env: { LD_LIBRARY_PATH: '/unpacked/lib' } });
  const installed = program('bin/redis-server');
  expect(findRedisServer({ path: join(directory, 'bin'), nativeFile: file })).toEqual({ bin: installed });
});

test.each([['{"redis":'], ['null'], ['{}'], ['{"redis":{"bin":7}}'], ['{"redis":{"bin":"/nowhere/redis-server"}}']])(
  'a native file that names no program gives none: %s',
  (content) => {
    expect(findRedisServer({ path: '', nativeFile: nativeFile(content) })).toBeNull();
  },
);

test('without any there is none', () => {
  expect(findRedisServer({ path: directory, nativeFile: join(directory, 'absent.json') })).toBeNull();
});
