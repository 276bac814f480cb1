// Checkpoints of attempts that ended without a word: believed where they are true, and only there.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { WriteRequestInput } from '@penstock/contract';
import { STOP_CANCEL, STOP_LOST, STOP_SHUTDOWN } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;
const SIZE = 8 * MIB + 1001;

let bench: Bench;

beforeEach(() => {
  bench = openBench({ checkpoints: { bytes: 2 * MIB, ms: 60_000 } });
});

afterEach(() => bench.end());

const request = (publish: 'atomic' | 'in-place', seed = 3): WriteRequestInput => ({
  path: 'a',
  publish,
  size: SIZE,
  source: { kind: 'pattern', pattern: 'stamp', seed },
  matrix: { rows: 1, rowBytes: 4096 }, // small, one at a time, so that there is time to stop it
});

/** Begins a write, and ends it by `stop` once `bytes` are written. */
async function begin(
  asked: WriteRequestInput,
  jobKey: string,
  bytes: number,
  stop: (index: number) => void,
): Promise<void> {
  const block = bench.control.job(63);
  block.reset();
  block.holdFor(60_000);
  const write = bench.write(asked, { block, jobKey, attemptToken: '1' });
  while (block.read().bytesWritten < bytes) await setImmediate();
  stop(63);
  await expect(write).rejects.toMatchObject({ code: 'ECANCELED' });
}

const again = (jobKey: string) => ({ jobKey, attemptToken: '2', again: true }) as const;

function expectWhole(): void {
  const expected = readSource(createPatternSource('stamp', 3), 0, SIZE);
  expect(Buffer.compare(bench.read('a'), expected)).toBe(0);
}

test('in place, what another job has written since is not taken for the own bytes', async () => {
  const shutDown = (index: number): void => bench.control.job(index).requestStop(STOP_SHUTDOWN);
  const others: (() => Promise<unknown>)[] = [
    () => bench.write({ path: 'a', publish: 'in-place', size: 1000 }),
    () => bench.write({ path: 'a', mode: 'overwrite', offset: MIB + 7, size: 100 }),
    () => begin(request('in-place', 4), 'other', MIB, (index) => bench.control.job(index).requestStop(STOP_CANCEL)),
  ];
  for (const [index, other] of others.entries()) {
    await begin(request('in-place'), `job${index}`, 4 * MIB, shutDown);
    await other();
    const result = await bench.write(request('in-place'), again(`job${index}`));
    expect(result.resumedFrom).toBeUndefined();
    expectWhole();
  }
});

test.each(['atomic', 'in-place'] as const)(
  '%s: a write whose lock ran out by the clock leaves its checkpoint to the next attempt',
  async (publish) => {
    await begin(request(publish), 'job', 4 * MIB, (index) => bench.control.job(index).holdFor(0));
    expect(bench.names()).toHaveLength(1);
    const result = await bench.write(request(publish), again('job'));
    expect(result.resumedFrom).toBeGreaterThanOrEqual(2 * MIB);
    expectWhole();
    expect(bench.parts()).toEqual([]);
  },
);

test('a write whose lock is said to be gone while it should last leaves nothing: its job may be gone as well', async () => {
  await begin(request('atomic'), 'job', 4 * MIB, (index) => bench.control.job(index).requestStop(STOP_LOST));
  expect(bench.names()).toEqual([]);
});

test('an append that was cut off again is written from its beginning', async () => {
  const before = Buffer.from('begin|');
  writeFileSync(join(bench.directory, 'a'), before);
  const append = { ...request('atomic'), publish: 'in-place', mode: 'append' } as const;
  await begin(append, 'job', 4 * MIB, (index) => bench.control.job(index).requestStop(STOP_LOST));
  expect(bench.read('a').equals(before)).toBe(true);
  await bench.write(append, again('job'));
  const expected = Buffer.concat([before, readSource(createPatternSource('stamp', 3), 0, SIZE)]);
  expect(Buffer.compare(bench.read('a'), expected)).toBe(0);
});

test('a file in place that was cut behind its writer is written from its beginning, also once another job has filled it', async () => {
  const shutDown = (index: number): void => bench.control.job(index).requestStop(STOP_SHUTDOWN);
  for (const filled of [false, true]) {
    const job = `filled ${filled}`;
    await begin(request('in-place'), job, 4 * MIB, shutDown);
    truncateSync(join(bench.directory, 'a'));
    if (filled) await bench.write(request('in-place', 4));
    const result = await bench.write(request('in-place'), again(job));
    expect(result.resumedFrom).toBeUndefined();
    expectWhole();
  }
});
