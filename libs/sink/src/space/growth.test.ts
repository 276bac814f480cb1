import { closeSync, fstatSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { statFd } from '@penstock/disk';
import { Growth } from './growth.ts';
import type { Target } from '../target/target.ts';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

const MIB = 1_048_576;

let bench: Bench;
let fd: number;
let growth: Growth;
beforeEach(() => {
  bench = openBench();
  const path = join(bench.directory, 'growing');
  fd = openSync(path, 'w+');
  growth = new Growth(
    { fd, path, existingBytes: 0, alignment: { memory: 512, offset: 4096 }, standing: statFd(fd, path) } as Target,
    bench.thread,
    0,
  );
});
afterEach(async () => {
  closeSync(fd);
  await bench.end();
});

const standing = (): number => fstatSync(fd).size;
const allocated = (): number => fstatSync(fd).blocks * 512;

test('space comes before the bytes, in steps that double, and only when they get there', () => {
  const sizes: number[] = [];
  for (let end = MIB; end <= 120 * MIB; end += MIB) {
    growth.reach(end, Number.POSITIVE_INFINITY);
    expect(standing()).toBeGreaterThanOrEqual(end);
    if (standing() !== sizes.at(-1)) sizes.push(standing());
  }
  expect(sizes).toEqual([16 * MIB, 48 * MIB, 112 * MIB, 240 * MIB]);
  expect(allocated()).toBeGreaterThanOrEqual(240 * MIB);
});

test('once the size is known there is room for that, in whole pieces of what the disk takes, and for no more', () => {
  growth.reach(4096, 10_000);
  expect(standing()).toBe(12_288);
  growth.reach(12_288, 10_000);
  expect(standing()).toBe(12_288);
});

test('what does not fit is told with its place; what would be only room ahead of it fails nothing', () => {
  const beyond = 2 ** 62; // no file system holds that
  growth.reach(MIB, Number.POSITIVE_INFINITY);
  expect(() => growth.reach(beyond, Number.POSITIVE_INFINITY)).toThrow(
    expect.objectContaining({ syscall: 'fallocate', code: 'EFBIG', offset: 16 * MIB }),
  );
  growth.reach(17 * MIB, Number.POSITIVE_INFINITY);
  expect(standing()).toBe(48 * MIB);
});
