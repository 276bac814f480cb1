import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  statfsSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { libaioPort, syscallPort } from '@penstock/aio';
import { completeResult, type WriteRequestInput, PATTERN_NAMES } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { statFd } from '@penstock/disk';
import { STOP_CANCEL, STOP_LOST, STOP_SHUTDOWN } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { runTask } from '../src/write/lane.ts';
import { type Bench, openBench, sha256 } from '../src/thread/thread.fixture.ts';
import { watchedPort } from '../src/thread/watched-port.fixture.ts';

const EDGE_SIZES = [0, 1, 511, 512, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577];

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => bench.end());

/** The wire-visible part of a rejection. */
async function failureOf(promise: Promise<unknown>): Promise<Record<string, unknown>> {
  try {
    await promise;
  } catch (error) {
    const { code, syscall, message, field, reason } = error as Record<string, unknown>;
    return { code, syscall, message, field, reason };
  }
  throw new Error('the write was expected to fail');
}

test('a small file is reported without what is 0 or goes without saying, and as a whole result where it is read', async () => {
  const request = parseRequest({ path: 'short.dat', size: 4096 });
  const order = { request, jobKey: 'short', attemptToken: '1', again: false, job: 'test//short/1' };
  const short = await runTask(bench.thread, order, bench.control.job(0));
  for (const field of ['reads', 'shortWrites', 'retries']) expect(short).not.toHaveProperty(field);
  for (const phase of ['verifying', 'paused']) expect(short.durationsMs).not.toHaveProperty(phase);
  expect(Object.keys(short.writeLatencyUs!)).toEqual(['count', 'max']);
  expect(short.matrix).toEqual({ rows: 1, rowBytes: 4096 });
  const { durationsMs, writeLatencyUs, ...whole } = completeResult(short);
  expect(whole).toMatchObject({ reads: 0, shortWrites: 0, matrix: { ioBytes: 4096 } });
  expect(durationsMs).toMatchObject({ verifying: 0, paused: 0 });
  expect(writeLatencyUs).toMatchObject({ count: 1, p50: writeLatencyUs.max, p99: writeLatencyUs.max });
});

describe('exact', () => {
  test.each(PATTERN_NAMES)('a file of %s has exactly the bytes asked for, at every edge size', async (pattern) => {
    for (const size of EDGE_SIZES) {
      const result = await bench.write({ path: 'exact.dat', size, source: { kind: 'pattern', pattern, seed: 7 } });
      expect(result.bytes).toBe(size);
      expect(sha256(bench.read('exact.dat'))).toBe(sha256(readSource(createPatternSource(pattern, 7), 0, size)));
    }
  });

  test('a copy equals its source, at every edge size', async () => {
    for (const size of [...EDGE_SIZES, 9_000_001]) {
      const bytes = readSource(createPatternSource('random', size % 1000), 0, size);
      writeFileSync(join(bench.archive, 'in.dat'), bytes);
      const result = await bench.write({ path: 'copy.dat', source: { kind: 'file', root: 'archive', path: 'in.dat' } });
      expect(result.bytes).toBe(size);
      expect(sha256(bench.read('copy.dat'))).toBe(sha256(bytes));
    }
  });

  test.each([
    { rows: 1024, rowBytes: 1024 },
    { rows: 3, rowBytes: 1000 },
    { rows: 1, rowBytes: 1 },
    { rows: 7, rowBytes: 513 },
    { rows: 65_536, rowBytes: 4096 },
    { rows: 2, rowBytes: 3_000_000 },
  ])('rows of $rowBytes bytes, $rows of them, are gathered where the disk cannot take them', async (matrix) => {
    const size = matrix.rowBytes < 16 ? 5000 : 4_000_003;
    const source = { kind: 'pattern', pattern: 'counter', seed: 3 } as const;
    const result = await bench.write({ path: 'rows.dat', size, matrix, source });
    expect(sha256(bench.read('rows.dat'))).toBe(sha256(readSource(createPatternSource('counter', 3), 0, size)));
    expect(result.matrix.ioBytes % result.alignment.offset).toBe(0);
  });

  test.each([1000, 5000, 70_001])(
    'the row that ends a new file of %i bytes ends with a block of the file system',
    async (size) => {
      const blockBytes = statfsSync(bench.directory).bsize;
      for (const publish of ['atomic', 'in-place'] as const) {
        const result = await bench.write({ path: `${publish}.dat`, size, publish });
        if (result.alignment.offset === 1) return; // a disk without direct I/O asks for nothing, and nothing is padded
        expect(result.matrix.ioBytes % blockBytes).toBe(0);
        const path = join(bench.directory, `${publish}.dat`);
        const fd = openSync(path, 'r');
        expect(result.alignment).toEqual(statFd(fd, path).directAlignment); // what the kernel demands, which may be less
        closeSync(fd);
      }
    },
  );

  test('the program of 2011, as a request, writes its 1 MiB', async () => {
    const result = await bench.write({ path: 'forum.dat', size: 1_048_576, matrix: { rows: 1024, rowBytes: 1024 } });
    expect(result.bytes).toBe(1_048_576);
    expect(bench.read('forum.dat').equals(Buffer.alloc(1_048_576))).toBe(true);
  });

  test('many writes at once on one context each get their own bytes', async () => {
    const writes = Array.from({ length: 40 }, (_, seed) => {
      const size = 1 + ((seed * 262_147) % 3_000_000);
      return bench.write({ path: `many/${seed}.dat`, size, source: { kind: 'pattern', pattern: 'stamp', seed } });
    });
    for (const [seed, result] of (await Promise.all(writes)).entries()) {
      const expected = readSource(createPatternSource('stamp', seed), 0, result.bytes);
      expect(sha256(bench.read(`many/${seed}.dat`))).toBe(sha256(expected));
    }
  });

  test('submits rows in batches, and gathers small ones into longer iocbs', async () => {
    const large = await bench.write({ path: 'b.dat', size: '64MiB', matrix: { rows: 16, rowBytes: '1MiB' } });
    expect(large.writes).toBe(64);
    expect(large.submitCalls).toBeLessThan(64);
    const small = await bench.write({ path: 'c.dat', size: '64MiB', matrix: { rows: 64, rowBytes: '64KiB' } });
    expect(small.matrix).toEqual({ rows: 64, rowBytes: 65_536, ioBytes: 524_288 });
    expect(small.writes).toBe(128);
  });

  test('a write whose lock has run out publishes nothing and empties nothing, though nobody told it to stop', async () => {
    const block = bench.control.job(0);
    writeFileSync(join(bench.directory, 'old'), 'successor');
    for (const publish of ['atomic', 'in-place'] as const) {
      block.reset();
      block.holdFor(0);
      const outcome = bench.write({ path: 'old', size: 5000, publish }, { block });
      await expect(outcome).rejects.toMatchObject({ code: 'ECANCELED', reason: 'lost' });
      expect(bench.names()).toEqual(['old']);
      expect(bench.read('old').toString('utf8')).toBe('successor');
    }
    block.reset();
    block.holdFor(60_000);
    await expect(bench.write({ path: 'new', size: 10 }, { block })).resolves.toMatchObject({ bytes: 10 });
  });

  test('a large write leaves small files room in the device: beside them it has 4 MiB in flight, alone all its rows', async () => {
    bench.close();
    let most = 0;
    const watched = watchedPort(
      () => libaioPort() ?? syscallPort(),
      ({ length }) => {
        most = Math.max(most, bench.engine.inFlight + length);
      },
    );
    bench = openBench({ port: watched });
    const large: WriteRequestInput = { path: 'large', size: '64MiB', matrix: { rows: 16, rowBytes: '1MiB' } };
    await bench.write(large);
    expect(most).toBe(16);
    most = 0;
    bench.thread.smallWrites += 1; // as one that is under way all the time
    await bench.write(large);
    bench.thread.smallWrites -= 1;
    expect(most).toBe(4);
    await Promise.all([bench.write(large), ...['a', 'b', 'c'].map((path) => bench.write({ path, size: 4096 }))]);
    await expect(bench.write({ path: 'x', size: 10, root: 'archive' })).rejects.toThrow(/archive|root/);
    expect(bench.thread.smallWrites).toBe(0);
  });

  test('writes that together need more rows than there are wait their turn and all end right', async () => {
    bench.close();
    bench = openBench({ arenaBytes: 2_097_152 });
    const request = (path: string): WriteRequestInput => ({
      path,
      size: 5_000_000,
      matrix: { rows: 2, rowBytes: '1MiB' },
    });
    const results = await Promise.all(['a', 'b', 'c', 'd'].map((path) => bench.write(request(path))));
    expect(results.map((result) => result.bytes)).toEqual([5_000_000, 5_000_000, 5_000_000, 5_000_000]);
    expect(results.filter((result) => result.durationsMs.waiting > 0).length).toBeGreaterThan(1);
  });
});

describe('atomic', () => {
  test('replaces the old file only when the new one is whole', async () => {
    writeFileSync(join(bench.directory, 'a.dat'), 'old');
    const block = bench.control.job(63);
    const writing = bench.write({ path: 'a.dat', size: 67_108_864, matrix: { rows: 4, rowBytes: 65_536 } }, { block });
    while (block.read().bytesWritten === 0) await setImmediate();
    expect(bench.read('a.dat').toString()).toBe('old');
    await writing;
    expect(bench.read('a.dat').length === 67_108_864).toBe(true);
    expect(bench.names()).toEqual(['a.dat']);
  });

  test('a stopped write leaves the old file and no partial one', async () => {
    writeFileSync(join(bench.directory, 'a.dat'), 'old');
    for (const [flag, reason] of [
      [STOP_CANCEL, 'cancel'],
      [STOP_SHUTDOWN, 'shutdown'],
    ] as const) {
      const block = bench.control.job(63);
      block.reset();
      // Less than what would be kept for the next attempt.
      const slow = { path: 'a.dat', size: 60_000_000, matrix: { rows: 1, rowBytes: 4096 } };
      const writing = bench.write(slow, { block });
      while (block.read().bytesWritten === 0) await setImmediate();
      block.requestStop(flag);
      expect(await failureOf(writing)).toMatchObject({ code: 'ECANCELED', reason });
      expect(bench.names()).toEqual(['a.dat']);
    }
    expect(bench.read('a.dat').toString()).toBe('old');
  });

  test('removes what an earlier attempt of the same job left, and nothing else', async () => {
    writeFileSync(join(bench.directory, '.penstock-mine-1.part'), 'left');
    writeFileSync(join(bench.directory, '.penstock-other-1.part'), 'kept');
    await bench.write({ path: 'a.dat', size: 1 }, { jobKey: 'mine', again: true });
    expect(bench.names()).toEqual(['.penstock-other-1.part', 'a.dat']);
  });

  test('mode create refuses a file that exists, but not one that an earlier attempt of the job published', async () => {
    const request: WriteRequestInput = { path: 'new.dat', size: 10, mode: 'create' };
    await bench.write(request, { jobKey: 'mine' });
    await bench.write(request, { jobKey: 'mine', attemptToken: '2', again: true });
    expect(await failureOf(bench.write(request, { jobKey: 'other' }))).toMatchObject({ code: 'EEXIST' });
    await bench.write({ ...request, publish: 'in-place' }, { jobKey: 'mine', attemptToken: 'c', again: true });
    expect(bench.names()).toEqual(['new.dat']);
  });

  test('mode create takes the file that its own job published for its own, whatever the counts of the job say', async () => {
    const request: WriteRequestInput = { path: 'new.dat', size: 10, mode: 'create' };
    await bench.write(request, { jobKey: 'same' });
    expect(await bench.write(request, { jobKey: 'same', again: false })).toMatchObject({ bytes: 10 });
    expect(bench.names()).toEqual(['new.dat']);
  });

  test('an earlier partial file goes even if the attempt is refused', async () => {
    writeFileSync(join(bench.directory, '.penstock-mine-1.part'), 'left');
    const copy = bench.write({ path: 'a', source: { kind: 'file', path: 'gone' } }, { jobKey: 'mine', again: true });
    expect(await failureOf(copy)).toMatchObject({ code: 'ENOENT' });
    expect(bench.names()).toEqual([]);
  });

  test('a part that a later attempt removed is not published, and the attempt may be tried again', async () => {
    const block = bench.control.job(63);
    block.reset();
    const request: WriteRequestInput = { path: 'a', size: 33_554_432, matrix: { rows: 1, rowBytes: 4096 } };
    const stale = failureOf(bench.write(request, { block, jobKey: 'mine', attemptToken: 'old' }));
    while (block.read().bytesWritten === 0) await setImmediate();
    await bench.write({ ...request, size: 5 }, { jobKey: 'mine', attemptToken: 'new', again: true });
    expect(await stale).toMatchObject({ code: 'ESTALE', syscall: 'renameat' });
    expect(bench.read('a').length).toBe(5);
  });

  test('in place, two writes in one file: one is refused as busy, and the other is right', async () => {
    const block = bench.control.job(63);
    block.reset();
    const request: WriteRequestInput = {
      path: 'a',
      size: 33_554_432,
      matrix: { rows: 1, rowBytes: 4096 },
      publish: 'in-place',
    };
    const first = bench.write(request, { block });
    while (block.read().bytesWritten === 0) await setImmediate();
    const second = await failureOf(bench.write({ ...request, size: 10, source: { kind: 'pattern', pattern: 'text' } }));
    expect(second).toMatchObject({ code: 'EBUSY', syscall: 'fcntl' });
    await first;
    expect(bench.read('a').equals(Buffer.alloc(33_554_432))).toBe(true);
  });

  test('in place, a stopped write removes the file it made, but not one that took its place', async () => {
    const stopped = async (during: () => void): Promise<void> => {
      const block = bench.control.job(63);
      block.reset();
      const request: WriteRequestInput = {
        path: 'a',
        size: '4GB',
        matrix: { rows: 1, rowBytes: 4096 },
        publish: 'in-place',
      };
      const failure = failureOf(bench.write(request, { block }));
      while (block.read().bytesWritten === 0) await setImmediate();
      during();
      block.requestStop(STOP_LOST);
      expect(await failure).toMatchObject({ code: 'ECANCELED', reason: 'lost' });
    };
    await stopped(() => {});
    expect(bench.names()).toEqual([]);
    await stopped(() => {
      writeFileSync(join(bench.directory, 'b'), 'another');
      renameSync(join(bench.directory, 'b'), join(bench.directory, 'a'));
    });
    expect(bench.read('a').toString()).toBe('another');
  });

  test.each([
    ['more than the disk', { size: 2 ** 50 }, 'EFBIG'],
    ['a row beyond the memory', { size: 1, matrix: { rows: 1, rowBytes: '1GiB' } }, 'EBADREQUEST'],
  ])('in place, a request refused for %s leaves the old file as it was', async (_, fields, code) => {
    writeFileSync(join(bench.directory, 'keep'), 'precious');
    expect(await failureOf(bench.write({ path: 'keep', publish: 'in-place', ...fields }))).toMatchObject({ code });
    expect(bench.read('keep').toString()).toBe('precious');
  });

  test('what stands there and is no file is refused, not replaced', async () => {
    execFileSync('mkfifo', [join(bench.directory, 'fifo')]);
    for (const publish of ['atomic', 'in-place'] as const) {
      expect(await failureOf(bench.write({ path: 'fifo', size: 1, publish }))).toMatchObject({ code: 'EINVAL' });
    }
    expect(lstatSync(join(bench.directory, 'fifo')).isFIFO()).toBe(true);
  });

  test('in place, a shorter file leaves nothing of the longer one', async () => {
    writeFileSync(join(bench.directory, 'a.dat'), Buffer.alloc(10_000, 1));
    await bench.write({ path: 'a.dat', size: 100, publish: 'in-place', durability: 'none' });
    expect(bench.read('a.dat').equals(Buffer.alloc(100))).toBe(true);
  });

  test('a job that asks for no durability is written as exactly', async () => {
    const result = await bench.write({ path: 'n/o/n/e.dat', size: 5000, durability: 'none' });
    expect(result.bytes).toBe(5000);
    expect(bench.read('n/o/n/e.dat').length).toBe(5000);
  });
});

describe('contained', () => {
  test('a symbolic link cannot lead out of the root, on the way or at the end', async () => {
    symlinkSync(bench.archive, join(bench.directory, 'out'));
    symlinkSync('/', join(bench.directory, 'slash'));
    const before = await failureOf(bench.write({ path: 'out/x.dat', size: 1 }));
    expect(before).toMatchObject({ code: 'EXDEV', syscall: 'openat2' });
    expect(await failureOf(bench.write({ path: 'slash/tmp/x.dat', size: 1 }))).toMatchObject({ code: 'EXDEV' });
    expect(existsSync(join(bench.archive, 'x.dat'))).toBe(false);
    symlinkSync('/etc/hostname', join(bench.directory, 'link'));
    const source = { kind: 'file', path: 'link' } as const;
    expect(await failureOf(bench.write({ path: 'x.dat', source }))).toMatchObject({ code: 'EXDEV' });
    // The link itself is replaced, never what it points to.
    await bench.write({ path: 'link', size: 3 });
    expect(bench.read('link').length).toBe(3);
    symlinkSync(join(bench.archive, 'y.dat'), join(bench.directory, 'y'));
    expect(await failureOf(bench.write({ path: 'y', size: 1, publish: 'in-place' }))).toMatchObject({ code: 'ELOOP' });
  });

  test('a symbolic link that stays inside is followed', async () => {
    mkdirSync(join(bench.directory, 'real'));
    symlinkSync('real', join(bench.directory, 'alias'));
    await bench.write({ path: 'alias/x.dat', size: 1 });
    expect(existsSync(join(bench.directory, 'real/x.dat'))).toBe(true);
  });

  test('an unknown root and a root that is read only are refused by name', async () => {
    expect(await failureOf(bench.write({ path: 'x', root: 'nowhere', size: 1 }))).toMatchObject({
      code: 'EBADREQUEST',
      field: 'root',
      message: expect.stringMatching(/nowhere.*data/),
    });
    expect(await failureOf(bench.write({ path: 'x', root: 'archive', size: 1 }))).toMatchObject({ field: 'root' });
  });
});

describe('honest', () => {
  test('more than the disk is refused before a byte is written, with both figures', async () => {
    const failure = await failureOf(bench.write({ path: 'big', size: 2 ** 50 }));
    expect(failure).toMatchObject({
      code: 'EFBIG',
      syscall: 'fallocate',
      message: expect.stringMatching(/holds .* in all|holds/),
    });
    expect(bench.names()).toEqual([]);
  });

  test('a row larger than the row memory names the field and the memory there is', async () => {
    const request: WriteRequestInput = { path: 'x', size: '1GiB', matrix: { rows: 1, rowBytes: '1GiB' } };
    expect(await failureOf(bench.write(request))).toMatchObject({
      field: 'matrix.rowBytes',
      message: expect.stringContaining('16'),
    });
  });

  test('a directory in the place of the file is refused before a byte is written', async () => {
    mkdirSync(join(bench.directory, 'dir'));
    expect(await failureOf(bench.write({ path: 'dir', size: 1 }))).toMatchObject({ code: 'EISDIR' });
    writeFileSync(join(bench.directory, 'file'), '');
    expect(await failureOf(bench.write({ path: 'file/x', size: 1 }))).toMatchObject({ code: 'ENOTDIR' });
  });

  test('a source that is missing, no file, or too short is named', async () => {
    const from = (path: string): WriteRequestInput => ({ path: 'x', source: { kind: 'file', root: 'archive', path } });
    expect(await failureOf(bench.write(from('none')))).toMatchObject({
      code: 'ENOENT',
      message: expect.stringContaining('none'),
    });
    mkdirSync(join(bench.archive, 'dir'));
    expect(await failureOf(bench.write(from('dir')))).toMatchObject({ code: 'EISDIR' });
    writeFileSync(join(bench.archive, 'short'), 'abc');
    expect(await failureOf(bench.write({ ...from('short'), size: 4 }))).toMatchObject({
      code: 'EBADREQUEST',
      field: 'size',
    });
    expect(bench.names()).toEqual([]);
  });

  test('a copy in place onto another name of its source is refused, and the source is whole', async () => {
    writeFileSync(join(bench.directory, 'in'), 'precious');
    linkSync(join(bench.directory, 'in'), join(bench.directory, 'out'));
    const copy = bench.write({ path: 'out', publish: 'in-place', source: { kind: 'file', path: 'in' } });
    expect(await failureOf(copy)).toMatchObject({ code: 'EBADREQUEST', field: 'source.path' });
    expect(bench.read('in').toString()).toBe('precious');
  });

  test('a source that vanishes while it is copied is copied whole; one that is cut or grows fails the copy', async () => {
    const path = join(bench.archive, 'in.dat');
    const copy = (block = bench.control.job(62)): Promise<unknown> => {
      block.reset();
      const source = { kind: 'file', root: 'archive', path: 'in.dat' } as const;
      return bench.write({ path: 'x', source, matrix: { rows: 4, rowBytes: 65_536 } }, { block });
    };
    const during = async (change: () => void): Promise<unknown> => {
      writeFileSync(path, Buffer.alloc(60_000_000, 5));
      const copying = copy();
      const outcome = copying.then(
        () => 'copied',
        (error: { code: string }) => error.code,
      );
      while (bench.control.job(62).read().bytesWritten === 0) await setImmediate();
      change();
      return outcome;
    };
    expect(await during(() => truncateSync(path, 30_000_000))).toBe('ESTALE');
    expect(await during(() => appendFileSync(path, 'more'))).toBe('ESTALE');
    expect(bench.names()).toEqual([]);
    expect(await during(() => unlinkSync(path))).toBe('copied');
    expect(bench.read('x').length).toBe(60_000_000);
  });

  test('a source rewritten in place while it is copied fails the copy, though its size and time are as before', async () => {
    const path = join(bench.archive, 'in.dat');
    writeFileSync(path, Buffer.alloc(60_000_000, 5));
    utimesSync(path, 1_600_000_000, 1_600_000_000);
    const block = bench.control.job(62);
    block.reset();
    const source = { kind: 'file', root: 'archive', path: 'in.dat' } as const;
    const failure = failureOf(bench.write({ path: 'x', source, matrix: { rows: 4, rowBytes: 65_536 } }, { block }));
    while (block.read().bytesWritten === 0) await setImmediate();
    writeFileSync(path, Buffer.alloc(60_000_000, 6), { flag: 'r+' });
    utimesSync(path, 1_600_000_000, 1_600_000_000);
    expect(await failure).toMatchObject({ code: 'ESTALE', syscall: 'pread' });
    expect(bench.names()).toEqual([]);
  });
});
