import { expect, test } from '@jest/globals';
import { IoError } from './io-error.ts';

test('an IoError says the errno, the call, the path, the place and what to do', () => {
  const error = new IoError({ syscall: 'pwrite', errno: -28, path: '/data/a.bin', offset: 8192, length: 4096 });
  expect(error.message).toMatch(
    /^ENOSPC: no space left on device, pwrite '\/data\/a\.bin' at 8192, 4096 bytes\. The file system is full.+df -h/,
  );
  expect(error).toMatchObject({
    name: 'IoError',
    code: 'ENOSPC',
    errno: -28,
    syscall: 'pwrite',
    offset: 8192,
    retryable: true,
  });
  expect(error.stack).toMatch(/^IoError: ENOSPC/);
});

test('an IoError without a place names the call alone', () => {
  expect(new IoError({ syscall: 'io_submit', errno: -9, hint: 'Report it.' }).message).toBe(
    'EBADF: bad file descriptor, io_submit. Report it.',
  );
});

test('an IoError takes a given name, advice and cause before its own', () => {
  const cause = new Error('first');
  const error = new IoError({ syscall: 'statx', errno: -22, code: 'ENODIO', hint: 'Use another root.', cause });
  expect(error).toMatchObject({ code: 'ENODIO', hint: 'Use another root.', cause });
});

test('a path in a message cannot forge lines or colours', () => {
  const error = new IoError({ syscall: 'openat2', errno: -2, path: 'a\n\u001B[31mok' });
  expect(error.message).toContain(String.raw`'a\n\u{1b}[31mok'`);
});
