import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { readableName, readableProgress, readableRate, readableResult } from './readable.ts';

const MIB = 1_048_576;
const progress = {
  progress: 43,
  bytesWritten: 440 * MIB,
  bytesDurable: 0,
  totalBytes: 1024 * MIB,
  bytesPerSecond: 1902 * MIB,
  etaMs: 310,
  inFlight: 32,
  phase: 'writing',
  host: 'alpha',
};
const data = { path: 'captures/run-42.dat', size: 1024 * MIB };

test('a running write is called by its path, with its bytes and MiB/s', () => {
  expect(readableName({ name: 'write', data, progress, returnvalue: null })).toBe(
    'captures/run-42.dat · 440.00 MiB of 1.00 GiB · 1902 MiB/s',
  );
});

test('a waiting write is called by its path, and by its root if that is not the usual one', () => {
  expect(readableName({ name: 'write', data, progress: 0, returnvalue: null })).toBe('captures/run-42.dat');
  const elsewhere = { ...data, root: 'scratch' };
  expect(readableName({ name: 'write', data: elsewhere, progress: 0, returnvalue: null })).toBe(
    'scratch:captures/run-42.dat',
  );
});

test('a completed write shows its result, not its last progress', () => {
  const returnvalue = { bytes: 1024 * MIB, bytesPerSecond: 2000 * MIB, durationsMs: { total: 530 } };
  expect(readableName({ name: 'write', data, progress, returnvalue, finishedOn: 1 })).toBe(
    'captures/run-42.dat · 1.00 GiB · 2000 MiB/s',
  );
  expect(readableResult(returnvalue)).toMatchObject({
    written: '1.00 GiB',
    speed: '2000 MiB/s',
    took: '0.53 s',
    bytes: 1024 * MIB,
  });
});

test('a copy shows that it is a reflink, which has no speed, and how much of it is holes', () => {
  const reflink = { bytes: 1024 * MIB, bytesPerSecond: 2e12, copied: 'reflink' };
  expect(readableName({ name: 'write', data, progress, returnvalue: reflink, finishedOn: 1 })).toBe(
    'captures/run-42.dat · 1.00 GiB · reflink',
  );
  expect(readableResult(reflink)).toEqual({ written: '1.00 GiB', ...reflink });
  const rows = { bytes: 1024 * MIB, bytesPerSecond: 2000 * MIB, copied: 'rows', holeBytes: 512 * MIB };
  expect(readableResult(rows)).toMatchObject({ speed: '2000 MiB/s', holes: '512.00 MiB', copied: 'rows' });
});

test('progress keeps the number that the ring is drawn from', () => {
  expect(readableProgress(progress)).toEqual({
    progress: 43,
    phase: 'writing',
    written: '440.00 MiB of 1.00 GiB',
    durable: '0 B',
    speed: '1902 MiB/s',
    left: '0.3 s',
    inFlight: 32,
    host: 'alpha',
  });
});

test('a bulk is called by the number of its files, and of its result the page gets the files that failed', () => {
  const bulk = { root: 'scratch', files: Array.from({ length: 2000 }, (_, index) => ({ path: `${index}` })) };
  expect(readableName({ name: 'write', data: bulk, progress: 0, returnvalue: null })).toBe('scratch:2000 files');
  const failure = { path: '7', error: { code: 'EEXIST' } };
  const items = bulk.files.map(({ path }) => (path === '7' ? failure : { path, bytes: 4096 }));
  const returnvalue = { items, files: 2000, failed: 1, bytes: 1999 * 4096, bytesPerSecond: 20 * MIB };
  expect(readableName({ name: 'write', data: bulk, progress, returnvalue, finishedOn: 1 })).toBe(
    'scratch:2000 files · 7.81 MiB · 20.0 MiB/s · 1 failed',
  );
  expect(readableResult(returnvalue)).toMatchObject({ written: '7.81 MiB', failed: 1, items: [failure] });
});

test.each([null, undefined, 0, 'text', [], {}, { progress: 5 }])(
  'what is not ours is shown as it came: %j',
  (value) => {
    expect(readableProgress(value)).toBe(value);
    expect(readableResult(value)).toBe(value);
    expect(readableName({ name: 'write', data: value, progress: value, returnvalue: value })).toBe('write');
  },
);

test('speeds are shown in MiB/s', () => {
  expect([0, 14.23 * MIB, 250 * MIB].map(readableRate)).toEqual(['0 MiB/s', '14.2 MiB/s', '250 MiB/s']);
});

test('whatever another program left in a job, it is shown (seed 11)', () => {
  const fields = [
    'path',
    'files',
    'root',
    'bytes',
    'bytesPerSecond',
    'failed',
    'copied',
    'items',
    'durationsMs',
    'holeBytes',
  ];
  const more = ['progress', 'bytesWritten', 'totalBytes', 'bytesDurable', 'etaMs', 'phase', 'note', 'error', 'host'];
  const value = fc.oneof(fc.jsonValue(), fc.double(), fc.constantFrom(undefined, Number.NaN, -1));
  const anything = fc.oneof(value, fc.dictionary(fc.constantFrom(...fields, ...more), value));
  const property = fc.property(anything, anything, anything, (sent, reported, returned) => {
    expect(typeof readableName({ name: 'write', data: sent, progress: reported, returnvalue: returned })).toBe(
      'string',
    );
    readableProgress(reported);
    readableResult(returned);
  });
  fc.assert(property, { seed: 11, numRuns: 2000 });
});
