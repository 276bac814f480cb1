import { expect, test } from '@jest/globals';
import { isAtLeast } from './version.ts';

test.each([
  ['6.14.0-rc1', [6, 14], true],
  ['6.9.3', [6, 14], false],
  ['7.0.15', [6, 2], true],
  ['5.15.0-generic', [6, 1], false],
  ['6.2', [6, 2], true],
  ['6', [6, 0], true],
  ['', [6, 2], false],
] as const)('%s against %j: %j', (version, wanted, expected) => {
  expect(isAtLeast(version, wanted)).toBe(expected);
});
