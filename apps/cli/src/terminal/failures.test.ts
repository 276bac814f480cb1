import { expect, test } from '@jest/globals';
import { CommanderError, InvalidArgumentError } from 'commander';
import { IoError, RequestError } from '@penstock/contract';
import { AlreadyReported, Interrupted, UsageError, describeFailure, exitCodeOf, wantsStacks } from './failures.ts';

test('a failed write ends with 1, a bad request or command line with 2, a signal with 128 and its number', () => {
  expect(exitCodeOf(new IoError({ syscall: 'pwrite', errno: -28 }))).toBe(1);
  expect(exitCodeOf(new Error('anything'))).toBe(1);
  expect(exitCodeOf(new RequestError({ field: 'size', value: -1, accepted: 'more' }))).toBe(2);
  expect(exitCodeOf(new UsageError('no'))).toBe(2);
  expect(exitCodeOf(new InvalidArgumentError('no'))).toBe(2);
  expect(exitCodeOf(new CommanderError(1, 'commander.unknownCommand', 'no'))).toBe(2);
  expect(exitCodeOf(new CommanderError(0, 'commander.helpDisplayed', 'help'))).toBe(0);
  expect(exitCodeOf(new Interrupted('SIGINT'))).toBe(130);
  expect(exitCodeOf(new Interrupted('SIGTERM'))).toBe(143);
  expect(exitCodeOf(new AlreadyReported(3))).toBe(3);
});

test('a hint is told once: not again where the message carries it', async () => {
  const error = new IoError({ syscall: 'pwrite', errno: -28, path: '/a' });
  expect(await describeFailure(error)).toEqual([error.message]);
  expect(await describeFailure(Object.assign(new Error('no'), { hint: 'do this' }))).toEqual(['no', 'hint: do this']);
});

test('stacks are shown only where somebody debugs', () => {
  expect(wantsStacks({})).toBe(false);
  expect(wantsStacks({ DEBUG: 'express,other' })).toBe(false);
  expect(wantsStacks({ DEBUG: 'express,penstock' })).toBe(true);
  expect(wantsStacks({ DEBUG: '*' })).toBe(true);
  expect(wantsStacks({ PENSTOCK_DEBUG: '1' })).toBe(true);
});
