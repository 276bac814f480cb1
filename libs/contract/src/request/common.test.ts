// Requests that are judged by hand: the verdict, the value and its text are those of the schema, whatever is sent.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { parseJob } from './bulk.ts';
import { commonBulk, commonRequest } from './common.ts';
import { faultsBetween } from './faults.ts';
import { plainList, plainRequest, isRecord, newBudget } from './plain.ts';
import { bulkShape, requestSchema } from './request.ts';

const PARAMETERS = { seed: 20_260_711, numRuns: 3000 };

const controls = fc.string({ unit: fc.constantFrom('\0', '\u0007', '\n', '\u2028', '\uD800', '/', '.', 'a') });
const path = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.array(fc.stringMatching(/^[a-z\d_-]{1,8}$/), { minLength: 1 }).map((parts) => parts.join('/')),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '..',
      'a/../b',
      '/a',
      'a//b',
      'a/',
      '.',
      'a/.',
      '',
      'é'.repeat(128),
      'ü/'.repeat(3000),
      'x'.repeat(255),
    ),
  },
  { weight: 1, arbitrary: controls },
);
/** What no field takes, or hardly any. */
const junk = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    NaN,
    Infinity,
    -1,
    -0,
    0.5,
    2 ** 53,
    '',
    ' ',
    '4096',
    '1MiB',
    '1.5KiB',
    true,
    [],
    {},
    Object('data'),
  ),
  fc.constantFrom<unknown>(new Date(0), new Map(), 1n, Symbol('x'), () => {}, undefined),
  controls,
  fc.anything({ withNullPrototype: true, withBoxedValues: true, maxDepth: 2 }),
);
const or = (valid: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof({ weight: 30, arbitrary: valid }, { weight: 1, arbitrary: junk });

const source = fc.oneof(
  fc.record(
    {
      kind: fc.constant('pattern'),
      pattern: or(fc.constantFrom('zero', 'byte', 'stamp', 'random')),
      seed: or(fc.nat()),
    },
    { requiredKeys: ['kind'] },
  ),
  fc.base64String().map((data) => ({ kind: 'inline', data })),
  fc.record({ kind: fc.constant('file'), path }),
  fc.constantFrom(
    { kind: 'inline', data: 'AAA' },
    { kind: 'stream' },
    { kind: 'manifest', shards: 2 },
    { kind: 'none' },
  ),
);
const fields = {
  root: or(fc.constantFrom('data', 'fast', '-', 'a b', 'x'.repeat(65))),
  size: or(fc.oneof(fc.maxSafeNat(), fc.nat(9000), fc.constantFrom(-0, '4096', '1MiB'))),
  source: or(source),
  mode: or(fc.constantFrom('create', 'replace', 'overwrite', 'append')),
  publish: or(fc.constantFrom('atomic', 'in-place')),
  durability: or(fc.constantFrom('none', 'fdatasync', 'dsync')),
  checksum: or(fc.constantFrom('none', 'crc32c', 'sha256')),
  verify: or(fc.constantFrom('none', 'readback')),
};
const rare = {
  offset: fc.nat(),
  expect: fc.constant('ABCDEF01'),
  limit: fc.constant({ bytesPerSecond: '1MiB' }),
  target: fc.constant({ host: 'disk-3' }),
  ['__proto__']: fc.constant({ root: 'other' }),
  constructor: junk,
  unknown: junk,
};
const withRare = (known: fc.Arbitrary<object>): fc.Arbitrary<object> =>
  fc.oneof(
    { weight: 5, arbitrary: known },
    {
      weight: 1,
      arbitrary: fc
        .tuple(known, fc.record(rare, { requiredKeys: [] }))
        .map(([one, other]) => Object.assign(one, other) as object),
    },
    {
      weight: 1,
      arbitrary: known.map((one) => Object.assign(Object.create({ mode: 'append', odd: 1 }) as object, one)),
    },
    { weight: 1, arbitrary: known.map((one) => Object.assign(Object.create(null) as object, one)) },
  );
const request = withRare(fc.record({ path: or(path), ...fields }, { requiredKeys: ['path'] }));
const bulk = withRare(
  fc.record({ files: or(fc.array(request, { maxLength: 4 })), ...fields }, { requiredKeys: ['files'] }),
);

/** undefined if it is refused before it is judged. */
function plainOf(input: unknown): Record<string, unknown> | undefined {
  try {
    const budget = newBudget();
    const plain = plainRequest(input, [], budget);
    if (!isRecord(plain)) return undefined;
    if (Object.hasOwn(plain, 'files')) {
      plain['files'] = plainList(plain['files'], ['files'], (item, at) => plainRequest(item, at, budget), budget);
    }
    return plain;
  } catch {
    return undefined;
  }
}

test('a request is judged by hand as by the schema', () => {
  let byHand = 0;
  fc.assert(
    fc.property(fc.oneof({ weight: 9, arbitrary: request }, { weight: 1, arbitrary: junk }), (input) => {
      const plain = plainOf(input);
      if (plain === undefined) return;
      const common = commonRequest(plain);
      if (common === null) return;
      const judged = requestSchema.safeParse(plain);
      expect(judged.success).toBe(faultsBetween(common).length === 0);
      if (!judged.success) return;
      byHand += 1;
      expect(common).toStrictEqual(judged.data);
      expect(JSON.stringify(common)).toBe(JSON.stringify(judged.data));
    }),
    PARAMETERS,
  );
  expect(byHand).toBeGreaterThan(PARAMETERS.numRuns / 20);
});

test('a bulk is judged by hand as by the schema', () => {
  let byHand = 0;
  fc.assert(
    fc.property(bulk, (input) => {
      const plain = plainOf(input);
      if (plain === undefined || !Object.hasOwn(plain, 'files')) return;
      const common = commonBulk(plain);
      if (common === null) return;
      byHand += 1;
      const judged = bulkShape.parse(plain);
      expect(common).toStrictEqual(judged);
      expect(JSON.stringify(common)).toBe(JSON.stringify(judged));
    }),
    PARAMETERS,
  );
  expect(byHand).toBeGreaterThan(PARAMETERS.numRuns / 150);
});

test('what most jobs say is judged by hand', () => {
  const said = { path: 'a/b.dat', size: 4096, source: { kind: 'pattern', pattern: 'stamp', seed: 7 } };
  for (const input of [
    said,
    parseJob(said),
    { ...said, root: 'fast', mode: 'create', publish: 'in-place', durability: 'dsync' },
    { ...said, checksum: 'crc32c', verify: 'readback' },
    { path: 'a', source: { kind: 'inline', data: 'AAAA' } },
    { path: 'a', source: { kind: 'file', path: 'b' } },
  ]) {
    expect(commonRequest(plainOf(input))).toStrictEqual(requestSchema.parse(input));
  }
  expect(commonBulk(plainOf({ files: [said, { path: 'c' }], size: 1 })!)).not.toBeNull();
});
