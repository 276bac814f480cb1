import { constants } from 'node:fs';
import { expect, test } from '@jest/globals';
import { readFlags } from './flags.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR, O_SYNC, O_TRUNC, O_WRONLY } = constants;

test.each([
  ['w', 'replace', false],
  ['w+', 'replace', false],
  ['wx', 'create', false],
  ['xw+', 'create', false],
  ['a', 'append', false],
  ['a+', 'append', false],
  ['as', 'append', true],
  ['sa+', 'append', true],
  ['ax', 'create', false],
  ['r+', 'overwrite', false],
  ['rs+', 'overwrite', true],
  [O_WRONLY | O_CREAT | O_TRUNC, 'replace', false],
  [O_WRONLY | O_CREAT | O_TRUNC | O_EXCL, 'create', false],
  [O_RDWR | O_CREAT | O_APPEND | O_SYNC, 'append', true],
  [O_RDWR, 'overwrite', false],
])('flags %s write as mode %s', (flags, mode, synchronous) => {
  expect(readFlags(flags)).toMatchObject({ mode, synchronous });
});

test.each([
  ['a', true],
  ['as', true],
  ['xa', true],
  ['w', false],
  ['wx', false],
  ['r+', false],
  [O_WRONLY | O_CREAT | O_APPEND | O_EXCL, true],
  [O_WRONLY | O_CREAT | O_EXCL, false],
])('flags %s add to a file that others may follow: %s', (flags, appends) => {
  expect(readFlags(flags).appends).toBe(appends);
});

test.each([
  ['r+', false, true],
  ['w', false, false],
  [O_WRONLY, false, true],
  [O_WRONLY | O_TRUNC, false, true],
  [O_WRONLY | O_APPEND, false, true],
  [O_WRONLY | O_CREAT, true, false],
  [O_WRONLY | O_CREAT | O_APPEND, false, false],
])('flags %s make a file beside overwriting one: %s; need one that is there: %s', (flags, makes, mustExist) => {
  expect(readFlags(flags)).toMatchObject({ makes, mustExist });
});

test.each(['r', 'rs', '', 'q', 'r+x', 'ws', null, O_RDONLY, O_WRONLY | O_RDWR])(
  'flags %j, with which fs does not write, are refused as fs refuses what is no flag',
  (flags) => {
    expect(() => readFlags(flags)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
  },
);

test('a flag that nothing would be done about is refused by its name', () => {
  expect(() => readFlags(O_WRONLY | O_CREAT | O_NOFOLLOW)).toThrow(/O_NOFOLLOW/);
  expect(() => readFlags(2 ** 31)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
  expect(() => readFlags({})).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_VALUE' }));
});
