import { expect, test } from '@jest/globals';
import { formatDuration, parseDuration } from './durations.ts';

test.each([
  ['0', 0],
  ['250ms', 250],
  ['90s', 90_000],
  ['10min', 600_000],
  ['10m', 600_000],
  ['1.5h', 5_400_000],
  ['2 d', 172_800_000],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', 'h', '10', '-1s', '1e3s', '1 week', '1h30min', 'constructor'])('%p is no duration', (text) => {
  expect(parseDuration(text)).toBeNull();
});

test.each([0, 1, 999, 1000, 90_000, 3_600_000, 86_400_000])('%d ms read back as they were written', (ms) => {
  expect(parseDuration(formatDuration(ms))).toBe(ms);
});
