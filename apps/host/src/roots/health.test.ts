import { constants } from 'node:os';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { IoError, type JobRequestInput, RootError } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { type RootMounts } from '@penstock/disk';
import { RootHealth } from './health.ts';
import type { Condition } from './inspect.ts';

const ROOTS = [
  { name: 'one', path: '/srv/one', writable: true },
  { name: 'two', path: '/srv/two', writable: true },
];
const WELL: Condition = { fault: null, isOpen: true };
const READ_ONLY: Condition = { fault: { code: 'EROFS', reason: 'read-only file system' }, isOpen: false };

let condition: Condition;
let notes: string[];
let changes: string[][];
let health: RootHealth;
const mounts = {
  hasGone: false,
  refresh: () => {},
  recheck: () => Promise.resolve(),
  goneFrom: () => null,
  isDivided: () => false,
} as unknown as RootMounts;
beforeEach(async () => {
  jest.useFakeTimers();
  condition = WELL;
  notes = [];
  changes = [];
  const onNote = (text: string): void => void notes.push(text);
  const onChange = (sick: string[]): void => void changes.push(sick);
  health = new RootHealth({
    roots: ROOTS,
    host: 'here',
    mounts,
    onNote,
    onChange,
    inspect: () => Promise.resolve(condition),
  });
  await jest.advanceTimersByTimeAsync(0);
});
afterEach(() => {
  health.close();
  jest.useRealTimers();
});

const write = (more: JobRequestInput | object = {}) => parseJob({ path: 'd/a', root: 'one', size: 1, ...more });
const failed = (code: keyof typeof constants.errno, path = '/srv/one/d/a') => ({
  error: new IoError({ syscall: 'openat', errno: -constants.errno[code], path }),
});

test('a write that fails by what ails its root is put back with the reason, and those behind it before they begin', async () => {
  expect(health.refusalOf(write())).toBeNull();
  condition = READ_ONLY;
  const found = await health.judge(write(), failed('EROFS'));
  expect(found).toBeInstanceOf(RootError);
  expect(found).toMatchObject({ message: 'root one of host here: read-only file system', retryable: true });
  expect(health.refusalOf(write())).toMatchObject({ root: 'one' });
  expect(health.refusalOf(write({ root: 'two' }))).toBeNull();
  const copy = { root: 'two', source: { kind: 'file', root: 'one', path: 'x' }, size: undefined };
  expect(health.refusalOf(write(copy))).toMatchObject({ root: 'one' });
  await health.judge(write(), failed('EROFS'));
  expect(notes).toEqual([expect.stringMatching(/^root one cannot be used: read-only file system \(\/srv\/one\)/)]);
  expect(changes).toEqual([['one']]);
  condition = WELL;
  await jest.advanceTimersByTimeAsync(2500);
  expect(health.refusalOf(write())).toBeNull();
  expect(notes[1]).toBe('root one can be used again');
  expect(changes).toEqual([['one'], []]);
});

test('what is wrong with the path of a job alone is its own fault', async () => {
  for (const code of ['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR'] as const)
    expect(await health.judge(write(), failed(code))).toBeNull();
  condition = READ_ONLY;
  expect(await health.judge(write(), failed('EISDIR'))).toBeNull();
  expect(await health.judge(write(), failed('EROFS', '/srv/onerous'))).toBeNull();
  expect(notes).toEqual([]);
});

test('a root that was never open to new files is not sick for it, and one that was is', async () => {
  const closed = { fault: null, isOpen: false };
  condition = closed;
  expect(await health.judge(write(), failed('EACCES'))).toMatchObject({ message: expect.stringContaining('denied') });
  const other = new RootHealth({ roots: ROOTS, host: 'here', mounts, inspect: () => Promise.resolve(closed) });
  await jest.advanceTimersByTimeAsync(0);
  expect(await other.judge(write(), failed('EACCES'))).toBeNull();
  other.close();
});

test('after three input/output errors in a row jobs are put back, and one is let through from time to time', async () => {
  const inOut = failed('EIO');
  expect(await health.judge(write(), inOut)).toBeNull();
  health.succeeded(write());
  expect(await health.judge(write(), inOut)).toBeNull();
  expect(await health.judge(write(), inOut)).toBeNull();
  expect(await health.judge(write(), inOut)).toMatchObject({
    message: expect.stringMatching(/^root one of host here: EIO: input\/output error.*; 3 writes failed in a row$/),
  });
  expect(health.refusalOf(write())).toBeInstanceOf(RootError);
  jest.advanceTimersByTime(2500);
  expect(health.refusalOf(write())).toBeNull();
  expect(health.refusalOf(write())).toBeInstanceOf(RootError);
  expect(await health.judge(write(), inOut)).toBeInstanceOf(RootError);
  jest.advanceTimersByTime(2500);
  expect(health.refusalOf(write())).toBeNull();
  health.succeeded(write());
  expect(health.refusalOf(write())).toBeNull();
  expect(notes).toHaveLength(2);
});

test('a bulk of which files failed by a sick root is put back as a whole', async () => {
  const bulk = parseJob({
    files: [
      { path: 'a', root: 'two' },
      { path: 'b', root: 'one' },
    ],
    size: 1,
  });
  const { error } = failed('EROFS', '/srv/one/b');
  const result = {
    items: [
      { path: 'a', bytes: 1 },
      { path: 'b', error: error.toJSON() },
    ],
    failed: 1,
  };
  condition = READ_ONLY;
  expect(await health.judge(bulk, { result } as unknown as Parameters<RootHealth['judge']>[1])).toMatchObject({
    root: 'one',
  });
});

test('a write that was begun in a directory that has been moved is begun again', async () => {
  expect(await health.judge(write(), failed('ESTALE', '/srv/one'))).toBe('again');
});
