import { expect, test } from '@jest/globals';
import {
  formatClock,
  formatExactBytes,
  formatMicroseconds,
  formatRate,
  formatSeconds,
  shortenMiddle,
} from './figures.ts';

const MIB = 1_048_576;

test('a speed is told in MiB/s whatever its size, with three digits that matter', () => {
  expect(formatRate(0)).toBe('0 MiB/s');
  expect(formatRate(0.35 * MIB)).toBe('0.35 MiB/s');
  expect(formatRate(14.23 * MIB)).toBe('14.2 MiB/s');
  expect(formatRate(1902.4 * MIB)).toBe('1902 MiB/s');
  expect(formatRate(Number.POSITIVE_INFINITY)).toBe('-');
});

test('time left is told to the second, rounded up, with hours only where there are some', () => {
  expect(formatClock(0)).toBe('0:00');
  expect(formatClock(6001)).toBe('0:07');
  expect(formatClock(750_000)).toBe('12:30');
  expect(formatClock(3_723_000)).toBe('1:02:03');
  expect(formatClock(-5)).toBe('0:00');
});

test('durations and latencies change their unit where the digits would run out', () => {
  expect(formatSeconds(420)).toBe('0.42 s');
  expect(formatSeconds(37_200)).toBe('37 s');
  expect(formatSeconds(185_000)).toBe('3:05');
  expect(formatMicroseconds(85)).toBe('85 us');
  expect(formatMicroseconds(1420)).toBe('1.42 ms');
  expect(formatMicroseconds(999.6)).toBe('1.00 ms');
  expect(formatMicroseconds(1_200_000)).toBe('1.20 s');
});

test('bytes are exact, and short too where exact is long', () => {
  expect(formatExactBytes(12)).toBe('12 bytes');
  expect(formatExactBytes(1_073_741_824)).toBe('1.00 GiB (1073741824 bytes)');
});

test('a path is cut in its middle, never through a character', () => {
  expect(shortenMiddle('short', 10)).toBe('short');
  expect(shortenMiddle('captures/run-42.dat', 11)).toBe('captu…2.dat');
  expect(shortenMiddle('😀😀😀😀😀', 3)).toBe('😀…😀');
  expect(shortenMiddle('abc', 1)).toBe('…');
  expect(shortenMiddle('abc', 0)).toBe('');
});
