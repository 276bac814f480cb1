// Paths inside a root, by their form: which are taken, and that the JSON Schema's pattern agrees where a pattern can.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { PATH_PATTERN, pathFault } from './paths.ts';

const SEED = 20_110_608;
const pattern = new RegExp(PATH_PATTERN);
const long = (bytes: number): string => `${'a/'.repeat(Math.floor((bytes - 1) / 2))}${bytes % 2 === 1 ? 'b' : 'bb'}`;

test.each([
  'a',
  'a/b/c.dat',
  '...',
  '..a/a..',
  '.hidden',
  ' ',
  'a b',
  '-rf',
  String.raw`back\slash`,
  'new\nline',
  'é'.repeat(127),
  '🎈'.repeat(63),
  'x'.repeat(255),
  long(4095),
])('takes %j', (path) => {
  expect(pathFault(path)).toBeNull();
  expect(pattern.test(path)).toBe(true);
});

test.each([
  ['', /empty/],
  ['/', /absolute/],
  ['/etc/passwd', /absolute/],
  ['..', /component "\.\."/],
  ['../a', /component "\.\."/],
  ['a/../b', /component "\.\."/],
  ['a/..', /component "\.\."/],
  ['.', /component "\."/],
  ['./a', /component "\."/],
  ['a/./b', /component "\."/],
  ['a//b', /empty component/],
  ['a/', /empty component/],
  ['a\0b', /NUL/],
])('refuses %j', (path, fault) => {
  expect(pathFault(path)).toMatch(fault);
  expect(pattern.test(path)).toBe(false);
});

test('counts bytes, not characters', () => {
  expect(pathFault('é'.repeat(128))).toMatch(/component longer than 255 bytes/);
  expect(pathFault('🎈'.repeat(64))).toMatch(/component longer than 255 bytes/);
  expect(pathFault('x'.repeat(256))).toMatch(/component longer than 255 bytes/);
  expect(pathFault(long(4096))).toMatch(/longer than 4095 bytes/);
  expect(pathFault('é/'.repeat(1400) + 'e')).toMatch(/longer than 4095 bytes/);
});

test('refuses half a surrogate pair, which would become another name on disk', () => {
  expect(pathFault('a\uD83D')).toMatch(/surrogate/);
  expect(pathFault('\uDE00a')).toMatch(/surrogate/);
});

test('judges a path of 100 million characters at once', () => {
  expect(pathFault('a/'.repeat(50_000_000))).toMatch(/longer than 4095 bytes/);
});

test(`what it takes stays inside any root when normalised, and the pattern takes it too (seed ${SEED})`, () => {
  const component = fc.oneof(
    fc.constantFrom('', '.', '..', 'a', '...', '/', '\0'),
    fc.string({ unit: 'binary', maxLength: 5 }),
  );
  const path = fc.array(component, { minLength: 1, maxLength: 6 }).map((components) => components.join('/'));
  fc.assert(
    fc.property(path, (candidate) => {
      if (pathFault(candidate) === null) {
        expect(new URL(encodeURIComponent(candidate).replaceAll('%2F', '/'), 'file:///root/').pathname).toMatch(
          /^\/root\/./,
        );
        expect(pattern.test(candidate)).toBe(true);
        expect(Buffer.from(candidate).toString()).toBe(candidate);
      }
    }),
    { seed: SEED, numRuns: 2000 },
  );
});
