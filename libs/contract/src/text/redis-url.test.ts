import { expect, test } from '@jest/globals';
import { parseRedisUrl } from './redis-url.ts';

test('a Unix socket is its path, spelled out', () => {
  expect(parseRedisUrl('unix:///run/my%20redis.sock')).toEqual({ socketPath: '/run/my redis.sock' });
});

test.each(['redis://host', 'rediss://user:secret@host:6380/2'])('%s is a server', (text) => {
  expect(parseRedisUrl(text)).toEqual({ server: new URL(text) });
});

test.each(['', 'host:6379', 'http://host', '/run/redis.sock'])('%p names no Redis', (text) => {
  expect(parseRedisUrl(text)).toBeNull();
});
