// Bad luck: signals, a Redis that dies, a kernel that refuses. Each ends right, and nothing acknowledged is lost.
import { closeSync, openSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { commitsTogether, fileSystemOf, statFd } from '@penstock/disk';
import { createPatternSource, readSource } from '@penstock/sources';
import { System, foundProgram } from '../../support/system.ts';

// A host that fell silent loses its jobs after this long; the tests that wait for it are bound to it.
const LOCK = ['--threads', '1', '--lock-duration', '1500'];
const LARGE = {
  path: 'large.dat',
  size: 33_554_432,
  matrix: { rows: 8, rowBytes: 65_536 },
  source: { kind: 'pattern', pattern: 'stamp', seed: 3 },
  limit: { bytesPerSecond: 16_777_216 }, // slow enough to be met while it runs
};
const WAIT_MS = 90_000;

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

function expectLargeFile(): void {
  const expected = readSource(createPatternSource('stamp', 3), 0, LARGE.size);
  expect(Buffer.compare(readFileSync(system.path(LARGE.path)), expected)).toBe(0);
}

/** Far enough that its next attempt has something to go on from. */
const CHECKPOINTS = ['--checkpoint', '1MiB'];
const durable = (progress: Record<string, number>): boolean => progress['bytesDurable']! > 0;
const underWay = (progress: Record<string, number>): boolean => progress['bytesWritten']! > 0;

test('SIGTERM drains the host: the write goes back to the queue at no cost, and the next host goes on with it', async () => {
  const first = await system.host(['--name', 'first', ...LOCK, ...CHECKPOINTS]);
  const job = await system.add(LARGE);
  await system.progressOf(job, durable);
  expect(await first.end('SIGTERM')).toBe(0);
  expect(system.names()).toEqual([expect.stringMatching(/^\.penstock-.*\.part$/)]);
  expect(await job.getState()).toBe('waiting');
  await system.host(['--name', 'second', ...LOCK]);
  const end = await system.finished(job, WAIT_MS);
  expect(end.returnvalue).toMatchObject({ bytes: LARGE.size, host: 'second' });
  expect(end.returnvalue.resumedFrom).toBeGreaterThan(0);
  expect(end.attemptsMade).toBe(1);
  expect(system.names()).toEqual(['large.dat']);
  expectLargeFile();
}, 120_000);

test('SIGKILL of the host: the write is gone on with after its lock expires, and ends right', async () => {
  const first = await system.host(['--name', 'first', ...LOCK, ...CHECKPOINTS]);
  const job = await system.add(LARGE);
  await system.progressOf(job, durable);
  expect(await first.end('SIGKILL')).toBe('SIGKILL');
  expect(system.names()).toEqual([expect.stringMatching(/^\.penstock-.*\.part$/)]);
  await system.host(['--name', 'second', ...LOCK]);
  const end = await system.finished(job, WAIT_MS);
  expect(end.returnvalue).toMatchObject({ bytes: LARGE.size, host: 'second' });
  expect(end.returnvalue.resumedFrom).toBeGreaterThan(0);
  expect(system.names()).toEqual(['large.dat']);
  expectLargeFile();
}, 120_000);

test.each(['atomic', 'in-place'] as const)(
  'a host that is stopped beyond its lock and wakes harms neither the file nor what is known of the job (%s)',
  async (publish) => {
    const hosts = [await system.host(['--name', 'a', ...LOCK]), await system.host(['--name', 'b', ...LOCK])];
    const job = await system.add({ ...LARGE, publish }, { attempts: 20, backoff: { type: 'fixed', delay: 500 } });
    const { host } = await system.progressOf(job, underWay);
    const stopped = hosts[(host as unknown) === 'a' ? 0 : 1]!.child;
    stopped.kill('SIGSTOP');
    if (publish === 'in-place') {
      // The stopped host still holds the file's lock: nobody writes beside it, and the job waits for it.
      await system.progressOf(job, (progress) => JSON.stringify(progress).includes('waiting for the lock of the file'));
      stopped.kill('SIGCONT');
    }
    const end = await system.finished(job, WAIT_MS);
    if (publish === 'atomic') stopped.kill('SIGCONT');
    // A host that has taken a job and ended it has handled all that it woke up to.
    const after = await Promise.all([1, 2, 3, 4].map((size) => system.add({ path: `after-${size}`, size })));
    for (const each of after) await system.finished(each, WAIT_MS);
    await Promise.all(hosts.map((each) => each.end('SIGTERM')));
    expect(end.returnvalue).toMatchObject({ bytes: LARGE.size });
    expect(await job.getState()).toBe('completed');
    expect((await system.queue.getJob(job.id!))!.progress).toMatchObject({ progress: 100, phase: 'done' });
    expect(system.names()).toEqual(['after-1', 'after-2', 'after-3', 'after-4', 'large.dat']);
    expectLargeFile();
  },
  120_000,
);

test('Redis killed while a write runs: it comes back with what was acknowledged, and every write ends right', async () => {
  await system.host(LOCK);
  const job = await system.add(LARGE);
  const behind = await Promise.all([1, 2, 3].map((size) => system.add({ path: `small-${size}`, size })));
  await system.progressOf(job, underWay);
  process.kill(await system.redisPid(), 'SIGKILL');
  const ends = await Promise.all([job, ...behind].map((each) => system.finished(each, WAIT_MS)));
  expect(ends.map((end) => end.returnvalue?.bytes)).toEqual([LARGE.size, 1, 2, 3]);
  expect(system.names()).toEqual(['large.dat', 'small-1', 'small-2', 'small-3']);
  expectLargeFile();
}, 120_000);

test('Redis that cannot be reached stops the host at once with its address and what to do', async () => {
  await expect(system.host(['--redis', 'redis://:secret@127.0.0.1:1'])).rejects.toThrow(/127\.0\.0\.1:1/);
  await expect(system.host(['--redis', 'redis://:secret@127.0.0.1:1'])).rejects.not.toThrow(/secret/);
});

const strace = foundProgram('strace');
/** Of all threads, the host in the foreground, and stopping at no call but those that are traced: it is much faster. */
const STRACE = ['-f', '-D', '-qq', '--seccomp-bpf'];
const withStrace = strace === null ? test.skip : test;

/** The program to run a host by, and its arguments, so that `call` fails with `errno` each time. */
const failing = (call: string, errno: string): string[] => [
  strace!.bin,
  ...STRACE,
  '-o',
  '/dev/null',
  '-e',
  `trace=${call}`,
  '-e',
  `inject=${call}:error=${errno}`,
];

/** The calls that strace logged, each whole: one that another thread's came between stands in two lines. */
function callsIn(log: string): string[] {
  const begun = new Map<string, string>();
  return readFileSync(log, 'latin1')
    .split('\n')
    .flatMap((line) => {
      const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
      const [, start] = /^(.*?) *<unfinished \.\.\.>$/.exec(rest) ?? [];
      if (start !== undefined) {
        begun.set(thread, start);
        return [];
      }
      const [, end] = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest) ?? [];
      return [end === undefined ? line : `${thread} ${begun.get(thread)}${end}`];
    });
}

withStrace(
  'io_setup refused because aio-max-nr is used up: the error names both figures, and the job is retried',
  async () => {
    const inject = failing('io_setup', 'EAGAIN');
    const first = await system.host(['--wait-for-space', '0', ...LOCK], inject, strace!.env);
    const job = await system.add({ path: 'a.dat', size: 5 }, { attempts: 2, backoff: 10 });
    const end = await system.finished(job, WAIT_MS);
    expect(end.failedReason).toMatch(/EAGAIN.*io_setup.*\d+ of \d+.*aio-max-nr/);
    expect(end.attemptsMade).toBe(2);
    await first.end('SIGTERM');
    await end.retry();
    await system.host(LOCK);
    expect((await system.finished(job, WAIT_MS)).returnvalue).toMatchObject({ bytes: 5 });
  },
  120_000,
);

withStrace('a machine without kernel AIO writes all the same, and the result says how', async () => {
  const inject = failing('io_setup', 'ENOSYS');
  await system.host(['--threads', '1'], inject, strace!.env);
  const end = await system.finished(await system.add({ path: 'a.dat', size: 100_000 }), WAIT_MS);
  expect(end.returnvalue).toMatchObject({
    bytes: 100_000,
    mode: 'sync-direct',
    engine: 'positional',
    fallbackReason: expect.stringContaining('AIO'),
  });
  expect(readFileSync(system.path('a.dat')).equals(Buffer.alloc(100_000))).toBe(true);
});

withStrace('a disk that fails its flush fails the write, and nothing of it is published', async () => {
  const inject = failing('fdatasync', 'EIO');
  await system.host(['--threads', '1', '--engine', 'positional'], inject, strace!.env);
  const end = await system.finished(await system.add({ path: 'a.dat', size: 1_000_000 }), WAIT_MS);
  expect(end.failedReason).toMatch(/EIO.*fdatasync.*a\.dat/);
  expect(system.names()).toEqual([]);
});

withStrace(
  'the writing is done by io_submit and io_getevents in batches, on a descriptor opened with O_DIRECT',
  async () => {
    const log = `${system.home}/strace.log`;
    const trace = [strace!.bin, ...STRACE, '-o', log, '-e', 'trace=io_submit,io_getevents,openat,pwrite64,write'];
    const host = await system.host(['--threads', '1'], trace, strace!.env);
    await system.finished(
      await system.add({ path: 'traced.dat', size: '64MiB', matrix: { rows: 32, rowBytes: '512KiB' } }),
    );
    await host.end('SIGTERM');
    const lines = callsIn(log);
    expect(lines.some((line) => /openat\(.*\.part".*O_DIRECT/.test(line))).toBe(true);
    const submitted = lines.flatMap((line) => /io_submit\(.*= (\d+)$/.exec(line)?.slice(1).map(Number) ?? []);
    expect(submitted.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(128);
    expect(Math.max(...submitted)).toBeGreaterThan(8);
    expect(lines.some((line) => line.includes('io_getevents'))).toBe(true);
    expect(lines.some((line) => line.includes('pwrite64(') && !isRecord(line))).toBe(false);
  },
);

/** The host's record of the partial file, in its data directory: begun by '='. */
const isRecord = (line: string): boolean => /pwrite64\(\d+[^,]*, "=/.test(line);

const FLUSHED_ALONE = ['pwrite64', 'ftruncate', 'fdatasync', 'renameat', 'fsync'];
const FLUSHED_TOGETHER = ['pwrite64', 'ftruncate', 'renameat', 'fsync'];

/** Whether the scratch directory's file system commits all its changes together, and says so. */
function onJournal(): boolean {
  const fd = openSync(system.data, 'r');
  try {
    return commitsTogether(fileSystemOf(fd, system.data), statFd(fd, system.data).device);
  } finally {
    closeSync(fd);
  }
}

for (const { what, size, order } of [
  { what: 'a large file', size: 1_000_000, order: FLUSHED_ALONE },
  { what: 'a small file on a journal, which the flush of its name covers', size: 1000, order: FLUSHED_TOGETHER },
]) {
  withStrace(`completed is said after all it rests on is flushed in its turn: new directories, ${what}`, async () => {
    const log = `${system.home}/strace.log`;
    // Positional I/O makes every flush a call of its own, which strace can see; the order is the same for all ports.
    const calls = 'trace=mkdirat,fsync,pwrite64,ftruncate,fdatasync,renameat';
    const trace = [strace!.bin, ...STRACE, '-y', '-o', log, '-e', calls];
    const host = await system.host(['--threads', '1', '--engine', 'positional'], trace, strace!.env);
    await system.finished(await system.add({ path: 'new/deep/a.dat', size }));
    await host.end('SIGTERM');
    const made = callsIn(log)
      .filter((line) => !isRecord(line))
      .filter((line) => (line.includes(system.data) && line.endsWith('= 0')) || line.includes('pwrite64('))
      .flatMap((line) => /\d+ +(\w+)\(/.exec(line)?.slice(1) ?? []);
    const expected = onJournal() ? order : FLUSHED_ALONE;
    expect(made.filter((call, index) => call !== made[index - 1])).toEqual([
      'mkdirat',
      'fsync',
      'mkdirat',
      'fsync',
      ...expected,
    ]);
  });
}
