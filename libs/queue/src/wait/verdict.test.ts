import { describe, expect, test } from '@jest/globals';
import { IoError, RequestError, RootError, toWire, WriteAbortedError } from '@penstock/contract';
import { constants } from 'node:os';
import { BulkError } from '../flow/bulk-error.ts';
import { LockLostError } from '../work/lock-lost-error.ts';
import { verdictOn } from './verdict.ts';

const { errno } = constants;
const ofCall = (syscall: string, code: keyof typeof errno): ReturnType<typeof verdictOn> =>
  verdictOn(toWire(new IoError({ syscall, errno: -errno[code], path: '/data/a.bin' })));

describe('never tried again', () => {
  test.each([
    ['openat', 'EROFS'],
    ['openat2', 'EACCES'],
    ['fallocate', 'EPERM'],
    ['openat', 'ENOENT'],
    ['openat', 'EISDIR'],
    ['openat', 'EEXIST'],
    ['openat2', 'EXDEV'],
    ['openat2', 'ELOOP'],
    ['openat', 'ENAMETOOLONG'],
    ['statfs', 'EFBIG'],
    ['pwrite', 'EINVAL'],
    ['pwrite', 'EFAULT'],
  ] as const)('%s with %s', (syscall, code) => {
    expect(ofCall(syscall, code)).toEqual({ kind: 'never' });
  });

  test('a request that cannot be carried out', () => {
    const bad = new RequestError({ field: 'root', value: 'x', accepted: 'a root of this host: data' });
    expect(verdictOn(toWire(bad))).toEqual({ kind: 'never' });
  });

  test('a cancelled write', () => {
    expect(verdictOn(toWire(new WriteAbortedError('cancel')))).toEqual({ kind: 'never' });
  });
});

describe('tried again, and counted', () => {
  test.each([
    ['pwrite', 'EIO'],
    ['fdatasync', 'EIO'],
    ['pwrite', 'ESTALE'],
    ['pread', 'ETIMEDOUT'],
    ['io_submit', 'EAGAIN'],
    ['renameat', 'EBUSY'],
    ['fallocate', 'ENOMEM'],
  ] as const)('%s with %s', (syscall, code) => {
    expect(ofCall(syscall, code)).toEqual({ kind: 'retry' });
  });

  test('a lost lock, a dead thread, an error that nobody knows', () => {
    expect(verdictOn(toWire(new LockLostError('1', 'taken')))).toEqual({ kind: 'retry' });
    expect(verdictOn(toWire(Object.assign(new Error('died'), { code: 'EWRITERDIED' })))).toEqual({ kind: 'retry' });
    expect(verdictOn(toWire('just words'))).toEqual({ kind: 'retry' });
  });

  test('a bulk of which a file found the disk full: its other files may have other reasons', () => {
    const error = toWire(new IoError({ syscall: 'fallocate', errno: -errno.ENOSPC, path: '/data/a.bin' }));
    const items = [{ path: 'a.bin', root: 'data', error }];
    const failed = new BulkError({ files: 1, failed: 1, items } as unknown as ConstructorParameters<
      typeof BulkError
    >[0]);
    expect(toWire(failed).code).toBe('ENOSPC');
    expect(verdictOn(toWire(failed))).toEqual({ kind: 'retry' });
  });
});

describe('waited for, and not counted', () => {
  test.each([
    ['fallocate', 'ENOSPC', 'space'],
    ['pwrite', 'ENOSPC', 'space'],
    ['openat', 'ENOSPC', 'space'],
    ['fallocate', 'EDQUOT', 'space'],
    ['flock', 'EBUSY', 'the lock of the file'],
    ['fcntl', 'EBUSY', 'the lock of the file'],
    ['openat', 'EBUSY', 'the lock of the file'],
    ['openat', 'EMFILE', 'descriptors'],
    ['openat2', 'ENFILE', 'descriptors'],
    ['io_setup', 'EAGAIN', 'AIO contexts'],
    ['statfs', 'ETIMEDOUT', 'the file system to answer'],
  ] as const)('%s with %s waits for %s', (syscall, code, cause) => {
    expect(ofCall(syscall, code)).toEqual({ kind: 'wait', cause });
  });

  test('a root that its host cannot use', () => {
    const error = new RootError({ root: 'data', host: 'a', reason: 'read-only file system' });
    expect(verdictOn(toWire(error))).toEqual({ kind: 'wait', cause: 'the root' });
  });
});
