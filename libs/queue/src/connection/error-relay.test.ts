import { expect, test } from '@jest/globals';
import { ErrorRelay } from './error-relay.ts';

test('tells each message once, others in between notwithstanding', () => {
  const told: string[] = [];
  const relay = new ErrorRelay((error) => told.push(error.message));
  for (const message of ['a', 'b', 'a', 'b', 'c']) relay.report(new Error(message));
  expect(told).toEqual(['a', 'b', 'c']);
});

test('tells what is no error as one, and bears a teller that throws', () => {
  const told: Error[] = [];
  const relay = new ErrorRelay((error) => {
    told.push(error);
    throw new Error('cannot bear it');
  });
  relay.report('words');
  expect(told).toEqual([new Error('words')]);
});
