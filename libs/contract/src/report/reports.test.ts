// Progress and results: the schemas take what the writer reports, through JSON, and refuse what is not a report.
import { expect, test } from '@jest/globals';
import { toWire } from '../errors/to-wire.ts';
import type { WriteProgress } from './progress.ts';
import type { WriteResult } from './result.ts';
import { progressJsonSchema, progressSchema, resultJsonSchema, resultSchema } from './schemas.fixture.ts';

const progress: WriteProgress = {
  progress: 42.5,
  bytesWritten: 425,
  bytesDurable: 0,
  totalBytes: 1000,
  bytesPerSecond: 1e9,
  etaMs: null,
  inFlight: 32,
  phase: 'writing',
  host: 'disk-1',
  error: toWire(new Error('before')),
};

const result: WriteResult = {
  path: 'a',
  root: 'data',
  bytes: 0,
  mode: 'aio-direct',
  engine: 'libaio',
  alignment: { memory: 512, offset: 512 },
  matrix: { rows: 32, rowBytes: 1_048_576, ioBytes: 1_048_576 },
  durationsMs: {
    waiting: 1,
    opening: 0.5,
    writing: 10,
    syncing: 2,
    verifying: 0,
    publishing: 0.1,
    paused: 0,
    total: 13.6,
  },
  bytesPerSecond: 0,
  writeLatencyUs: { count: 0, p50: 0, p90: 0, p99: 0, max: 0 },
  writes: 0,
  reads: 0,
  shortWrites: 0,
  retries: 0,
  submitCalls: 0,
  hugePages: true,
  thread: 0,
};

test('progress and result pass their schemas through JSON unchanged', () => {
  expect(progressSchema.parse(JSON.parse(JSON.stringify(progress)))).toEqual(progress);
  expect(resultSchema.parse(JSON.parse(JSON.stringify(result)))).toEqual(result);
  const copy: WriteResult = { ...result, copied: 'rows', noReflinkReason: 'EXDEV', holeBytes: 4096 };
  expect(resultSchema.parse(JSON.parse(JSON.stringify(copy)))).toEqual(copy);
});

test.each([
  { ...progress, progress: 101 },
  { ...progress, phase: 'dreaming' },
  { ...progress, bytesWritten: -1 },
  { ...progress, etaMs: undefined },
  { ...progress, error: { message: 'no code' } },
])('%# what is not progress is refused', (candidate) => {
  expect(progressSchema.safeParse(candidate).success).toBe(false);
});

test('a result of another engine or without its durations is refused', () => {
  expect(resultSchema.safeParse({ ...result, engine: 'magic' }).success).toBe(false);
  expect(resultSchema.safeParse({ ...result, durationsMs: undefined }).success).toBe(false);
});

test('the JSON Schemas require what the types require', () => {
  expect(progressJsonSchema).toMatchObject({ required: expect.arrayContaining(['progress', 'phase', 'etaMs']) });
  expect(resultJsonSchema).toMatchObject({ required: expect.arrayContaining(['durationsMs', 'thread']) });
});
