// Requests: the defaults, the sentences that refuse, and that hostile input gets one of those and nothing worse.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseJob } from './bulk.ts';
import { INLINE_BYTES_MAX } from '../fields/fields.ts';
import { parseRequest, requestJsonSchema } from './request.ts';
import type { WriteRequestInput } from './write-request.ts';
import { RequestError } from '../errors/request-error.ts';

const SEED = 20_110_608;

function refusal(input: unknown): RequestError {
  try {
    parseRequest(input);
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
  throw new Error('the request was accepted');
}

test('fills in every default', () => {
  expect(parseRequest({ path: 'a.dat', size: 0 })).toEqual({
    path: 'a.dat',
    root: 'data',
    size: 0,
    source: { kind: 'pattern', pattern: 'zero', seed: 0 },
    mode: 'replace',
    publish: 'atomic',
    durability: 'fdatasync',
  });
});

test('keeps what is given, with sizes in bytes', () => {
  expect(
    parseRequest({
      path: 'captures/run-42.dat',
      root: 'fast',
      size: '1 MiB',
      matrix: { rows: 1024, rowBytes: '1KiB' },
      source: { kind: 'pattern', pattern: 'stamp', seed: 0xffffffff },
      mode: 'create',
      publish: 'in-place',
      durability: 'none',
    }),
  ).toEqual({
    path: 'captures/run-42.dat',
    root: 'fast',
    size: 1_048_576,
    matrix: { rows: 1024, rowBytes: 1024 },
    source: { kind: 'pattern', pattern: 'stamp', seed: 0xffffffff },
    mode: 'create',
    publish: 'in-place',
    durability: 'none',
  });
});

test('overwriting and appending are in place unless something else is said, which is refused', () => {
  expect(parseRequest({ path: 'a', size: 1, mode: 'append' }).publish).toBe('in-place');
  expect(parseRequest({ path: 'a', size: 1, mode: 'overwrite', offset: '1KiB' })).toMatchObject({
    publish: 'in-place',
    offset: 1024,
  });
});

test('what a job carries inline is bounded, for all its files together', () => {
  const data = 'A'.repeat((INLINE_BYTES_MAX / 3) * 4 - (((INLINE_BYTES_MAX / 3) * 4) % 4));
  expect(parseRequest({ path: 'a', source: { kind: 'inline', data } }).source).toMatchObject({ data });
  const files = ['a', 'b'].map((path) => ({ path, source: { kind: 'inline', data } }));
  expect(() => parseJob({ files })).toThrow(/^files\.1\.source\.data: \d+ characters are too many; give base64/);
});

test('a stream is refused by the queue, with the ways that there are', () => {
  const request = { path: 'a', source: { kind: 'stream' } };
  expect(parseRequest(request).source).toEqual({ kind: 'stream' });
  expect(() => parseJob(request)).toThrow(/a stream cannot wait in a queue: `penstock write --from -`/);
});

test('a file source needs no size and has the default root', () => {
  const request = parseRequest({ path: 'b', source: { kind: 'file', path: 'a' } });
  expect(request.source).toEqual({ kind: 'file', path: 'a', root: 'data', holes: 'fill', reflink: 'never' });
  expect(request).not.toHaveProperty('size');
  expect(request).not.toHaveProperty('matrix');
});

test('a request that has been parsed parses to itself', () => {
  const input: WriteRequestInput = { path: 'b', size: '2GB', matrix: { rows: 1, rowBytes: '1GiB' } };
  const request = parseRequest(input);
  expect(parseRequest(JSON.parse(JSON.stringify(request)))).toEqual(request);
});

test('undefined is the same as absent, as in JSON', () => {
  expect(parseRequest({ path: 'a', size: 1, root: undefined, matrix: undefined, sizee: undefined }).root).toBe('data');
});

const base = { path: 'a', size: 1 };

test.each<[string, unknown, string, string]>([
  [
    'a negative row',
    { ...base, matrix: { rows: 4, rowBytes: -5 } },
    'matrix.rowBytes',
    'matrix.rowBytes: -5 is not accepted; give 1 to 1073741824 bytes, as a number or like "1MiB"',
  ],
  ['no size', { path: 'a' }, 'size', 'size: missing; give 0 to 9007199254740991 bytes, as a number or like "1MiB"'],
  [
    'a misspelt field',
    { ...base, sizee: 5 },
    'sizee',
    'unknown field "sizee"; did you mean "size"? accepted: path, root, size, matrix, source, offset, mode, publish, durability, checksum, expect, verify, fileMode, limit, target',
  ],
  [
    'a field of a later version',
    { ...base, compression: 'zstd' },
    'compression',
    'unknown field "compression"; accepted: path, root, size, matrix, source, offset, mode, publish, durability, checksum, expect, verify, fileMode, limit, target',
  ],
  [
    'a misspelt nested field',
    { ...base, matrix: { rows: 1, rowBytes: 1, row_bytes: 2 } },
    'matrix.row_bytes',
    'matrix: unknown field "row_bytes"; did you mean "rowBytes"? accepted: rows, rowBytes',
  ],
  [
    'a field of the other source',
    { ...base, source: { kind: 'pattern', path: 'b' } },
    'source.path',
    'source: unknown field "path"; accepted: kind, pattern, seed',
  ],
  [
    'a path out of the root',
    { ...base, path: '../etc/passwd' },
    'path',
    'path: "../etc/passwd" is not accepted: it has a component ".."; give a relative path inside its root, ' +
      'without "..", up to 4095 bytes, like "captures/run-42.dat"',
  ],
  [
    'an unknown pattern',
    { ...base, source: { kind: 'pattern', pattern: 'noise' } },
    'source.pattern',
    'source.pattern: "noise" is not accepted; give "zero", "byte", "counter", "text", "stamp" or "random"',
  ],
  [
    'an unknown kind',
    { ...base, source: { kind: 'ftp' } },
    'source.kind',
    'source.kind: "ftp" is not accepted; give "pattern", "inline", "file", "extents", "url", "shm", "manifest" or "stream"',
  ],
  [
    'no kind',
    { ...base, source: { seed: 1 } },
    'source.kind',
    'source.kind: missing; give "pattern", "inline", "file", "extents", "url", "shm", "manifest" or "stream"',
  ],
  [
    'how a copy is made, of a pattern',
    { ...base, source: { kind: 'pattern', reflink: 'auto' } },
    'source.reflink',
    'source: unknown field "reflink"; accepted: kind, pattern, seed',
  ],
  [
    'a misspelt field of a copy',
    { ...base, source: { kind: 'file', path: 'b', refLinks: 'auto' } },
    'source.refLinks',
    'source: unknown field "refLinks"; did you mean "reflink"? accepted: kind, path, root, holes, reflink, mtime',
  ],
  [
    "cp's word for holes",
    { ...base, source: { kind: 'file', path: 'b', holes: 'always' } },
    'source.holes',
    'source.holes: "always" is not accepted; give "fill" or "keep"',
  ],
  [
    'a reflink by yes or no',
    { ...base, source: { kind: 'file', path: 'b', reflink: true } },
    'source.reflink',
    'source.reflink: true is not accepted; give "never", "auto" or "always"',
  ],
  [
    'a mode',
    { ...base, mode: 'update' },
    'mode',
    'mode: "update" is not accepted; give "create", "replace", "overwrite" or "append"',
  ],
  [
    'an offset of another mode',
    { ...base, offset: 4096 },
    'offset',
    `offset: 4096 is not accepted: the mode is replace; give mode "overwrite" with it, or leave it out`,
  ],
  [
    'overwriting atomically',
    { ...base, mode: 'overwrite', publish: 'atomic' },
    'publish',
    'publish: "atomic" is not accepted: overwrite changes the file where it stands; give "in-place", or leave it out',
  ],
  [
    'appending holes',
    { path: 'a', mode: 'append', source: { kind: 'file', path: 'b', holes: 'keep' } },
    'source.holes',
    'source.holes: "keep" is not accepted: append would leave old bytes where the holes are; give "fill", or mode "replace" or "create"',
  ],
  [
    'a sum to expect of nothing',
    { ...base, expect: '00000000' },
    'expect',
    'expect: "00000000" is not accepted: no checksum is named; give a checksum with it, "crc32c" or "sha256", or leave it out',
  ],
  [
    'a sum of another kind',
    { ...base, checksum: 'sha256', expect: 'e3069283' },
    'expect',
    'expect: "e3069283" is not accepted: sha256 has 64 digits; give 64 hexadecimal digits',
  ],
  [
    'a checksum of a reflink',
    { path: 'a', checksum: 'crc32c', source: { kind: 'file', path: 'b', reflink: 'always' } },
    'checksum',
    'checksum: "crc32c" is not accepted: a reflink passes no byte that could be summed up; give "none", or source.reflink "auto"',
  ],
  [
    'inline data of another size',
    { path: 'a', size: 4, source: { kind: 'inline', data: 'AAA=' } },
    'size',
    `size: 4 is not accepted: the data comes to 2 bytes; give 2, or leave it out`,
  ],
  [
    'a URL of a file',
    { path: 'a', source: { kind: 'url', url: 'file:///etc/passwd' } },
    'source.url',
    'source.url: "file:///etc/passwd" is not accepted: its scheme is file:; give an absolute URL, http: or https:, without user and password, like "https://example.org/a.iso"',
  ],
  [
    'a URL with a password',
    { path: 'a', source: { kind: 'url', url: 'https://me:secret@example.org/' } },
    'source.url',
    'source.url: "https://***@example.org/" is not accepted: it carries a user or a password; give an absolute URL, http: or https:, without user and password, like "https://example.org/a.iso"',
  ],
  [
    'a URL with a password that has a slash',
    { path: 'a', source: { kind: 'url', url: 'https://me:sec/ret@example.org/' } },
    'source.url',
    expect.stringMatching(/^source\.url: "https:\/\/\*\*\*@example\.org\/" is/) as unknown as string,
  ],
  [
    'a URL with a password and backslashes',
    { path: 'a', source: { kind: 'url', url: 'http:\\\\me:secret@example.org/' } },
    'source.url',
    expect.stringMatching(/^source\.url: "http:\/\/\*\*\*@example\.org\/" is/) as unknown as string,
  ],
  [
    'a segment outside',
    { path: 'a', source: { kind: 'shm', name: '../mem' } },
    'source.name',
    expect.stringContaining('source.name: "../mem" is not accepted') as unknown as string,
  ],
  [
    'bits that make a program run as its owner',
    { ...base, fileMode: '4755' },
    'fileMode',
    'fileMode: "4755" is not accepted; give three octal digits like "640", or "keep" for a copy',
  ],
  [
    'a host of a name that no queue can have',
    { ...base, target: { host: 'a:b' } },
    'target.host',
    'target.host: "a:b" is not accepted; give "any", or the name of a host: 1 to 128 letters, digits, dots, _ or -',
  ],
])('names the field, the value and what is accepted: %s', (_, input, field, message) => {
  const error = refusal(input);
  expect(error.message).toEqual(message);
  expect(error.field).toBe(field);
});

const copy = { kind: 'file', path: 'b' } as const;

test.each<[string, unknown]>([
  ['holes of an append', { path: 'a', mode: 'append', source: { ...copy, holes: 'keep' } }],
  ['holes of an overwrite', { path: 'a', mode: 'overwrite', source: { ...copy, holes: 'keep' } }],
  ['a reflink of an append', { path: 'a', mode: 'append', source: { ...copy, reflink: 'always' } }],
  ['overwriting atomically', { ...base, mode: 'overwrite', publish: 'atomic' }],
  ['the mode of a source that has none', { ...base, fileMode: 'keep' }],
  ['a checksum of a reflink', { path: 'a', checksum: 'crc32c', source: { ...copy, reflink: 'always' } }],
  ['a readback of a reflink', { path: 'a', verify: 'readback', source: { ...copy, reflink: 'always' } }],
  ['a stream in a queue', { path: 'a', source: { kind: 'stream' } }],
  ['a URL in a bulk', { files: [{ path: 'a', source: { kind: 'url', url: 'https://example.org/a' } }] }],
])('never advises the very value that it refuses: %s', (_, input) => {
  let error: unknown;
  try {
    parseJob(input);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(RequestError);
  for (const { value, accepted } of (error as RequestError).issues) {
    expect(accepted).not.toContain(JSON.stringify(value));
  }
});

test.each<[string, unknown]>([
  ['size', { ...base, size: -1 }],
  ['size', { ...base, size: 1.5 }],
  ['size', { ...base, size: Number.NaN }],
  ['size', { ...base, size: 2 ** 53 }],
  ['size', { ...base, size: '1.1KiB' }],
  ['size', { ...base, size: '1mb' }],
  ['size', { ...base, size: null }],
  ['size', { ...base, size: 5n }],
  ['size', { ...base, size: true }],
  ['size', { ...base, size: [5] }],
  ['path', { size: 1 }],
  ['path', { ...base, path: 5 }],
  ['path', { ...base, path: '' }],
  ['path', { ...base, path: 'a\0' }],
  ['path', { ...base, path: ['a'] }],
  ['path', { ...base, path: 'a'.repeat(100_000_000) }],
  ['root', { ...base, root: '' }],
  ['root', { ...base, root: '../x' }],
  ['root', { ...base, root: 'x'.repeat(65) }],
  ['root', { ...base, root: 'data\n' }],
  ['matrix', { ...base, matrix: null }],
  ['matrix', { ...base, matrix: [4, 4] }],
  ['matrix', { ...base, matrix: new Map() }],
  ['matrix.rows', { ...base, matrix: { rowBytes: 1 } }],
  ['matrix.rows', { ...base, matrix: { rows: 0, rowBytes: 1 } }],
  ['matrix.rows', { ...base, matrix: { rows: 65_537, rowBytes: 1 } }],
  ['matrix.rows', { ...base, matrix: { rows: '4', rowBytes: 1 } }],
  ['matrix.rowBytes', { ...base, matrix: { rows: 1, rowBytes: 0 } }],
  ['matrix.rowBytes', { ...base, matrix: { rows: 1, rowBytes: '2GiB' } }],
  ['source', { ...base, source: 'zero' }],
  ['source', { ...base, source: null }],
  ['source.seed', { ...base, source: { kind: 'pattern', seed: 2 ** 32 } }],
  ['source.shards', { ...base, source: { kind: 'manifest' } }],
  ['source.shards', { ...base, source: { kind: 'manifest', shards: 0 } }],
  ['source.shards', { ...base, source: { kind: 'manifest', shards: ['a', 'b', 'a'] } }],
  ['source.shards', { ...base, source: { kind: 'manifest', shards: [{}] } }],
  ['source.shards', { ...base, source: { kind: 'manifest', shards: Array.from({ length: 100_001 }, String) } }],
  ['source.seed', { ...base, source: { kind: 'pattern', seed: '7' } }],
  ['source.path', { path: 'a', source: { kind: 'file', path: '/etc/passwd' } }],
  ['source.path', { path: 'a', publish: 'in-place', source: { kind: 'file', path: 'a' } }],
  ['source.root', { path: 'a', source: { kind: 'file', path: 'b', root: '.' } }],
  ['durability', { ...base, durability: 'sync' }],
  ['checksum', { ...base, checksum: 'md5' }],
  ['verify', { ...base, verify: true }],
  ['limit.bytesPerSecond', { ...base, limit: { bytesPerSecond: -1 } }],
  ['source.data', { path: 'a', source: { kind: 'inline', data: 'no base64' } }],
  ['publish', { ...base, publish: {} }],
  ['request', null],
  ['request', undefined],
  ['request', 5],
  ['request', 'a'],
  ['request', []],
  ['request', new Date(0)],
  ['request', () => 0],
])('refuses a wrong %s', (field, input) => {
  const error = refusal(input);
  expect(error.field).toBe(field);
  expect(error.code).toBe('EBADREQUEST');
  expect(error.message.length).toBeLessThan(400);
});

test('a copy onto itself is allowed where it is atomic', () => {
  expect(parseRequest({ path: 'a', source: { kind: 'file', path: 'a' } }).publish).toBe('atomic');
});

test('names every fault, the first three in full', () => {
  const error = refusal({ path: '/', size: 'x', mode: 1, publish: 2, durability: 3, extra: 4 });
  expect(error.issues.map((issue) => issue.field)).toEqual(['path', 'size', 'mode', 'publish', 'durability', 'extra']);
  expect(error.message).toMatch(/^path: .+\. Also: size: .+\. Also: mode: .+\. And 3 more$/);
});

test('a thousand unknown fields make one short message', () => {
  const input = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`field${index}`, index]));
  const error = refusal({ ...base, ...input });
  expect(error.issues.length).toBeLessThanOrEqual(10);
  expect(error.message.length).toBeLessThan(1000);
});

test('a key named __proto__ or constructor is an unknown field, not a prototype', () => {
  expect(refusal(JSON.parse('{"path": "a", "size": 1, "__proto__": {"mode": "create"}}')).field).toBe('__proto__');
  expect(refusal(JSON.parse('{"path": "a", "size": 1, "constructor": 1}')).field).toBe('constructor');
  expect(
    refusal(JSON.parse('{"path": "a", "size": 1, "matrix": {"__proto__": 1, "rows": 1, "rowBytes": 1}}')).field,
  ).toBe('matrix.__proto__');
});

test('inherited fields do not count', () => {
  class Request {
    path = 'a';
    size = 1;
  }
  expect(refusal(Object.create({ path: 'a', size: 1 })).field).toBe('request');
  expect(refusal(new Request()).message).toContain('not a plain object');
});

test('takes an object without prototype', () => {
  expect(parseRequest(Object.assign(Object.create(null), base)).path).toBe('a');
});

test('reads each property once, so that a getter cannot answer twice', () => {
  let reads = 0;
  const input = {
    size: 1,
    get path(): string {
      reads += 1;
      return reads === 1 ? 'good' : '../evil';
    },
  };
  expect(parseRequest(input).path).toBe('good');
  expect(reads).toBe(1);
});

test('throwing getters, revoked proxies and cycles are refused like anything else', () => {
  const cyclic: Record<string, unknown> = { ...base };
  cyclic['matrix'] = cyclic;
  cyclic['source'] = cyclic;
  expect(refusal(cyclic).issues.map((issue) => issue.field)).toContain('matrix.rows');
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  expect(refusal(proxy).message).toContain('reading it failed');
  expect(refusal({ ...base, matrix: proxy }).field).toBe('matrix');
  const throwing = {
    get size(): number {
      throw new Error('no');
    },
  };
  expect(refusal(throwing).cause).toMatchObject({ message: 'no' });
});

test('control characters and huge values do not reach the message', () => {
  const error = refusal({ ...base, root: `\u001B[2J${'x'.repeat(10_000_000)}`, ['\u202E'.repeat(1000)]: 1 });
  expect(error.message).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  expect(error.message.length).toBeLessThan(600);
});

test(`anything at all is accepted or refused with a RequestError (seed ${SEED})`, () => {
  const leaf = fc.oneof(
    fc.anything({ maxDepth: 2, withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }),
    fc.constantFrom<unknown>('a', 'data', '1MiB', 5, 'pattern', 'file', 'stamp', 'create', 'atomic', 'none'),
  );
  const nested = (...keys: string[]): fc.Arbitrary<unknown> =>
    fc.oneof(leaf, fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), leaf, { maxKeys: 5 }));
  const request = fc.record(
    {
      path: fc.oneof(fc.constant('a'), leaf),
      root: leaf,
      size: fc.oneof(fc.constant(1), leaf),
      matrix: nested('rows', 'rowBytes'),
      source: nested('kind', 'pattern', 'seed', 'path', 'root', 'holes', 'reflink'),
      mode: leaf,
      publish: leaf,
      durability: leaf,
      other: leaf,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(request, leaf), (input) => {
      let parsed: unknown;
      try {
        parsed = parseRequest(input);
      } catch (error) {
        expect(error).toBeInstanceOf(RequestError);
        return;
      }
      expect(parseRequest(parsed)).toEqual(parsed);
    }),
    { seed: SEED, numRuns: 2000 },
  );
});

test(`every good request is accepted as it stands (seed ${SEED})`, () => {
  const path = fc.stringMatching(/^[a-z][a-z0-9._-]{0,20}(?:\/[a-z][a-z0-9._-]{0,20}){0,3}$/);
  const request = fc.record({
    path,
    root: fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$/),
    size: fc.maxSafeNat(),
    matrix: fc.record({ rows: fc.integer({ min: 1, max: 65_536 }), rowBytes: fc.integer({ min: 1, max: 2 ** 30 }) }),
    source: fc.oneof(
      fc.record({
        kind: fc.constant('pattern'),
        pattern: fc.constantFrom('zero', 'byte', 'counter', 'text', 'stamp', 'random'),
        seed: fc.nat(0xffffffff),
      }),
      fc.record({
        kind: fc.constant('file'),
        path: path.map((name) => `from/${name}`),
        root: fc.constant('in'),
        holes: fc.constantFrom('fill', 'keep'),
        reflink: fc.constantFrom('never', 'auto', 'always'),
      }),
    ),
    mode: fc.constantFrom('create', 'replace'),
    publish: fc.constantFrom('atomic', 'in-place'),
    durability: fc.constantFrom('none', 'fdatasync'),
  });
  fc.assert(
    fc.property(request, (input) => {
      expect(parseRequest(input)).toEqual(input);
    }),
    { seed: SEED },
  );
});

test('the JSON Schema names the same fields, required ones, bounds and defaults', () => {
  expect(requestJsonSchema()).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    type: 'object',
    additionalProperties: false,
    required: ['path'],
    else: { required: ['size'] },
    properties: {
      path: { type: 'string', maxLength: 4095 },
      root: { default: 'data' },
      size: { anyOf: [{ type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }, { type: 'string' }] },
      matrix: { required: ['rows', 'rowBytes'], properties: { rows: { minimum: 1, maximum: 65_536 } } },
      mode: { enum: ['create', 'replace', 'overwrite', 'append'], default: 'replace' },
      source: {
        oneOf: [
          {},
          { required: ['kind', 'data'] },
          {
            properties: {
              holes: { enum: ['fill', 'keep'], default: 'fill' },
              reflink: { enum: ['never', 'auto', 'always'], default: 'never' },
            },
          },
          { required: ['kind', 'extents'] },
          { required: ['kind', 'url'] },
          { required: ['kind', 'name'] },
          { required: ['kind', 'shards'] },
          { required: ['kind'] },
        ],
      },
    },
  });
  expect(JSON.parse(JSON.stringify(requestJsonSchema()))).toEqual(requestJsonSchema());
});
