// Appends after one that was put off or died: where it stands in the file, and where the next one goes.
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { native } from '@penstock/native';
import { STOP_CANCEL, STOP_SHUTDOWN } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import type { AppendAnswer, AppendQuestion, Fate } from '@penstock/contract';
import { APPENDS_ATTRIBUTE, NO_JOB } from './record.ts';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

const MIB = 1_048_576;
const LONG = {
  path: 'a',
  mode: 'append',
  size: 8 * MIB + 1001,
  source: { kind: 'pattern', pattern: 'stamp', seed: 7 },
  matrix: { rows: 1, rowBytes: 4096 }, // small, one at a time, so that there is time to stop it
} as const;

let bench: Bench;
/** What the queue says of each job; alive unless told otherwise. */
let fates: Map<string, Fate>;
/** What the queue was asked, and the places that ended jobs keep. */
let questions: AppendQuestion[];
let places: Map<string, string>;

beforeEach(() => {
  [fates, questions, places] = [new Map(), [], new Map()];
  bench = openBench({
    checkpoints: { bytes: 2 * MIB, ms: 60_000 },
    askQueue: (asked) => Promise.resolve(answer(asked)),
  });
});

/** As the queue answers. */
function answer(question: AppendQuestion): AppendAnswer {
  questions.push(question);
  const told = question.entries.map(({ jobKey, place }) => {
    const fate = fates.get(jobKey) ?? 'alive';
    if (fate === 'completed' || fate === 'failed') places.set(jobKey, place);
    return fate;
  });
  return { own: question.own === null ? null : places.get(question.own.jobKey) || null, fates: told };
}

afterEach(() => bench.end());

const file = (): string => join(bench.directory, 'a');
const again = { jobKey: 'long', attemptToken: '2', again: true } as const;
const goOn = (): Promise<unknown> => bench.write(LONG, again);
const appendFive = (letter: string, options: Parameters<Bench['write']>[1] = {}): Promise<unknown> =>
  bench.write(
    {
      path: 'a',
      mode: 'append',
      size: 5,
      source: { kind: 'pattern', pattern: 'byte', seed: letter.charCodeAt(0) },
    },
    options,
  );
const record = (): string => {
  const value = new Uint8Array(new ArrayBuffer(8192));
  const fd = openSync(file(), 'r');
  const length = native.fgetxattr(fd, APPENDS_ATTRIBUTE, value);
  closeSync(fd);
  return Buffer.from(value.buffer, 0, Math.max(0, length)).toString();
};

/** Begins the long append, and has it put off with a checkpoint. */
async function putOff(): Promise<void> {
  const block = bench.control.job(63);
  block.reset();
  const write = bench.write(LONG, { block, jobKey: 'long', attemptToken: '1' });
  while (block.read().bytesDurable === 0) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  await expect(write).rejects.toMatchObject({ code: 'ECANCELED' });
  block.reset(); // it is another write's in its turn
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
  const write = bench.write(request, { block, jobKey: 'long', attemptToken: '1' });
  while (block.read().bytesDurable === 0) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  await expect(write).rejects.toMatchObject({ code: 'ECANCELED' });
  truncateSync(file(), Math.ceil((700 + LONG.size) / 512) * 512); // as its last row leaves the file, before the cut
  await bench.write(request, again);
  expect(statSync(file()).size).toBe(700 + LONG.size);
});

test('no number of other appends makes an append that was put off run twice', async () => {
  await putOff();
  const letters = Array.from({ length: 120 }, (_, index) => String.fromCharCode(65 + (index % 26)));
  for (const [index, letter] of letters.entries()) {
    await appendFive(letter, { jobKey: `five${index}`, job: `test//five${index}/${(100 + index).toString(36)}` });
    fates.set(`five${index}`, index % 2 === 0 ? 'gone' : 'completed');
  }
  expect(record().split('\n').length).toBeLessThan(30);
  await goOn();
  expectFile(letters.map((letter) => letter.repeat(5)).join(''));
  // Once as the first one came behind the unfinished one, and once in some twenty.
  expect(questions.length).toBeLessThan(10);
});

test('an append that is retried when the file names it no more writes to its place again', async () => {
  await appendFive('A', { jobKey: 'first', job: 'test//first/a' });
  fates.set('first', 'completed');
  for (let index = 0; index < 30; index += 1) {
    await appendFive('B', { jobKey: `b${index}`, job: `test//b${index}/${(100 + index).toString(36)}` });
    fates.set(`b${index}`, 'completed');
  }
  expect(record()).not.toContain('first');
  const before = readFileSync(file());
  questions.length = 0;
  await appendFive('C', { jobKey: 'first', job: 'test//first/a' });
  expect(questions).toHaveLength(1);
  expect(readFileSync(file()).toString()).toBe(before.toString().replace('AAAAA', 'CCCCC'));
});

test('an append that is retried after its file was cut or replaced is appended to what stands there now', async () => {
  for (const way of ['cut', 'replaced', 'cut and filled again'] as const) {
    const key = way.replaceAll(' ', '-');
    await appendFive('A', { jobKey: key, job: `test//${key}/a` });
    if (way === 'replaced') await bench.write({ path: 'a', size: 3, source: { kind: 'inline', data: 'eHl6' } });
    else truncateSync(file(), 0);
    if (way === 'cut and filled again')
      await bench.write({ path: 'a', mode: 'replace', publish: 'in-place', size: 900 });
    const standing = readFileSync(file());
    await appendFive('A', { jobKey: key, job: `test//${key}/a` });
    expect(readFileSync(file()).equals(Buffer.concat([standing, Buffer.from('AAAAA')]))).toBe(true);
    await bench.write({ path: 'a', mode: 'replace', size: 0 });
  }
});

test('what a job has left that failed for good is cut off by the next append, and by no other job before', async () => {
  writeFileSync(file(), 'head|');
  await putOff();
  fates.set('long', 'failed');
  await appendFive('A');
  expect(readFileSync(file()).toString()).toBe('head|AAAAA');
});

test('a file that is full of unfinished appends takes no further one, and says why', async () => {
  for (let index = 0; index < 24; index += 1) await appendFive('A', { jobKey: `a${index}` });
  const refused = appendFive('B', { jobKey: 'b' });
  await expect(refused).rejects.toMatchObject({ code: 'EBUSY', syscall: 'fsetxattr', path: file() });
  await expect(refused).rejects.toThrow(/user\.penstock\.appends.*24 appends to this file are not finished/);
  expect(statSync(file()).size).toBe(24 * 5);
  fates.set('a7', 'gone');
  await appendFive('B', { jobKey: 'b' });
  expect(statSync(file()).size).toBe(25 * 5);
});

test('writes outside any queue leave no record, and what a dead one has left is cut off by the next', async () => {
  await appendFive('A', { job: NO_JOB });
  expect(record()).toBe('');
  const block = bench.control.job(63);
  block.reset();
  const dying = bench.write(LONG, { block, jobKey: 'long', job: NO_JOB });
  while (block.read().bytesWritten < MIB) await setImmediate();
  const [torn, left] = [readFileSync(file()), record()]; // as a kill would leave both
  block.requestStop(STOP_CANCEL);
  await expect(dying).rejects.toMatchObject({ code: 'ECANCELED' });
  writeFileSync(file(), torn);
  const fd = openSync(file(), 'r+');
  native.fsetxattr(fd, APPENDS_ATTRIBUTE, Buffer.from(left));
  closeSync(fd);
  expect(left).toMatch(/ b -$/m);
  await appendFive('B');
  expect(readFileSync(file()).toString()).toBe('AAAAABBBBB');
});

test('an overwrite that ends just before the end of its file leaves that end alone, also at its second attempt', async () => {
  const before = Buffer.from('0123456789');
  writeFileSync(file(), before);
  const fd = openSync(file(), 'r+'); // as an attempt that died leaves it whose size was told by a server
  native.fsetxattr(fd, APPENDS_ATTRIBUTE, Buffer.from('v2 abc 0 0\nlong 2 5 b test//long/1 a\n'));
  closeSync(fd);
  const source = { kind: 'inline', data: 'QUFBQUE=' } as const;
  await bench.write({ path: 'a', mode: 'overwrite', offset: 2, source }, { ...again });
  expect(readFileSync(file()).toString()).toBe('01AAAAA789');
  expect(record()).toBe('');
});

test('the record of an older version still tells a second attempt its place', async () => {
  writeFileSync(file(), '0123456789');
  const fd = openSync(file(), 'r+');
  native.fsetxattr(fd, APPENDS_ATTRIBUTE, Buffer.from('older 2 5 1\n'));
  closeSync(fd);
  await appendFive('A', { jobKey: 'older' });
  expect(readFileSync(file()).toString()).toBe('01AAAAA789');
});
