import { expect, test } from '@jest/globals';
import { checkRedis } from '../src/connection/check.ts';
import { ConnectionError } from '../src/connection/connection-error.ts';
import { describeConnection, redisOptions } from '../src/connection/address.ts';

test.each([
  ['redis://localhost', { host: 'localhost', port: 6379, db: 0 }],
  ['redis://db.example:6380/2', { host: 'db.example', port: 6380, db: 2 }],
  ['redis://:p%40ss@h', { host: 'h', port: 6379, db: 0, password: 'p@ss' }],
  ['redis://me:secret@[::1]:1/0', { host: '::1', port: 1, db: 0, username: 'me', password: 'secret' }],
  ['rediss://h/', { host: 'h', port: 6379, db: 0, tls: {} }],
  ['unix:///run/redis%20one.sock', { path: '/run/redis one.sock' }],
])('%s is understood', (url, expected) => {
  expect(redisOptions({ url })).toMatchObject(expected);
});

test.each([
  ['localhost:6379'],
  ['http://localhost:6379'],
  ['redis://'],
  [''],
  ['redis://h/one'],
  ['redis://h?family=6'],
  ['redis://h:99999'],
])('%j is refused, with the forms that are accepted', (url) => {
  expect(() => redisOptions({ url })).toThrow(ConnectionError);
  expect(() => redisOptions({ url })).toThrow(/cannot be used: .* Write redis:\/\/host:6379/);
});

test('a password is never shown', async () => {
  expect(describeConnection({ url: 'redis://me:secret@h:1/3' })).toBe('redis://h:1/3');
  expect(describeConnection({ url: 'rediss://:secret@[::1]' })).toBe('rediss://[::1]:6379');
  expect(() => redisOptions({ url: 'http://:secret@h' })).toThrow(/^'http:\/\/\*\*\*@h' cannot/);
  const away = await checkRedis({ url: 'redis://me:secret@127.0.0.1:1' }).catch((error: unknown) => error);
  expect(String(away)).not.toContain('secret');
});

test('a producer gives up in seconds, a worker never', () => {
  expect(redisOptions({ url: 'redis://h' }).maxRetriesPerRequest).toBe(7);
  const { maxRetriesPerRequest, retryStrategy } = redisOptions({ url: 'redis://h' }, 'worker');
  expect(maxRetriesPerRequest).toBeNull();
  expect([1, 2, 3, 7, 1000].map((times) => retryStrategy(times))).toEqual([25, 50, 100, 1000, 1000]);
});
