import { expect, jest, test } from '@jest/globals';
import { watchReading } from './silent-reading.ts';

test('a reading of which nothing comes back is named once, and again after it has gone on; an interrupt is answered', () => {
  jest.useFakeTimers();
  const said: string[] = [];
  const interrupt = new AbortController();
  const reading = watchReading(['/mnt/a'], (text) => said.push(text), interrupt.signal);
  try {
    jest.advanceTimersByTime(3000);
    expect(said).toEqual([]);
    jest.advanceTimersByTime(60_000);
    expect(said).toEqual([expect.stringContaining('/mnt/a does not answer: nothing has come back for 4 s')]);
    interrupt.abort();
    expect(said.at(-1)).toBe('this command ends as soon as the file system of /mnt/a answers');
    reading.note();
    jest.advanceTimersByTime(10_000);
    expect(said).toHaveLength(3);
  } finally {
    reading.end();
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  }
});
