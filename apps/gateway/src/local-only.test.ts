import { expect, test } from '@jest/globals';
import { hostOf, isLoopback } from './local-only.ts';

test.each(['127.0.0.1', '127.255.0.9', '::1', 'localhost', 'app.localhost'])('%s is this machine', (host) => {
  expect(isLoopback(host)).toBe(true);
});

test.each(['0.0.0.0', '::', '192.168.1.5', '127.0.0.1.evil.example', 'localhost.evil.example', '', '1270.0.0.1'])(
  '%j is not',
  (host) => {
    expect(isLoopback(host)).toBe(false);
  },
);

test('the host is read from headers with and without scheme and port', () => {
  expect(hostOf('127.0.0.1:4460')).toBe('127.0.0.1');
  expect(hostOf('[::1]:4460')).toBe('::1');
  expect(hostOf('http://localhost:4460')).toBe('localhost');
  expect(hostOf('https://evil.example')).toBe('evil.example');
  expect(hostOf('')).toBeNull();
  expect(hostOf('null')).toBe('null'); // the Origin of a sandboxed page: no loopback name
});
