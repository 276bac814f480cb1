import { expect, test } from '@jest/globals';
import { constants } from 'node:os';
import { codeOfErrno, errnoOfCode, isRetryable, textOfCode } from './errno.ts';

test.each([
  'EROFS',
  'EACCES',
  'EPERM',
  'ENOENT',
  'EISDIR',
  'ENOTDIR',
  'ELOOP',
  'EXDEV',
  'EEXIST',
  'ENAMETOOLONG',
  'EFBIG',
])('%s is not worth another attempt', (code) => {
  expect(isRetryable(code)).toBe(false);
});

test.each(['EIO', 'ENOSPC', 'EDQUOT', 'EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM', 'EINTR', 'ETXTBSY', 'EBUSY', 'ESTALE'])(
  '%s is worth another attempt',
  (code) => {
    expect(isRetryable(code)).toBe(true);
  },
);

test.each(['EINVAL', 'EBADF', 'EFAULT', 'EOPNOTSUPP', 'ENOTSUP'])('%s, a fault of ours, is not retried', (code) => {
  expect(isRetryable(code)).toBe(false);
});

test('names every errno that Node or Linux has, by either sign', () => {
  for (const errno of Object.values(constants.errno)) {
    const code = codeOfErrno(errno);
    expect(code).toMatch(/^E[A-Z0-9]+$/);
    expect(codeOfErrno(-errno)).toBe(code);
    expect(errnoOfCode(code)).toBe(-errno);
  }
  expect([codeOfErrno(122), codeOfErrno(95), codeOfErrno(11), codeOfErrno(117)]).toEqual([
    'EDQUOT',
    'EOPNOTSUPP',
    'EAGAIN',
    'EUCLEAN',
  ]);
  expect(codeOfErrno(9999)).toBe('ERRNO_9999');
  expect(errnoOfCode('ENOTSUP')).toBe(-95);
  expect(errnoOfCode('constructor')).toBeUndefined();
  expect(textOfCode('toString')).toBe('unknown error');
});
