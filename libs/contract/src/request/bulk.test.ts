// Bulks: each item is the single request it stands for, and what is refused is named by its place in the list.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { bulkJsonSchema, jobJsonSchema, parseJob } from './bulk.ts';
import { requestsOf, rootsOf } from './job-request.ts';
import { RequestError } from '../errors/request-error.ts';
import { parseRequest } from './request.ts';
import type { BulkRequest } from './write-request.ts';

const SEED = 20_110_608;

function bulkOf(input: unknown): BulkRequest {
  const job = parseJob(input);
  if (!('files' in job)) throw new Error('it is a single request');
  return job;
}

function refusal(input: unknown): RequestError {
  try {
    parseJob(input);
  } catch (error) {
    if (error instanceof RequestError) return error;
    throw error;
  }
  throw new Error('the job was accepted');
}

/** What a request may say, in every combination. */
const said = fc.record(
  {
    root: fc.constantFrom('data', 'fast'),
    size: fc.oneof(fc.nat(10_000), fc.constantFrom('4KiB', '1MB')),
    matrix: fc.record({ rows: fc.integer({ min: 1, max: 9 }), rowBytes: fc.constantFrom(512, '4KiB') }),
    source: fc.oneof(
      fc.record({ kind: fc.constant('pattern'), seed: fc.nat(99) }),
      fc.record({ kind: fc.constant('file'), path: fc.constantFrom('in/a', 'in/b') }),
      fc.record({
        kind: fc.constant('extents'),
        extents: fc.constant([{ offset: '1KiB', size: 5, source: { kind: 'pattern' } }]),
      }),
    ),
    mode: fc.constantFrom('create', 'replace'),
    publish: fc.constantFrom('atomic', 'in-place'),
    durability: fc.constantFrom('none', 'fdatasync'),
  },
  { requiredKeys: [] },
);

test(`an item is the single request that its own words and its bulk's come to, or both are refused (seed ${SEED})`, () => {
  let accepted = 0;
  fc.assert(
    fc.property(said, fc.array(said, { minLength: 1, maxLength: 5 }), (shared, items) => {
      const files = items.map((item, index) => ({ path: `out/${index}`, ...item }));
      let singles: unknown[];
      try {
        singles = files.map((item) => parseRequest({ ...shared, ...item }));
      } catch {
        expect(refusal({ ...shared, files }).field).toMatch(/^files\.\d\.|^(size|source)/);
        return;
      }
      accepted += 1;
      const bulk = bulkOf({ ...shared, files });
      expect(requestsOf(bulk)).toEqual(singles);
      // As it is stored, and judged again by the host.
      expect(parseJob(JSON.parse(JSON.stringify(bulk)))).toEqual(bulk);
    }),
    { seed: SEED, numRuns: 500 },
  );
  expect(accepted).toBeGreaterThan(100);
});

test.each<[string, object, object]>([
  ['matrix', { matrix: { rows: 2, rowBytes: 8192 } }, { matrix: { rows: 4, rowBytes: 4096 } }],
  ['checksum', { checksum: 'sha256' }, { checksum: 'crc32c' }],
  ['expect', { checksum: 'crc32c', expect: '00000000' }, { checksum: 'crc32c', expect: '0123abcd' }],
  ['verify', { verify: 'readback' }, { verify: 'none' }],
  ['fileMode', { fileMode: '640' }, { fileMode: '600' }],
  ['offset', { mode: 'overwrite', offset: 4096 }, { mode: 'overwrite', offset: 512 }],
  ['durability', { durability: 'dsync' }, { durability: 'none' }],
])('%s reaches the single request from the bulk, and from the item before that', (_name, ofBulk, ofItem) => {
  const bulk = bulkOf({ size: 1, ...ofBulk, files: [{ path: 'a' }, { path: 'b', ...ofItem }] });
  const singles = [
    parseRequest({ path: 'a', size: 1, ...ofBulk }),
    parseRequest({ path: 'b', size: 1, ...ofBulk, ...ofItem }),
  ];
  expect(requestsOf(bulk)).toEqual(singles);
});

test('a job without files is a single request', () => {
  expect(parseJob({ path: 'a', size: 1 })).toEqual(parseRequest({ path: 'a', size: 1 }));
  expect(() => parseRequest({ files: [] })).toThrow(/unknown field "files"/);
});

const files = (count: number) => Array.from({ length: count }, (_, index) => ({ path: `${index}` }));

test.each<[string, unknown, string, string | RegExp]>([
  [
    'a size',
    {
      files: [
        { path: 'a', size: 1 },
        { path: 'b', size: -1 },
      ],
    },
    'files.1.size',
    'files.1.size: -1 is not accepted; give 0 to 9007199254740991 bytes, as a number or like "1MiB"',
  ],
  ['no size anywhere', { files: files(1) }, 'files.0.size', /^files\.0\.size: missing; give 0 to/],
  ['what all have in common', { size: 'x', files: files(1) }, 'size', /^size: "x" is not accepted/],
  [
    'a misspelt field of an item',
    { size: 1, files: [{ path: 'a', mod: 'create' }] },
    'files.0.mod',
    /^files\.0: unknown field "mod"; did you mean "mode"\?/,
  ],
  [
    'a path beside the files',
    { path: 'a', size: 1, files: files(1) },
    'path',
    'unknown field "path"; accepted: files, root, size, matrix, source, offset, mode, publish, durability, checksum, expect, verify, fileMode, limit, target',
  ],
  ['a nested field', { size: 1, files: [{ path: 'a', source: { kind: 'file' } }] }, 'files.0.source.path', /missing/],
  ['an item that is none', { size: 1, files: ['a'] }, 'files.0', /^files\.0: "a" is not accepted; give an object like/],
  ['an item of a class', { size: 1, files: [new Map()] }, 'files.0', /not a plain object/],
  ['no items', { size: 1, files: [] }, 'files', /^files: 0 items are not accepted; give a list of 1/],
  ['no list', { size: 1, files: {} }, 'files', /^files: an object is not accepted; give a list/],
  [
    'too many items',
    { size: 1, files: files(1001) },
    'files',
    /1001 items are not accepted; give a list of 1 to 1000 items .* and what is more in further jobs$/,
  ],
  [
    'a file that comes twice',
    {
      size: 1,
      root: 'fast',
      files: [{ path: 'a', root: 'data' }, { path: 'a' }, { path: 'b' }, { path: 'a', root: 'fast' }],
    },
    'files.3.path',
    /^files\.3\.path: "a" is not accepted: files\.1 writes the same file; give/,
  ],
  [
    'a copy of another item',
    { size: 1, files: [{ path: 'b', source: { kind: 'file', path: 'a' } }, { path: 'a' }] },
    'files.0.source.path',
    /"a" is not accepted: files\.1 writes that file/,
  ],
  [
    'a copy in place onto itself, said in common',
    { publish: 'in-place', source: { kind: 'file', path: 'a' }, files: [{ path: 'a' }] },
    'files.0.source.path',
    /"a" is not accepted: it is the file to be written/,
  ],
])('a refusal names the place in the list: %s', (_, input, field, message) => {
  const error = refusal(input);
  expect(error.field).toBe(field);
  if (typeof message === 'string') expect(error.message).toBe(message);
  else expect(error.message).toMatch(message);
});

test('of many items at fault the first are told in full, and the message stays short', () => {
  const error = refusal({ files: Array.from({ length: 1000 }, () => ({ path: 'a', size: -1, extra: 1 })) });
  expect(error.message).toMatch(
    /^files\.0\.size: .+\. Also: files\.0: unknown .+\. Also: files\.1\.size: .+\. And \d+ more$/,
  );
  expect(error.message.length).toBeLessThan(1000);
  expect(error.issues.length).toBeLessThanOrEqual(200);
});

test('lists that are hostile are refused like anything else', () => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  expect(refusal({ files: proxy }).message).toContain('reading it failed');
  const endless = new Proxy([], { get: (_, key) => (key === 'length' ? 2 ** 32 - 1 : undefined) });
  expect(refusal({ files: endless }).message).toContain('4294967295 items are not accepted');
  const sparse: unknown[] = [];
  sparse[2] = { path: 'a' };
  expect(refusal({ size: 1, files: sparse }).field).toBe('files.0');
  let reads = 0;
  const item = {
    get path(): string {
      reads += 1;
      return reads === 1 ? 'good' : '../evil';
    },
  };
  expect(bulkOf({ size: 1, files: [item] }).files).toEqual([{ path: 'good' }]);
  expect(reads).toBe(1);
});

const extent = (offset: number | string, size: number) => ({ offset, size, source: { kind: 'pattern', seed: 1 } });
const extents = (...list: unknown[]) => ({ kind: 'extents', extents: list });

test('a file of extents needs no size, and may have one that reaches beyond them', () => {
  const request = parseRequest({ path: 'a', source: extents(extent('1MiB', 10), extent(0, 5)) });
  expect(request).not.toHaveProperty('size');
  expect(request.source).toMatchObject({
    extents: [{ offset: 1_048_576, source: { kind: 'pattern', pattern: 'zero', seed: 1 } }, { offset: 0 }],
  });
  expect(parseRequest({ path: 'a', size: '2MiB', source: request.source }).size).toBe(2_097_152);
});

test.each<[string, object, string, RegExp]>([
  [
    'an overlap',
    { source: extents(extent(4, 5), extent(0, 5)) },
    'source.extents.0.offset',
    /4 is not accepted: extent 1/,
  ],
  [
    'a size that cuts one',
    { size: 8, source: extents(extent(4, 5)) },
    'size',
    /8 is not accepted: the extents end at 9/,
  ],
  ['an empty one', { source: extents(extent(4, 0)) }, 'source.extents.0.size', /0 is not accepted; give 1 to/],
  ['an end beyond any file', { source: extents(extent(2 ** 53 - 1, 1)) }, 'source.extents.0.size', /ends beyond/],
  [
    'a copy',
    { source: extents({ ...extent(0, 1), source: { kind: 'file', path: 'b' } }) },
    'source.extents.0.source.kind',
    /give "pattern"\. Also: .* unknown field "path"; accepted: kind, pattern, seed$/,
  ],
  [
    'a field too many',
    { source: extents({ ...extent(0, 1), seed: 1 }) },
    'source.extents.0.seed',
    /accepted: offset, size, source$/,
  ],
  ['none', { source: extents() }, 'source.extents', /0 items are not accepted; give a list of 1 to 1000 extents/],
  ['one that is none', { source: extents(5) }, 'source.extents.0', /5 is not accepted; give an object like {"offset"/],
])('extents are refused by name: %s', (_, input, field, message) => {
  const single = refusal({ path: 'a', ...input });
  expect(single.field).toBe(field);
  expect(single.message).toMatch(message);
  expect(refusal({ files: [{ path: 'a', ...input }] }).field).toBe(`files.0.${field}`);
});

test('the JSON Schemas of a bulk and of any job name fields, bounds and defaults', () => {
  expect(bulkJsonSchema()).toMatchObject({
    title: 'BulkRequest',
    required: ['files'],
    additionalProperties: false,
    properties: {
      root: { default: 'data' },
      files: {
        minItems: 1,
        maxItems: 1000,
        items: {
          required: ['path'],
          additionalProperties: false,
          properties: { mode: { enum: ['create', 'replace', 'overwrite', 'append'] } },
        },
      },
    },
  });
  expect(bulkJsonSchema()).not.toHaveProperty('properties.files.items.properties.mode.default');
  expect(jobJsonSchema()).toHaveProperty('then.title', 'BulkRequest');
  expect(jobJsonSchema()).toHaveProperty('else.title', 'WriteRequest');
  expect(JSON.parse(JSON.stringify(jobJsonSchema()))).toEqual(jobJsonSchema());
});

test('extents of items count with the items: lists in lists do not multiply what is judged', () => {
  const listOf = (count: number): unknown[] =>
    Array.from({ length: count }, (_, index) => ({ offset: index * 10, size: 5, source: { kind: 'pattern' } }));
  const item = (path: string, count: number): unknown => ({
    path,
    source: { kind: 'extents', extents: listOf(count) },
  });
  expect(() => parseJob({ files: [item('a', 499), item('b', 499)] })).not.toThrow();
  const error = refusal({ files: [item('a', 499), item('b', 500)] });
  expect(error.field).toBe('files.1.source.extents');
  expect(error.message).toMatch(/more than 1000 items and extents in all/);
});

test('the roots of a job are those of its files and of what they are copies of, each once', () => {
  const copy = { path: 'a', root: 'two', source: { kind: 'file', root: 'one', path: 'x' } } as const;
  expect(rootsOf(parseJob(copy))).toEqual(['two', 'one']);
  expect(rootsOf(parseJob({ files: [{ path: 'b', root: 'one', size: 1 }, copy, { path: 'c', size: 1 }] }))).toEqual([
    'one',
    'two',
    'data',
  ]);
});
