// Sizes: every spelling that is accepted, and that everything else is refused by name.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { formatBytes, parseSize, SIZE_BYTES_MAX } from './size.ts';

const SEED = 20_110_608;

test.each([
  [0, 0],
  [-0, 0],
  [1_048_576, 1_048_576],
  [SIZE_BYTES_MAX, SIZE_BYTES_MAX],
  ['0', 0],
  ['007', 7],
  ['4096', 4096],
  ['4096B', 4096],
  ['4096 B', 4096],
  ['1kB', 1000],
  ['1KB', 1000],
  ['1MB', 1e6],
  ['1GB', 1e9],
  ['1TB', 1e12],
  ['1PB', 1e15],
  ['1KiB', 2 ** 10],
  ['1MiB', 2 ** 20],
  ['1 GiB', 2 ** 30],
  ['1TiB', 2 ** 40],
  ['7PiB', 7 * 2 ** 50],
  ['1.5GiB', 1.5 * 2 ** 30],
  ['1.5KiB', 1536],
  ['1.001MB', 1_001_000],
  ['4.35MB', 4_350_000],
  ['0.1kB', 100],
  ['1.0', 1],
  ['9007199254740991', SIZE_BYTES_MAX],
  ['9007199254.740991MB', SIZE_BYTES_MAX],
])('reads %j as %d bytes', (text, bytes) => {
  expect(Object.is(parseSize(text), bytes)).toBe(true);
});

test.each([
  -1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 53,
  '',
  ' ',
  'MiB',
  '.5MiB',
  '5.',
  '5.MiB',
  '-1',
  '-1MiB',
  '+1',
  '0x10',
  '1e6',
  '1_000',
  '1,000',
  '1,5MB',
  ' 1MB',
  '1MB ',
  '1MB\n',
  '1  MB',
  '1MiBx',
  '1MiB 1KiB',
  '1mib',
  '1mb',
  '1gb',
  '1b',
  '1Kb',
  '1M',
  '1K',
  '1EB',
  '1kiB',
  '1bit',
  '1 byte',
  '0.5B',
  '1.1KiB',
  '1.0001kB',
  '8PiB',
  '9007199254740992',
  '9007199254740991KiB',
  '99999999999999999999',
  '٣MB',
  '１MB',
])('refuses %j', (value) => {
  expect(() => parseSize(value)).toThrow(/^size .+ is not accepted; give whole bytes from 0 to 9007199254740991/);
});

test('refuses a million digits at once, quoting a few', () => {
  expect(() => parseSize('1'.repeat(1_000_000))).toThrow(/^size "1{77}…" is not accepted/);
});

test.each([null, undefined, true, 5n, {}, [], ['5'], new Date(0), { toString: () => '5' }])(
  'refuses %p where a caller has no types',
  (value) => {
    expect(() => Reflect.apply(parseSize, undefined, [value])).toThrow(/^size .+ is not accepted/);
  },
);

test(`reads whole units back exactly, whatever the unit (seed ${SEED})`, () => {
  const units = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };
  fc.assert(
    fc.property(fc.constantFrom(...Object.entries(units)), fc.nat(8191), ([unit, factor], count) => {
      expect(parseSize(`${count}${unit}`)).toBe(count * factor);
      expect(parseSize(`${count} ${unit}`)).toBe(count * factor);
    }),
    { seed: SEED },
  );
});

test(`reads a decimal fraction of a decimal unit without rounding (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.nat(999_999), fc.nat(999_999), (whole, fraction) => {
      const text = `${whole}.${String(fraction).padStart(6, '0')}MB`;
      expect(parseSize(text)).toBe(whole * 1_000_000 + fraction);
    }),
    { seed: SEED },
  );
});

test(`returns a safe integer or throws a RangeError, for any text (seed ${SEED})`, () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.stringMatching(/^[-+ ]?\d{0,20}\.?\d{0,20} ?[kKMGTPEmb]?i?[Bb]?$/),
    fc.double().map(String),
  );
  fc.assert(
    fc.property(text, (candidate) => {
      try {
        const bytes = parseSize(candidate);
        expect(Number.isSafeInteger(bytes) && bytes >= 0).toBe(true);
      } catch (error) {
        expect(String(error)).toMatch(/^RangeError: size /);
      }
    }),
    { seed: SEED, numRuns: 1000 },
  );
});

test.each([
  [0, '0 B'],
  [1, '1 B'],
  [0.4, '0 B'],
  [-0.4, '0 B'],
  [1023, '1023 B'],
  [1023.7, '1.00 KiB'],
  [1024, '1.00 KiB'],
  [1536, '1.50 KiB'],
  [2 ** 20 - 1, '1.00 MiB'],
  [2 ** 30, '1.00 GiB'],
  [-1536, '-1.50 KiB'],
  [SIZE_BYTES_MAX, '8.00 PiB'],
  [Number.NaN, 'NaN B'],
  [Number.POSITIVE_INFINITY, 'Infinity B'],
])('prints %d as %j', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test(`prints a number below 1024 whatever the size (seed ${SEED})`, () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 2 ** 60, noNaN: true }), (bytes) => {
      expect(Number.parseFloat(formatBytes(bytes))).toBeLessThan(1024);
    }),
    { seed: SEED, numRuns: 1000 },
  );
});
