// Nothing is lost or thrown on the way through the wire.
import { expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { fromWire } from './from-wire.ts';
import { hintFor } from './hints.ts';
import { otherBytes } from './integrity-error.fixture.ts';
import { IoError } from './io-error.ts';
import { RequestError } from './request-error.ts';
import { toWire } from './to-wire.ts';
import { wireErrorSchema } from './wire-error.fixture.ts';
import { WriteAbortedError } from './write-aborted-error.ts';

const SEED = 20_110_608;

test("what another library's assertion expected is its own affair", () => {
  const error = Object.assign(new Error('x'), { expected: 'a', found: 'b' });
  expect(toWire(error)).not.toHaveProperty('expected');
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
