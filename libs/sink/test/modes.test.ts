// Modes of a write that keep what stands in the file, what is set besides its bytes, and how durable each byte is.
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WriteRequestInput } from '@penstock/contract';
import { createPatternSource, readSource } from '@penstock/sources';
import { STOP_CANCEL } from '@penstock/matrix';
import { setImmediate } from 'node:timers/promises';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

let bench: Bench;

beforeEach(() => {
  bench = openBench();
});

afterEach(() => bench.end());

const pathOf = (name: string): string => join(bench.directory, name);
const bytesOf = (name: string): Buffer => readFileSync(pathOf(name));
const failureOf = (write: Promise<unknown>): Promise<unknown> =>
  write.then(
    () => {
      throw new Error('the write was expected to fail');
    },
    (error: unknown) => error,
  );
const stamp = { kind: 'pattern', pattern: 'stamp', seed: 7 } as const;
const stampBytes = (size: number): Buffer => Buffer.from(readSource(createPatternSource('stamp', 7), 0, size));

/** What a file of `before` is after `bytes` went to `offset` of it. */
function overwritten(before: Buffer, bytes: Buffer, offset: number): Buffer {
  const after = Buffer.alloc(Math.max(before.length, offset + bytes.length));
  before.copy(after);
  bytes.copy(after, offset);
  return after;
}

const SIZES = [0, 1, 511, 4095, 4096, 4097, 65_537, 1_048_577];

describe.each([
  ['rows as the writer likes them', undefined],
  ['rows of 4 KiB', { rows: 4, rowBytes: 4096 }],
])('with %s', (_name, matrix) => {
  const shaped = matrix === undefined ? {} : { matrix };

  test.each([0, 1, 3, 511, 512, 4096, 4097, 70_000, 200_000])(
    'overwriting from offset %i on changes just those bytes, and lengthens the file where they reach beyond it',
    async (offset) => {
      const before = randomBytes(150_001);
      for (const size of SIZES) {
        writeFileSync(pathOf('a'), before);
        const request: WriteRequestInput = { path: 'a', mode: 'overwrite', offset, size, source: stamp, ...shaped };
        const result = await bench.write(request);
        const expected = size === 0 ? before : overwritten(before, stampBytes(size), offset);
        expect(bytesOf('a').equals(expected)).toBe(true);
        expect(result).toMatchObject({ bytes: size, offset, fileBytes: expected.length });
      }
    },
  );

  test.each([0, 1, 511, 4096, 70_001])('appending to a file of %i bytes puts all bytes behind them', async (length) => {
    const before = randomBytes(length);
    for (const size of SIZES) {
      writeFileSync(pathOf('a'), before);
      const result = await bench.write({ path: 'a', mode: 'append', size, source: stamp, ...shaped });
      expect(bytesOf('a').equals(Buffer.concat([before, stampBytes(size)]))).toBe(true);
      expect(result).toMatchObject({ bytes: size, offset: length, fileBytes: length + size });
    }
  });

  test('a copy goes to any offset, and to the end', async () => {
    const source = randomBytes(300_007);
    const before = randomBytes(99_999);
    writeFileSync(pathOf('source'), source);
    for (const mode of ['overwrite', 'append'] as const) {
      writeFileSync(pathOf('a'), before);
      const from = { kind: 'file', path: 'source' } as const;
      await bench.write({ path: 'a', mode, ...(mode === 'overwrite' ? { offset: 777 } : {}), source: from, ...shaped });
      const offset = mode === 'overwrite' ? 777 : before.length;
      expect(bytesOf('a').equals(overwritten(before, source, offset))).toBe(true);
    }
  });
});

test('appending makes the file where it is missing; overwriting says that there is none', async () => {
  await bench.write({ path: 'new', mode: 'append', size: 4097, source: stamp });
  expect(bytesOf('new').equals(stampBytes(4097))).toBe(true);
  const failure = await failureOf(bench.write({ path: 'none', mode: 'overwrite', size: 1 }));
  expect(failure).toMatchObject({ code: 'ENOENT', syscall: 'openat', retryable: false });
  expect((failure as Error).message).toMatch(/"overwrite" makes none/);
  expect(bench.names()).toEqual(['new']);
});

test('an append that comes again writes to the same place, whatever was appended after it', async () => {
  writeFileSync(pathOf('a'), 'begin|');
  const once = { path: 'a', mode: 'append', size: 700, source: stamp } as const;
  await bench.write(once, { jobKey: 'one' });
  await bench.write({ ...once, size: 5, source: { kind: 'pattern', pattern: 'byte', seed: 33 } }, { jobKey: 'two' });
  const result = await bench.write(once, { jobKey: 'one', again: true, attemptToken: '2' });
  expect(result.offset).toBe(6);
  expect(bytesOf('a').equals(Buffer.concat([Buffer.from('begin|'), stampBytes(700), Buffer.from('!!!!!')]))).toBe(true);
});

test('an append that is cancelled is cut off again, and the next one takes its place', async () => {
  writeFileSync(pathOf('a'), 'begin|');
  const block = bench.control.job(63);
  block.reset();
  const long = { path: 'a', mode: 'append', size: '4GB', matrix: { rows: 1, rowBytes: 4096 } } as const;
  const cancelled = failureOf(bench.write(long, { block, jobKey: 'one' }));
  while (block.read().bytesWritten === 0) await setImmediate();
  block.requestStop(STOP_CANCEL);
  expect(await cancelled).toMatchObject({ code: 'ECANCELED' });
  expect(bytesOf('a').toString()).toBe('begin|');
  await bench.write({ path: 'a', mode: 'append', size: 64, source: { kind: 'pattern', pattern: 'text' } });
  expect(statSync(pathOf('a')).size).toBe(70);
});

test('a file gets the permissions that are asked for, whatever the umask, or those of its source', async () => {
  const modeOf = (name: string): number => statSync(pathOf(name)).mode & 0o777;
  await bench.write({ path: 'a', size: 10, fileMode: '0626' });
  expect(modeOf('a')).toBe(0o626);
  await bench.write({ path: 'a', size: 10, fileMode: '440', publish: 'in-place' });
  expect(modeOf('a')).toBe(0o440);
  await bench.write({ path: 'b', source: { kind: 'file', path: 'a' }, fileMode: 'keep' });
  expect(modeOf('b')).toBe(0o440);
  await bench.write({ path: 'c', source: { kind: 'file', path: 'a' } });
  expect(modeOf('c')).toBe(0o666 & ~process.umask());
});

test('a copy keeps the time of its source where it is asked to, to the nanosecond that the disk keeps', async () => {
  writeFileSync(pathOf('a'), 'old');
  utimesSync(pathOf('a'), 1_000_000_000.25, 1_234_567_890.5);
  await bench.write({ path: 'kept', source: { kind: 'file', path: 'a', mtime: 'keep' } });
  await bench.write({ path: 'new', source: { kind: 'file', path: 'a' } });
  const nanoseconds = (name: string): bigint => statSync(pathOf(name), { bigint: true }).mtimeNs;
  expect(nanoseconds('kept')).toBe(nanoseconds('a'));
  expect(nanoseconds('new')).toBeGreaterThan(nanoseconds('a'));
});

test('with dsync every byte that is called written is durable', async () => {
  const block = bench.control.job(63);
  block.reset();
  const request = { path: 'a', size: 2_000_001, matrix: { rows: 4, rowBytes: 65_536 }, durability: 'dsync' } as const;
  const result = bench.write({ ...request, source: stamp }, { block });
  let seen = 0;
  while (block.read().phase !== 'done') {
    const { bytesWritten, bytesDurable } = block.read();
    if (bytesWritten > 0) seen = Math.max(seen, bytesDurable);
    await setImmediate();
  }
  expect((await result).bytes).toBe(2_000_001);
  expect(seen).toBeGreaterThan(0);
  expect(bytesOf('a').equals(stampBytes(2_000_001))).toBe(true);
});
