// Appends after one that was put off or died: where it stands in the file, and where the next one goes.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { STOP_CANCEL, STOP_SHUTDOWN } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, openBench } from './thread.fixture.ts';

const MIB = 1_048_576;
const LONG = {
  path: 'a',
  mode: 'append',
  size: 8 * MIB + 1001,
  source: { kind: 'pattern', pattern: 'stamp', seed: 7 },
  matrix: { rows: 1, rowBytes: 4096 }, // small, one at a time, so that there is time to stop it
} as const;

let bench: Bench;

beforeEach(() => {
  bench = openBench({ checkpoints: { bytes: 2 * MIB, ms: 60_000 } });
});

afterEach(() => {
  expect(bench.fatal).toEqual([]);
  bench.close();
});

const file = (): string => join(bench.directory, 'a');
const again = { jobKey: 'long', attemptToken: 'second', again: true } as const;
const goOn = (): Promise<unknown> => bench.write(LONG, again);
const appendFive = (letter: string): Promise<unknown> =>
  bench.write({
    path: 'a',
    mode: 'append',
    size: 5,
    source: { kind: 'pattern', pattern: 'byte', seed: letter.charCodeAt(0) },
  });

/** Begins the long append, and has it put off with a checkpoint. */
async function putOff(): Promise<void> {
  const block = bench.control.job(63);
  block.reset();
  const write = bench.write(LONG, { block, jobKey: 'long', attemptToken: 'first' });
  while (block.read().bytesDurable === 0) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  await expect(write).rejects.toMatchObject({ code: 'ECANCELED' });
}

/** The long append, and `behind` it. */
function expectFile(behind: string): void {
  const long = readSource(createPatternSource('stamp', 7), 0, LONG.size);
  expect(Buffer.compare(readFileSync(file()), Buffer.concat([long, Buffer.from(behind)]))).toBe(0);
}

test('short appends behind one that was put off are not taken for its padding', async () => {
  await putOff();
  await appendFive('A');
  await appendFive('B');
  await goOn();
  expectFile('AAAAABBBBB');
});

test.each(['itself', 'the next append'])('padding that a killed append has left is cut off by %s', async (by) => {
  await putOff();
  truncateSync(file(), Math.ceil(LONG.size / 512) * 512); // as its last row leaves the file, before the cut
  if (by === 'the next append') {
    await appendFive('A');
    expect(statSync(file()).size).toBe(LONG.size + 5);
  }
  await goOn();
  expectFile(by === 'itself' ? '' : 'AAAAA');
});

test('an append that is cancelled in a later attempt is cut off, unless others have appended behind it', async () => {
  for (const behind of ['', 'A']) {
    await putOff();
    if (behind !== '') await appendFive(behind);
    const block = bench.control.job(62);
    block.reset();
    const write = bench.write(LONG, { ...again, block });
    while (block.read().phase !== 'writing') await setImmediate();
    block.requestStop(STOP_CANCEL);
    await expect(write).rejects.toMatchObject({ code: 'ECANCELED' });
    if (behind === '') expect(bench.names().map((name) => statSync(join(bench.directory, name)).size)).toEqual([0]);
    else expect(readFileSync(file()).subarray(LONG.size).toString()).toBe('AAAAA');
  }
});

test('padding that a killed overwrite has left behind the end of the file is cut off by its next attempt', async () => {
  await bench.write({ path: 'a', size: 1000 });
  const request = { ...LONG, mode: 'overwrite', offset: 700 } as const;
  const block = bench.control.job(63);
  block.reset();
  const write = bench.write(request, { block, jobKey: 'long', attemptToken: 'first' });
  while (block.read().bytesDurable === 0) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  await expect(write).rejects.toMatchObject({ code: 'ECANCELED' });
  truncateSync(file(), Math.ceil((700 + LONG.size) / 512) * 512); // as its last row leaves the file, before the cut
  await bench.write(request, again);
  expect(statSync(file()).size).toBe(700 + LONG.size);
});
