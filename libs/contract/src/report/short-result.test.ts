// Results in their stored form: what is left out is filled in again, and what older hosts stored reads as before.
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { resultSchema } from './schemas.fixture.ts';
import { completeResult, shortLatency, type ShortWriteResult } from './short-result.ts';
import type { WriteResult } from './result.ts';

const PARAMETERS = { seed: 20_261_128, numRuns: 500 };

const small: WriteResult = {
  path: 'd/1234.dat',
  root: 'data',
  bytes: 4096,
  mode: 'aio-direct',
  engine: 'libaio',
  alignment: { memory: 512, offset: 512 },
  matrix: { rows: 1, rowBytes: 4096, ioBytes: 4096 },
  durationsMs: {
    waiting: 0.258,
    opening: 0.517,
    writing: 0.476,
    syncing: 0.334,
    verifying: 0,
    publishing: 0.513,
    paused: 0,
    total: 2.098,
  },
  bytesPerSecond: 2_226_087,
  writeLatencyUs: { count: 1, p50: 281, p90: 281, p99: 281, max: 281 },
  writes: 1,
  reads: 0,
  shortWrites: 0,
  retries: 0,
  submitCalls: 3,
  hugePages: true,
  thread: 1,
  host: 'vm',
};

const often = (usual: number): fc.Arbitrary<number> => fc.oneof(fc.constant(usual), fc.nat());
const times = fc.record({
  waiting: often(0),
  opening: often(0),
  writing: often(0),
  syncing: often(0),
  verifying: often(0),
  publishing: often(0),
  paused: often(0),
  total: fc.nat(),
});
const latency = fc.oneof(
  fc.record({ count: fc.integer({ min: 1 }), p50: often(7), p90: often(7), p99: often(7), max: often(7) }),
  fc.constant({ count: 0, p50: 0, p90: 0, p99: 0, max: 0 }),
);
const result: fc.Arbitrary<WriteResult> = fc
  .record({
    alignment: fc.record({ memory: often(512), offset: often(512) }),
    matrix: fc.record({ rows: fc.nat(), rowBytes: often(4096), ioBytes: often(4096) }),
    durationsMs: times,
    writeLatencyUs: latency,
    reads: often(0),
    shortWrites: often(0),
    retries: often(0),
    submitCalls: often(0),
  })
  .map((said): WriteResult => Object.assign({ ...small }, said));

/** As a host stores it: through JSON, without all that may be left out. */
function stored({ alignment, matrix, durationsMs, writeLatencyUs, ...rest }: WriteResult): ShortWriteResult {
  const { ioBytes, ...rows } = matrix;
  const { total, ...phases } = durationsMs;
  const counts = Object.entries(rest).filter(([field, value]) => value !== 0 || !LEFT_OUT.has(field));
  const short = {
    ...Object.fromEntries(counts),
    ...(alignment.memory === 512 && alignment.offset === 512 ? {} : { alignment }),
    matrix: ioBytes === rows.rowBytes ? rows : matrix,
    durationsMs: { ...Object.fromEntries(Object.entries(phases).filter(([, ms]) => ms !== 0)), total },
    ...(writeLatencyUs.count === 0 ? {} : { writeLatencyUs: shortLatency(writeLatencyUs) }),
  };
  return JSON.parse(JSON.stringify(short)) as ShortWriteResult;
}
const LEFT_OUT: ReadonlySet<string> = new Set(['reads', 'shortWrites', 'retries', 'submitCalls']);

test('a stored result reads as the whole one, by the schema too', () => {
  fc.assert(
    fc.property(result, (whole) => {
      expect(completeResult(stored(whole))).toEqual(whole);
      expect(resultSchema.parse(stored(whole))).toEqual(whole);
    }),
    PARAMETERS,
  );
});

test('the whole result that an older host stored reads as it is', () => {
  fc.assert(
    fc.property(result, (whole) => {
      expect(completeResult(whole)).toEqual(whole);
      expect(resultSchema.parse(whole)).toEqual(whole);
    }),
    PARAMETERS,
  );
});

test('what only some results have is stored as it is', () => {
  const copy: WriteResult = { ...small, copied: 'rows', holeBytes: 0, notKept: ['owner 1000 (EPERM)'], resumedFrom: 8 };
  expect(completeResult(stored(copy))).toEqual(copy);
  expect(completeResult({ ...stored(small), later: 1 } as ShortWriteResult)).toEqual({ ...small, later: 1 });
});

test('percentiles are left out only if they are the maximum', () => {
  expect(shortLatency({ count: 2, p50: 7, p90: 7, p99: 7, max: 7 })).toEqual({ count: 2, max: 7 });
  expect(shortLatency({ count: 2, p50: 6, p90: 7, p99: 7, max: 7 })).toEqual({
    count: 2,
    p50: 6,
    p90: 7,
    p99: 7,
    max: 7,
  });
});
