// The path of one byte: a producer that knows only BullMQ, the real Redis, a host process, kernel AIO, the disk.
import { once } from 'node:events';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { System, sha256File } from '../support/system.ts';

let system: System;
const node = realpathSync(process.execPath);

beforeAll(async () => {
  system = await System.open();
  await system.host([
    '--threads',
    '2',
    '--jobs',
    '4',
    '--root',
    `node=${dirname(node)}:ro`,
    '--root',
    'sysfs=/sys/kernel',
  ]);
});
afterAll(() => system.close());

test('a service that knows only BullMQ enqueues a write and gets the file', async () => {
  const job = await system.add({
    path: 'captures/run-42.dat',
    size: '3MB',
    source: { kind: 'pattern', pattern: 'stamp', seed: 7 },
  });
  const { returnvalue } = await system.finished(job);
  expect(returnvalue).toMatchObject({ bytes: 3_000_000, mode: 'aio-direct', path: 'captures/run-42.dat' });
  const expected = readSource(createPatternSource('stamp', 7), 0, 3_000_000);
  expect(Buffer.compare(readFileSync(system.path('captures/run-42.dat')), expected)).toBe(0);
});

test('a write that lasts is reported while it runs, and wholly at its end', async () => {
  // Slow enough to be sampled.
  const job = await system.add({ path: 'progress.dat', size: '8MiB', limit: { bytesPerSecond: '8MiB' } });
  const running = await system.progressOf(job, (progress) => progress['bytesWritten']! > 0);
  expect(running).toMatchObject({
    totalBytes: 8_388_608,
    bytesPerSecond: expect.any(Number),
    host: expect.any(String),
  });
  const end = await system.finished(job);
  expect(end.progress).toMatchObject({
    progress: 100,
    bytesWritten: 8_388_608,
    bytesDurable: 8_388_608,
    phase: 'done',
  });
});

test('a write that ends before the first sample costs no progress event', async () => {
  const end = await system.finished(await system.add({ path: 'tiny.dat', size: 100 }));
  expect(end.progress).toBe(0);
});

test('a copy through the queue has the sha256 of its source, at every edge size', async () => {
  mkdirSync(system.path('in'));
  const sizes = [0, 1, 511, 512, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577, 104_857_613];
  for (const size of sizes) {
    // The node binary repeated: real bytes, not a pattern of ours.
    copyFileSync(node, system.path(`in/${size}`));
    while (statSync(system.path(`in/${size}`)).size < size) {
      writeFileSync(system.path(`in/${size}`), readFileSync(node), { flag: 'a' });
    }
    truncateSync(system.path(`in/${size}`), size);
  }
  const jobs = await Promise.all(
    sizes.map((size) => system.add({ path: `out/${size}`, source: { kind: 'file', path: `in/${size}` } })),
  );
  for (const [index, job] of jobs.entries()) {
    const size = sizes[index]!;
    const { returnvalue, failedReason } = await system.finished(job);
    expect({ failedReason, bytes: returnvalue?.bytes }).toEqual({ bytes: size });
    expect(await sha256File(system.path(`out/${size}`))).toBe(await sha256File(system.path(`in/${size}`)));
  }
});

test('a file of another root is copied, and that root is not written to', async () => {
  const source = { kind: 'file', root: 'node', path: basename(node) };
  const { returnvalue } = await system.finished(await system.add({ path: 'node', source }));
  expect(returnvalue.bytes).toBe(statSync(node).size);
  expect(await sha256File(system.path('node'))).toBe(await sha256File(node));
  const refused = await system.finished(await system.add({ path: 'x', root: 'node', size: 1 }, { attempts: 3 }));
  expect(refused.failedReason).toMatch(/root.*"node".*data/);
  expect(refused.attemptsMade).toBe(1);
});

test.each([
  ['a size that is negative', { path: 'x', size: -1 }, /size.*-1/],
  ['a size that is no number', { path: 'x', size: 'many' }, /size.*many/],
  ['a size beyond any disk', { path: 'x', size: 2 ** 52 }, /EFBIG.*statfs.*holds/],
  ['no size', { path: 'x' }, /size.*missing/],
  ['an absolute path', { path: '/etc/passwd', size: 1 }, /path.*\/etc\/passwd/],
  ['a path with dots', { path: '../x', size: 1 }, /path.*\.\.\/x/],
  ['a path with a NUL', { path: 'a\0b', size: 1 }, /path/],
  ['an unknown root', { path: 'x', root: 'nowhere', size: 1 }, /root.*nowhere.*data/],
  ['an unknown field', { path: 'x', sizee: 1 }, /sizee.*size/],
  ['a missing source', { path: 'x', source: { kind: 'file', path: 'none' } }, /ENOENT.*none/],
  ['a row beyond the row memory', { path: 'x', size: 1, matrix: { rows: 1, rowBytes: '1GiB' } }, /matrix\.rowBytes/],
  ['something that is no object', 'hello', /request/],
])('%s fails at once, says which field or call, and is not retried', async (_, request, message) => {
  const end = await system.finished(await system.add(request, { attempts: 5, backoff: 10 }));
  expect(end.failedReason).toMatch(message);
  expect(end.attemptsMade).toBe(1);
  expect(end.progress).toMatchObject({ error: { retryable: false, message: expect.stringMatching(message) } });
  expect((await system.queue.getJobLogs(end.id!)).logs.join('\n')).toMatch(message);
});

test('a path through a symbolic link out of the root is refused', async () => {
  mkdirSync(join(system.home, 'outside'));
  symlinkSync(join(system.home, 'outside'), system.path('way-out'));
  const end = await system.finished(await system.add({ path: 'way-out/x', size: 1 }, { attempts: 5 }));
  expect(end.failedReason).toMatch(/EXDEV.*openat2.*way-out/);
  expect(end.attemptsMade).toBe(1);
});

test('a directory that may not be written says so', async () => {
  // sysfs refuses new files to root as well, so this holds for whoever runs the tests; in some containers it is read-only.
  const end = await system.finished(
    await system.add({ path: 'x', root: 'sysfs', size: 1 }, { attempts: 5, backoff: 10 }),
  );
  expect(end.failedReason).toMatch(/(EACCES|EPERM|EROFS).*openat.*\/sys\/kernel\/x/);
  expect(end.attemptsMade).toBe(1);
});

test('mode create refuses the file of an earlier job that had the same id', async () => {
  const options = { jobId: 'nightly', removeOnComplete: true };
  const request = { path: 'nightly.dat', size: 100, mode: 'create' };
  const ended = once(system.events, 'completed:nightly'); // gone at its end: afterwards nobody could ask for it
  await system.add(request, options);
  await ended;
  const second = await system.finished(await system.add({ ...request, size: 5 }, options));
  expect(second.failedReason).toMatch(/EEXIST.*nightly\.dat/);
  expect(statSync(system.path('nightly.dat')).size).toBe(100);
});

test('where the row memory is spent a write waits its turn, visibly, and is then written whole', async () => {
  await system.hostsGone();
  await system.host(['--threads', '1', '--memory', '2MiB', '--name', 'small']);
  // One row of all the memory there is, so nothing beside it, and slow enough to be met by a sample.
  const all = { matrix: { rows: 1, rowBytes: 2_097_152 }, source: { kind: 'pattern', pattern: 'stamp', seed: 1 } };
  const first = await system.add({ path: 'first.dat', size: '8MiB', limit: { bytesPerSecond: '4MiB' }, ...all });
  await system.progressOf(first, (progress) => progress['bytesWritten']! > 0);
  const second = await system.add({ path: 'second.dat', size: 5_000_000, ...all });
  const seen = await system.progressOf(second, () => true);
  expect(seen).toMatchObject({ phase: 'waiting', bytesWritten: 0, totalBytes: 5_000_000 });
  const end = await system.finished(second);
  expect(end.returnvalue).toMatchObject({ bytes: 5_000_000, durationsMs: { waiting: expect.any(Number) } });
  expect(end.returnvalue.durationsMs.waiting).toBeGreaterThan(100);
  const expected = readSource(createPatternSource('stamp', 1), 0, 5_000_000);
  expect(readFileSync(system.path('second.dat')).equals(expected)).toBe(true);
}, 120_000);

test('many small files arrive whole', async () => {
  const files = Array.from({ length: 200 }, (_, seed) => ({
    name: 'write',
    data: {
      path: `small/${seed % 7}/${seed}.dat`,
      size: seed * 61,
      source: { kind: 'pattern', pattern: 'text', seed },
    },
  }));
  const jobs = await system.queue.addBulk(files);
  for (const [seed, job] of jobs.entries()) {
    await system.finished(job);
    const expected = readSource(createPatternSource('text', seed), 0, seed * 61);
    expect(readFileSync(system.path(`small/${seed % 7}/${seed}.dat`)).equals(expected)).toBe(true);
  }
  expect(system.names().filter((name) => name.endsWith('.part'))).toEqual([]);
});
