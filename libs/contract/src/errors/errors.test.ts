// Errors: what their messages say, what is worth retrying, and that nothing is lost or thrown on the way through the wire.
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { codeOfErrno, errnoOfCode, isRetryable, textOfCode } from './errno.ts';
import {
  fromWire,
  IntegrityError,
  IoError,
  parseCancelMessage,
  RequestError,
  toWire,
  WriteAbortedError,
  wireErrorSchema,
} from './errors.ts';
import { hintFor } from './hints.ts';

const SEED = 20_110_608;

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

test('a RequestError says what is accepted, and what is missing', () => {
  const error = new RequestError({ field: 'root', value: 'scratch', accepted: '"data" or "fast"' });
  expect(error.message).toBe('root: "scratch" is not accepted; give "data" or "fast"');
  expect(error).toMatchObject({ name: 'RequestError', code: 'EBADREQUEST', retryable: false, value: 'scratch' });
  expect(error.issues).toHaveLength(1);
  expect(new RequestError({ field: 'size', accepted: 'bytes' }).message).toBe('size: missing; give bytes');
});

test('a cancelled write stays cancelled, one that met a shutdown goes back', () => {
  expect(new WriteAbortedError('cancel')).toMatchObject({ code: 'ECANCELED', reason: 'cancel', retryable: false });
  expect(new WriteAbortedError('shutdown')).toMatchObject({ code: 'ECANCELED', reason: 'shutdown', retryable: true });
});

function otherBytes(code: 'ECHECKSUM' | 'EINTEGRITY', retryable: boolean): IntegrityError {
  const where = { path: '/data/a\nb', offset: 524_288, length: 4096 };
  const sums = { algorithm: 'crc32c', expected: 'e3069283', found: '00000000' } as const;
  return new IntegrityError({ code, ...where, ...sums, retryable, hint: 'See `dmesg`.' });
}

test('an IntegrityError names the place, both sums and what to do', () => {
  expect(otherBytes('EINTEGRITY', true).message).toBe(
    "EINTEGRITY: the disk holds other bytes than were written, '/data/a\\nb' at 524288, 4096 bytes: " +
      'crc32c e3069283 was written, 00000000 was read back. See `dmesg`.',
  );
  expect(otherBytes('ECHECKSUM', false).message).toMatch(/crc32c e3069283 was expected, 00000000 came\./);
});

test("what another library's assertion expected is its own affair", () => {
  const error = Object.assign(new Error('x'), { expected: 'a', found: 'b' });
  expect(toWire(error)).not.toHaveProperty('expected');
});

test('a cancelled write tells who and why, and its message is read back', () => {
  const error = new WriteAbortedError('cancel', { cancelled: { by: 'ann@ops-1', why: 'disk: needed' } });
  expect(error.message).toBe('cancelled by ann@ops-1: disk: needed');
  expect(toWire(error)).toMatchObject({ code: 'ECANCELED', by: 'ann@ops-1', why: 'disk: needed', retryable: false });
  expect(parseCancelMessage(error.message)).toEqual({ by: 'ann@ops-1', why: 'disk: needed' });
  expect(parseCancelMessage('cancelled by cron')).toEqual({ by: 'cron' });
  expect(parseCancelMessage('the write was cancelled')).toBeNull();
});

test.each([
  new IoError({ syscall: 'pwrite', errno: -5, path: '/a', offset: 1, length: 2 }),
  new IoError({ syscall: 'io_setup', errno: -11 }),
  new RequestError({ field: 'size', value: -1, accepted: '0 or more' }),
  new WriteAbortedError('cancel'),
  new WriteAbortedError('cancel', { cancelled: { by: 'ann@ops-1', why: 'no longer needed' } }),
  new WriteAbortedError('shutdown'),
  otherBytes('EINTEGRITY', true),
  otherBytes('ECHECKSUM', false),
])('%s comes back from the wire as what it was', (error) => {
  const revived = fromWire(JSON.parse(JSON.stringify(error)));
  expect(revived.constructor).toBe(error.constructor);
  expect(revived).toMatchObject({ code: error.code, retryable: error.retryable });
  expect(String(revived)).toBe(String(error));
  expect(toWire(revived)).toEqual(toWire(error));
});

test("Node's own file errors get the same advice", () => {
  let thrown: unknown;
  try {
    readFileSync('/nonexistent/file');
  } catch (error) {
    thrown = error;
  }
  expect(toWire(thrown)).toMatchObject({
    name: 'Error',
    code: 'ENOENT',
    syscall: 'open',
    errno: -2,
    path: '/nonexistent/file',
    hint: hintFor('open', 'ENOENT'),
    retryable: false,
  });
});

test('an error of another realm keeps its fields', () => {
  const foreign = runInNewContext(
    `Object.assign(new RangeError('far'), { code: 'EROFS', syscall: 'openat2', path: 'x' })`,
  );
  expect(toWire(foreign)).toMatchObject({
    name: 'RangeError',
    message: 'far',
    code: 'EROFS',
    errno: -30,
    retryable: false,
  });
});

test('a clone that kept only the code of a bad request is not retried', () => {
  expect(toWire({ message: 'x', code: 'EBADREQUEST' }).retryable).toBe(false);
});

test('an aggregate without a message speaks through its first error', () => {
  expect(toWire(new AggregateError([new Error('connect ECONNREFUSED 127.0.0.1:1')])).message).toBe(
    'connect ECONNREFUSED 127.0.0.1:1',
  );
});

test('an endless message is cut', () => {
  expect(toWire(new Error('x'.repeat(1_000_000))).message).toHaveLength(8192);
});

const hostile: unknown[] = [
  null,
  undefined,
  '',
  'text',
  0,
  Symbol('x'),
  () => 0,
  Object.create(null),
  { message: { toString: 1 }, code: Symbol('c'), errno: Number.NaN, name: 5 },
  {
    get message(): string {
      throw new Error('no');
    },
    get code(): string {
      throw new Error('no');
    },
  },
  new Proxy(
    {},
    {
      get(): never {
        throw new Error('no');
      },
    },
  ),
];

test.each(hostile)('%# whatever is thrown becomes a wire error', (thrown) => {
  const wire = toWire(thrown);
  expect(wireErrorSchema.parse(wire)).toEqual(wire);
  expect(wire.message).not.toBe('');
  expect(toWire(fromWire(wire))).toEqual(wire);
});

test(`the wire is stable over any number of crossings, for any error (seed ${SEED})`, () => {
  const fields = fc.record(
    {
      name: fc.oneof(
        fc.constantFrom('IoError', 'IntegrityError', 'RequestError', 'WriteAbortedError', 'Error', 'TypeError'),
        fc.string(),
      ),
      message: fc.string(),
      code: fc.oneof(fc.constantFrom('ENOSPC', 'EBADREQUEST', 'ECANCELED', 'ECHECKSUM', 'EUNKNOWN'), fc.string()),
      syscall: fc.oneof(fc.constantFrom('pwrite', 'openat2'), fc.string()),
      errno: fc.oneof(fc.integer({ min: -140, max: 0 }), fc.integer()),
      path: fc.string(),
      offset: fc.double(),
      length: fc.integer(),
      hint: fc.string(),
      accepted: fc.string(),
      field: fc.string(),
      expected: fc.string(),
      found: fc.string(),
      retryable: fc.boolean(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fields, (error) => {
      const once = toWire(error);
      const twice = toWire(fromWire(JSON.parse(JSON.stringify(once))));
      expect(twice).toEqual(JSON.parse(JSON.stringify(once)));
    }),
    { seed: SEED, numRuns: 2000 },
  );
});
