import { expect, test } from '@jest/globals';
import type { WriteResult } from '@penstock/contract';
import { describeResult } from './result-text.ts';

const MIB = 1_048_576;
const result: WriteResult = {
  path: 'a',
  root: 'data',
  bytes: 1024 * MIB,
  mode: 'aio-direct',
  engine: 'libaio',
  alignment: { memory: 512, offset: 512 },
  matrix: { rows: 32, rowBytes: MIB, ioBytes: MIB },
  durationsMs: {
    waiting: 100,
    opening: 1,
    writing: 490,
    syncing: 8,
    verifying: 0,
    publishing: 1,
    paused: 0,
    total: 600,
  },
  bytesPerSecond: 2048 * MIB,
  writeLatencyUs: { count: 1024, p50: 85, p90: 100, p99: 1420, max: 2000 },
  writes: 1024,
  reads: 0,
  shortWrites: 0,
  retries: 0,
  submitCalls: 64,
  hugePages: true,
  thread: 0,
};
const none = { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };

test('a write tells its size, time without the wait, speed, way and latencies in one line', () => {
  expect(describeResult(result, 'a')).toEqual([
    'a: 1.00 GiB in 0.50 s, 2048 MiB/s, aio-direct (libaio), writes p50 85 us, p99 1.42 ms',
  ]);
});

test('a reflink says so, and tells no speed, mode or fallback of writes that never were', () => {
  const reflink: WriteResult = { ...result, copied: 'reflink', fallbackReason: 'btrfs', writeLatencyUs: none };
  expect(describeResult(reflink, 'a')).toEqual([
    'a: 1.00 GiB in 0.50 s, a reflink: it shares the blocks of its source',
  ]);
});

test('a copy that became no reflink says why, and how much of it is holes', () => {
  const copy: WriteResult = {
    ...result,
    copied: 'rows',
    noReflinkReason: 'this file system has no reflinks (EOPNOTSUPP)',
    holeBytes: 512 * MIB,
    writeLatencyUs: none,
  };
  expect(describeResult(copy, 'a')).toEqual([
    'a: 1.00 GiB in 0.50 s, 2048 MiB/s, aio-direct (libaio), 512.00 MiB of it holes',
    'no reflink: this file system has no reflinks (EOPNOTSUPP)',
  ]);
});

test('a checksum and a readback have lines of their own', () => {
  const checked: WriteResult = {
    ...result,
    checksum: { algorithm: 'crc32c', value: 'e3069283' },
    verified: 'readback',
    durationsMs: { ...result.durationsMs, verifying: 250 },
    noDirectReadbackReason: 'this file system does not offer O_DIRECT: …',
  };
  expect(describeResult(checked, 'a').slice(1)).toEqual([
    'crc32c e3069283',
    'read back in 0.25 s: what is on the disk is what was written',
    'no direct readback: this file system does not offer O_DIRECT: …',
  ]);
});

test('what a file that was replaced did not hand on is said', () => {
  const changed: WriteResult = { ...result, notKept: ['owner 1000 (EPERM)', 'user.origin (ENOSPC)'] };
  expect(describeResult(changed, 'a').slice(1)).toEqual([
    'not kept of the file that stood there: owner 1000 (EPERM), user.origin (ENOSPC)',
  ]);
});
