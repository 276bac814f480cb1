import { closeSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { cutDeadEnd, recordSeenEnd } from './seen-end.ts';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

const KIB = 1024;

let bench: Bench;
let path: string;
let fd: number;
beforeEach(() => {
  bench = openBench();
  path = join(bench.directory, 'growing');
  fd = openSync(path, 'w+');
});
afterEach(async () => {
  closeSync(fd);
  await bench.end();
});

/** A file as a dead writer leaves it: `old` bytes, space up to `size`, and rows of 64 KiB that were written, or not. */
function leave(old: number, size: number, rows: readonly boolean[]): void {
  if (old > 0) writeSync(fd, Buffer.alloc(old, 'o'), 0, old, 0);
  native.fallocateKeepSize(fd, 0, size);
  ftruncateSync(fd, size);
  for (const [index, written] of rows.entries()) {
    if (written) writeSync(fd, Buffer.alloc(64 * KIB, 'n'), 0, 64 * KIB, index * 64 * KIB);
  }
}

const cut = (): number => cutDeadEnd(fd, path, fstatSync(fd).size);

test.each([
  ['nothing of it was written', 64 * KIB, [], 64 * KIB],
  ['all of it was', 0, [true, true, true, true], 256 * KIB],
  ['the first rows were', 0, [true, true], 128 * KIB],
  ['a row amid others was not', 0, [true, false, true, true], 64 * KIB],
  ['nothing was, behind an end inside a block', 17, [], 17],
])('the end that a dead writer left is cut where its bytes end: %s', (_what, old, rows, end) => {
  leave(old, 256 * KIB, rows);
  expect(recordSeenEnd(fd, { sure: old, size: 256 * KIB, step: 64 * KIB, last: null })).toBe(true);
  readFileSync(path); // zeros that somebody has read are in the page cache
  expect(cut()).toBe(end);
  expect(fstatSync(fd).size).toBe(end);
  expect(readFileSync(path).includes(0)).toBe(false);
  expect(cut()).toBe(end); // and nothing is remembered of it
});

test('the padding of the last row is cut off with it', () => {
  leave(0, 128 * KIB, [true, true]);
  recordSeenEnd(fd, { sure: 64 * KIB, size: 128 * KIB, step: 64 * KIB, last: 100_000 });
  expect(cut()).toBe(100_000);
});

test('what another program has written behind it since stays, and so does a file that was never recorded', () => {
  leave(0, 256 * KIB, [true]);
  expect(cut()).toBe(256 * KIB);
  recordSeenEnd(fd, { sure: 0, size: 512 * KIB, step: 64 * KIB, last: null });
  writeSync(fd, 'theirs', 256 * KIB);
  expect(cut()).toBe(256 * KIB + 6);
  expect(readFileSync(path).subarray(-6).toString()).toBe('theirs');
});
