// Values quoted in messages: short, on one line, harmless to a terminal, and never a reason to throw.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { escapeControls, printValue, shorten } from './print.ts';

const SEED = 20_110_608;

test.each([
  ['a "b" \\', String.raw`"a \"b\" \\"`],
  ['\u001B[31mred\u0000', String.raw`"\u{1b}[31mred\u{0}"`],
  ['one\ntwo\r\t', String.raw`"one\ntwo\r\t"`],
  ['\u202Egnp.exe', String.raw`"\u{202e}gnp.exe"`],
  ['\uD800', String.raw`"\u{d800}"`],
  ['naïve 🎈', '"naïve 🎈"'],
  [-0, '-0'],
  [5n, '5n'],
  [10n ** 1000n, 'a huge bigint'],
  [null, 'null'],
  [undefined, 'undefined'],
  [Symbol('x'), 'a symbol'],
  [() => 0, 'a function'],
  [[1, 2], 'an array'],
  [{ a: 1 }, 'an object'],
])('prints %p', (value, text) => {
  expect(printValue(value)).toBe(text);
});

test('prints a revoked proxy, which throws at any question', () => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  expect(printValue(proxy)).toBe('an object');
});

test('cuts a huge string short, and says so', () => {
  const printed = printValue('x'.repeat(50_000_000));
  expect(printed).toBe(`"${'x'.repeat(77)}…"`);
});

test('cuts neither an escape nor a surrogate pair in half', () => {
  expect(printValue('\u001B'.repeat(100))).toMatch(/^"(?:\\u\{1b\})+…"$/);
  expect(printValue('🎈'.repeat(100))).toMatch(/^"🎈+…"$/u);
  expect(shorten('ab🎈', 4)).toBe('ab🎈');
  expect(shorten('ab🎈c', 4)).toBe('ab…');
});

test(`prints anything in at most 80 printable characters (seed ${SEED})`, () => {
  const anything = fc.oneof(
    fc.anything({ withBigInt: true, withSparseArray: true }),
    fc.string({ unit: 'binary', maxLength: 200 }),
  );
  fc.assert(
    fc.property(anything, (value) => {
      const printed = printValue(value);
      expect(printed.length).toBeLessThanOrEqual(80);
      expect(printed).toBe(escapeControls(printed));
    }),
    { seed: SEED, numRuns: 1000 },
  );
});
