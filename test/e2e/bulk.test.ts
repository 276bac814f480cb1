// Many files by one job, through the real Redis, a host process, kernel AIO and the disk; and the same amid bad luck.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { BulkResult } from '@penstock/contract';
import { createPatternSource, readSource } from '@penstock/sources';
import { System } from '../support/system.ts';

// A host that fell silent loses its jobs after this long.
const LOCK = ['--threads', '2', '--lock-duration', '1500'];
const FILE_BYTES = 4096;

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

/** `count` files of `size` bytes, each of a seed of its own, in a few directories. */
const filesOf = (count: number, size = FILE_BYTES) =>
  Array.from({ length: count }, (_, seed) => ({
    path: `tiny/${seed % 5}/${seed}.dat`,
    size,
    source: { kind: 'pattern', pattern: 'stamp', seed },
  }));

function expectFiles(files: ReturnType<typeof filesOf>): void {
  for (const { path, size, source } of files) {
    const expected = readSource(createPatternSource('stamp', source.seed), 0, size);
    if (Buffer.compare(readFileSync(system.path(path)), expected) !== 0) throw new Error(`${path} has other bytes`);
  }
}

const files = (): string[] => system.names().filter((name) => /\.(dat|part)$/.test(name));
const parts = (): string[] => system.names().filter((name) => name.endsWith('.part'));
const underWay = (progress: Record<string, number>): boolean => progress['bytesWritten']! > 0;

test('1,000 files by one job of a service that knows only BullMQ: every byte, and one result', async () => {
  await system.host(LOCK);
  const wanted = filesOf(1000);
  const end = await system.finished(await system.add({ files: wanted }));
  const result = end.returnvalue as BulkResult;
  expect(result).toMatchObject({ files: 1000, failed: 0, bytes: 1000 * FILE_BYTES, host: expect.any(String) });
  expect(result.items).toEqual(wanted.map(({ path }) => ({ path, bytes: FILE_BYTES })));
  expectFiles(wanted);
  expect(files().length).toBe(1000);
});

test('a file that exists fails with its own error, and all others are written', async () => {
  await system.host(LOCK);
  const wanted = filesOf(500);
  mkdirSync(system.path('tiny/2'), { recursive: true });
  writeFileSync(system.path('tiny/2/17.dat'), 'mine');
  // Not in vain three times: nothing that another attempt could change.
  const end = await system.finished(await system.add({ mode: 'create', files: wanted }, { attempts: 3, backoff: 10 }));
  const result = end.returnvalue as BulkResult;
  expect(result).toMatchObject({ files: 500, failed: 1 });
  expect(result.items[17]).toMatchObject({ path: 'tiny/2/17.dat', error: { code: 'EEXIST', retryable: false } });
  expect(end.attemptsMade).toBe(1);
  expect(readFileSync(system.path('tiny/2/17.dat'), 'utf8')).toBe('mine');
  expectFiles(wanted.filter((_, seed) => seed !== 17));
});

/** Slow enough to be met. */
const slow = (count: number) => ({
  matrix: { rows: 1, rowBytes: 65_536 },
  limit: { bytesPerSecond: 10_485_760 },
  mode: 'create',
  files: filesOf(count, 262_144),
});

test('SIGKILL of the host amid a bulk: the next one ends it right, and no partial file stays', async () => {
  const first = await system.host(['--name', 'first', ...LOCK]);
  const bulk = slow(100);
  const job = await system.add(bulk);
  await system.progressOf(job, underWay);
  await first.end('SIGKILL');
  expect(parts().length).toBeGreaterThan(0);
  await system.host(['--name', 'second', ...LOCK]);
  const end = await system.finished(job, 90_000);
  // Files that the first host published are the job's own: mode create does not refuse them.
  expect(end.returnvalue).toMatchObject({ files: 100, failed: 0, host: 'second' });
  expect(parts()).toEqual([]);
  expect(files().length).toBe(100);
  expectFiles(bulk.files);
}, 120_000);

test('SIGTERM amid a bulk: it goes back to the queue at no cost and without partial files', async () => {
  const first = await system.host(['--name', 'first', ...LOCK]);
  const bulk = slow(100);
  const job = await system.add(bulk);
  const progress = await system.progressOf(job, underWay);
  expect(progress).toMatchObject({ totalBytes: 100 * 262_144, phase: 'writing' });
  expect(await first.end('SIGTERM')).toBe(0);
  expect(parts()).toEqual([]);
  expect(await job.getState()).toBe('waiting');
  await system.host(['--name', 'second', ...LOCK]);
  const end = await system.finished(job, 90_000);
  expect(end.returnvalue).toMatchObject({ files: 100, failed: 0, host: 'second' });
  expect(end.attemptsMade).toBe(1);
  expect(end.progress).toMatchObject({ progress: 100, phase: 'done' });
  expectFiles(bulk.files);
}, 120_000);

test('a bulk that no host could carry out fails at once and names the file and the field', async () => {
  await system.host(LOCK);
  const end = await system.finished(
    await system.add({ size: 1, files: [{ path: 'a' }, { path: '../b' }] }, { attempts: 5, backoff: 10 }),
  );
  expect(end.failedReason).toMatch(/^files\.1\.path: "\.\.\/b" is not accepted/);
  expect(end.attemptsMade).toBe(1);
});
