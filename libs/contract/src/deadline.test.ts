import { expect, test } from '@jest/globals';
import { inTime } from './deadline.ts';

const never = new Promise<string>(() => {});
const late = (): string => 'late';

test('what settles in time is the outcome, well or badly', async () => {
  await expect(inTime(60_000, Promise.resolve('value'), late)).resolves.toBe('value');
  await expect(inTime(60_000, Promise.reject(new Error('failed')), late)).rejects.toThrow('failed');
});

test('what does not settle is replaced, or fails with what the caller throws', async () => {
  await expect(inTime(1, never, late)).resolves.toBe('late');
  const refuse = (): never => {
    throw new Error('too late');
  };
  await expect(inTime(1, never, refuse)).rejects.toThrow('too late');
});
