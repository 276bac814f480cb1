import { expect, jest, test } from '@jest/globals';
import {
  PLAIN_EVERY_MS,
  PLAIN_STATE_AFTER_MS,
  type Shown,
  bar,
  figuresOf,
  plainProgress,
  terminalLine,
} from './progress-line.ts';

const MIB = 1_048_576;
const half: Shown = {
  progress: 58,
  bytesWritten: 594 * MIB,
  totalBytes: 1024 * MIB,
  bytesPerSecond: 1902 * MIB,
  etaMs: 900,
  phase: 'writing',
};

test('a bar is drawn to an eighth of a character and always has its width', () => {
  expect(bar(0, 4)).toBe('░░░░');
  expect(bar(1, 4)).toBe('████');
  expect(bar(0.5, 4)).toBe('██░░');
  expect(bar(0.54, 4)).toBe('██▏░');
  expect(bar(7, 4)).toBe('████');
  for (let index = 0; index <= 100; index += 1) expect(bar(index / 100, 10)).toHaveLength(10);
});

test('the figures name percent, bytes, MiB/s and the time left', () => {
  expect(figuresOf(half)).toBe(' 58%  594.00 MiB of 1.00 GiB  1902 MiB/s  0:01 left');
});

test('outside of writing the phase stands where the time left would', () => {
  expect(figuresOf({ ...half, phase: 'syncing' })).toMatch(/syncing$/);
  expect(figuresOf({ ...half, phase: 'waiting' })).toMatch(/waiting for its thread$/);
  expect(figuresOf({ ...half, etaMs: null })).toMatch(/-:-- left$/);
});

test('a line never exceeds the terminal: the title gives way, then the bar', () => {
  const title = 'captures/2026/november/a-rather-long-directory-name/run-42.dat';
  for (let columns = 20; columns <= 200; columns += 1) {
    expect(Array.from(terminalLine(title, half, columns, false).text).length).toBeLessThanOrEqual(columns);
  }
  expect(terminalLine(title, half, 120, false).text).toContain('█');
  expect(terminalLine(title, half, 60, false).text).not.toContain('█');
  expect(terminalLine('a.bin', half, 120, false).text).toMatch(/^a\.bin {2}█/);
});

test('a title, and what a host says it waits for, cannot carry control characters to the terminal', () => {
  const waiting = { ...half, phase: 'waiting', note: 'x\u001B]0;y\u0007\u009B2J\n' };
  expect(terminalLine('a', waiting, 120, false).text).toMatch(/x\\u\{1b\}\]0;y\\u\{7\}\\u\{9b\}2J\\n$/);
  expect(terminalLine('a\u001B[2Jb', half, 120, false).text).not.toContain('\u001B');
});

test('without a terminal a line comes every few seconds, and a state when it lasts', () => {
  jest.useFakeTimers();
  const lines: string[] = [];
  let nowMs = 0;
  const line = plainProgress(
    ({ text }) => lines.push(text),
    () => nowMs,
  );
  line.state('a.bin', 'passed through');
  line.update('a.bin', half);
  line.state('a.bin', 'waiting in the queue');
  line.state('a.bin', 'waiting in the queue');
  jest.advanceTimersByTime(PLAIN_STATE_AFTER_MS * 2);
  line.update('a.bin', half);
  nowMs = PLAIN_EVERY_MS;
  line.update('a.bin', half);
  line.update('a.bin', half);
  line.note('attempt 1 failed');
  line.state('a.bin', 'over at once');
  line.clear();
  jest.runAllTimers();
  jest.useRealTimers();
  expect(lines).toEqual([
    'a.bin  waiting in the queue',
    'a.bin  58%  594.00 MiB of 1.00 GiB  1902 MiB/s  0:01 left',
    'attempt 1 failed',
  ]);
});
