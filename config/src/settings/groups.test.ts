import { expect, test } from '@jest/globals';
import { parseGroup } from './groups.ts';

test('a group goes by its name in the list of the machine, or by its number, and nothing else is one', () => {
  expect([parseGroup('root'), parseGroup('0'), parseGroup('987654')]).toEqual([0, 0, 987_654]);
  for (const text of ['', 'no such group', '-1', '1.5', '4294967295'])
    expect(() => parseGroup(text)).toThrow(/is no group/);
});
