import { expect, test } from '@jest/globals';
import { codeOfErrno } from './errno.ts';
import { hintFor } from './hints.ts';

test.each([
  ['pwrite', 22, /alignment/],
  ['pwrite', 28, /df -h/],
  ['pwrite', 122, /quota/],
  ['pwrite', 27, /ulimit -f/],
  ['pwrite', 5, /rewrites it from the source/],
  ['fdatasync', 5, /must not be trusted/],
  ['pread', 5, /source/],
  ['openat2', 13, /permission/],
  ['openat2', 1, /immutable/],
  ['openat2', 30, /read-only/],
  ['openat2', 40, /symbolic link/],
  ['openat2', 18, /out of its root/],
  ['renameat2', 18, /different file systems/],
  ['openat2', 24, /ulimit -n/],
  ['openat2', 22, /O_DIRECT/],
  ['io_setup', 11, /aio-max-nr/],
  ['io_submit', 11, /depth/],
  ['fallocate', 95, /preallocate/],
])('%s failing with %d comes with advice', (syscall, errno, advice) => {
  expect(hintFor(syscall, codeOfErrno(errno))).toMatch(advice);
});
