// A write that an earlier attempt began: what is taken over from it, and what is not.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, statSync, utimesSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type WriteRequestInput, WriteAbortedError } from '@penstock/contract';
import { STOP_CANCEL, STOP_SHUTDOWN } from '@penstock/matrix';
import { native } from '@penstock/native';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;
/** So much that it is stopped long before its end on any disk: 3,000 rows one by one, each looked at. */
const SIZE = 16 * MIB + 1001;

let bench: Bench;

beforeEach(() => {
  bench = openBench({ checkpoints: { bytes: 2 * MIB, ms: 60_000 } });
});

afterEach(() => bench.end());

const pathOf = (name: string): string => join(bench.directory, name);

/** Small rows, one at a time, so that there is time to stop it. */
const slow = (request: Partial<WriteRequestInput> = {}): WriteRequestInput => ({
  path: 'a',
  size: SIZE,
  source: { kind: 'pattern', pattern: 'stamp', seed: 3 },
  matrix: { rows: 1, rowBytes: 4096 },
  ...request,
});

/** Begins a write and has it stopped once `bytes` are durable. */
async function begin(request: WriteRequestInput, bytes: number, reason = STOP_SHUTDOWN): Promise<number> {
  const block = bench.control.job(63);
  block.reset();
  const write = bench.write(request, { block, jobKey: 'job', attemptToken: '1' });
  while (block.read().bytesDurable < bytes) await setImmediate();
  block.requestStop(reason);
  await expect(write).rejects.toThrow(WriteAbortedError);
  return block.read().bytesDurable;
}

/** Changes a byte of a file behind its writer's back: who writes it again makes it right again. */
function spoil(path: string, offset: number): void {
  const fd = openSync(path, 'r+');
  const byte = Buffer.alloc(1);
  readSync(fd, byte, 0, 1, offset);
  writeSync(fd, Buffer.from([byte[0]! ^ 0xff]), 0, 1, offset);
  native.fsync(fd);
  closeSync(fd);
}

const again = { jobKey: 'job', attemptToken: '3', again: true } as const;

/** The bytes that `slow` asks for. */
const expected = (seed = 3): Buffer => Buffer.from(readSource(createPatternSource('stamp', seed), 0, SIZE));

test.each(['atomic', 'in-place'] as const)(
  '%s: the next attempt goes on from the last checkpoint, and writes nothing before it again',
  async (publish) => {
    const request = slow({ publish });
    const durable = await begin(request, 4 * MIB);
    const left = publish === 'atomic' ? bench.parts() : ['a'];
    expect(left).toHaveLength(1);
    spoil(pathOf(left[0]!), 5000);
    const result = await bench.write(request, again);
    expect(result.resumedFrom).toBeGreaterThanOrEqual(durable - 4096);
    expect(result.bytes).toBe(SIZE);
    const right = expected();
    const written = readFileSync(pathOf('a'));
    expect(written.length).toBe(SIZE);
    expect(written[5000]).toBe(right[5000]! ^ 0xff);
    right[5000]! ^= 0xff;
    expect(written.equals(right)).toBe(true);
    expect(bench.parts()).toEqual([]);
  },
);

test.each(['atomic', 'in-place'] as const)(
  '%s: an attempt whose predecessor had finished the file, and died before it could say so, writes nothing again',
  async (publish) => {
    await bench.write(slow({ publish }), { jobKey: 'job', attemptToken: '1' });
    const { ino } = statSync(pathOf('a'));
    const right = readFileSync(pathOf('a'));
    const result = await bench.write(slow({ publish }), again);
    expect(result).toMatchObject({ bytes: SIZE, resumedFrom: SIZE, writes: 0 });
    expect(statSync(pathOf('a')).ino).toBe(ino);
    expect(readFileSync(pathOf('a')).equals(right)).toBe(true);
    expect(bench.parts()).toEqual([]);
  },
);

test('a finished file that somebody changed since is written again', async () => {
  await bench.write(slow(), { jobKey: 'job', attemptToken: '1' });
  const right = readFileSync(pathOf('a'));
  spoil(pathOf('a'), 5000);
  const result = await bench.write(slow(), again);
  expect(result.resumedFrom).toBeUndefined();
  expect(readFileSync(pathOf('a')).equals(right)).toBe(true);
});

test('a copy goes on where its source is the same, and begins anew where it has changed, though its time is put back', async () => {
  const source = randomBytes(SIZE);
  writeFileSync(pathOf('source'), source);
  utimesSync(pathOf('source'), 1_600_000_000, 1_600_000_000);
  const { size: _size, ...request } = slow({ source: { kind: 'file', path: 'source' } });
  await begin(request, 4 * MIB);
  const same = await bench.write(request, again);
  expect(same.resumedFrom).toBeGreaterThan(0);
  expect(readFileSync(pathOf('a')).equals(source)).toBe(true);

  await begin(request, 4 * MIB);
  const changed = randomBytes(SIZE);
  writeFileSync(pathOf('source'), changed);
  utimesSync(pathOf('source'), 1_600_000_000, 1_600_000_000);
  const anew = await bench.write(request, again);
  expect(anew.resumedFrom).toBeUndefined();
  expect(readFileSync(pathOf('a')).equals(changed)).toBe(true);
  expect(bench.parts()).toEqual([]);
});

test('another request of the same job begins anew', async () => {
  await begin(slow(), 4 * MIB);
  const other = slow({ source: { kind: 'pattern', pattern: 'stamp', seed: 4 } });
  expect((await bench.write(other, again)).resumedFrom).toBeUndefined();
  expect(readFileSync(pathOf('a')).equals(expected(4))).toBe(true);
});

test.each([
  ['overwritten', { mode: 'overwrite', offset: 777 } as const, 100_000],
  ['overwritten within', { mode: 'overwrite', offset: 777 } as const, SIZE + 10_000],
  ['appended to', { mode: 'append' } as const, 100_000],
])('a file that was being %s is gone on with at the same place', async (_name, how, length) => {
  const before = randomBytes(length);
  writeFileSync(pathOf('a'), before);
  const request = slow(how);
  await begin(request, 4 * MIB);
  const result = await bench.write(request, again);
  const offset = 'offset' in how ? how.offset : before.length;
  expect(result).toMatchObject({ offset, fileBytes: Math.max(length, offset + SIZE) });
  expect(result.resumedFrom).toBeGreaterThan(0);
  const right = Buffer.concat([before.subarray(0, offset), expected(), before.subarray(offset + SIZE)]);
  expect(readFileSync(pathOf('a')).equals(right)).toBe(true);
});

test('a write that is cancelled leaves nothing to go on from', async () => {
  await begin(slow(), 4 * MIB, STOP_CANCEL);
  expect(bench.names()).toEqual([]);
});

test('a write that had not come far is not kept', async () => {
  const block = bench.control.job(63);
  block.reset();
  const write = bench.write(slow(), { block, jobKey: 'job' });
  while (block.read().bytesWritten === 0) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  await expect(write).rejects.toThrow(WriteAbortedError);
  expect(bench.names()).toEqual([]);
});

test('of several parts the furthest is taken over and the others go; what is no part of the job stays', async () => {
  await begin(slow(), 4 * MIB);
  const [furthest] = bench.parts();
  writeFileSync(pathOf('.penstock-job-2.part'), 'no checkpoint');
  writeFileSync(pathOf('.penstock-other-1.part'), "another job's");
  const { ino } = statSync(pathOf(furthest!));
  expect((await bench.write(slow(), again)).resumedFrom).toBeGreaterThan(0);
  expect(statSync(pathOf('a')).ino).toBe(ino);
  expect(bench.parts()).toEqual(['.penstock-other-1.part']);
});

test('a part whose writer still lives is not taken over: it loses its name, and can never be published', async () => {
  const block = bench.control.job(63);
  block.reset();
  const stale = bench.write(slow({ size: '4GB' }), { block, jobKey: 'job', attemptToken: '1' });
  while (block.read().bytesDurable < 4 * MIB) await setImmediate();
  const { ino } = statSync(pathOf(bench.parts()[0]!));
  const result = await bench.write(slow(), again);
  expect(result.resumedFrom).toBeUndefined();
  expect(statSync(pathOf('a')).ino).not.toBe(ino);
  block.requestStop(STOP_CANCEL);
  await expect(stale).rejects.toThrow(WriteAbortedError);
  expect(readFileSync(pathOf('a')).equals(expected())).toBe(true);
});

test('an attempt that is refused removes what it took over', async () => {
  await begin(slow(), 4 * MIB);
  const refused = bench.write(slow({ source: { kind: 'file', path: 'missing' } }), again);
  await expect(refused).rejects.toMatchObject({ code: 'ENOENT' });
  expect(bench.names()).toEqual([]);
});

test('a copy that is stopped with rows in flight goes on from before the first one that was not written', async () => {
  const size = 12 * MIB + 1001;
  const source = randomBytes(size);
  writeFileSync(pathOf('source'), source);
  const block = bench.control.job(63);
  // Each time at another moment: rows are being read, being written, or both.
  for (let round = 0; round < 12; round += 1) {
    block.reset();
    const request = {
      path: 'a',
      source: { kind: 'file', path: 'source' },
      matrix: { rows: 8, rowBytes: 65_536 },
    } as const;
    const first = bench.write(request, { block, jobKey: 'job', attemptToken: '1' });
    const stopped = first.catch((error: unknown) => error);
    while (block.read().bytesWritten < (3 + round / 4) * MIB) await setImmediate();
    block.requestStop(STOP_SHUTDOWN);
    expect(await stopped).toBeInstanceOf(WriteAbortedError);
    expect((await bench.write(request, again)).resumedFrom).toBeGreaterThan(0);
    expect(readFileSync(pathOf('a')).equals(source)).toBe(true);
  }
});
