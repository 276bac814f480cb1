import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { PHASES } from '@penstock/contract';
import { RootWords, statFd } from '@penstock/disk';
import type { JobBlock } from '@penstock/matrix';
import type { FileFacts } from './io-mode.ts';
import { type Bench, openBench, stamp } from '../thread/thread.fixture.ts';

const WRITING = PHASES.indexOf('writing');
const words = new RootWords(1, 2);

let bench: Bench;
beforeEach(() => {
  bench = openBench({ rootWords: words });
});
afterEach(() => bench.end());

const small = (path: string, seed: number): Parameters<Bench['write']>[0] => ({
  path,
  size: 4096,
  source: { kind: 'pattern', pattern: 'stamp', seed },
});

/** A job block that calls `onWriting` once its write has its file open in the directory, and its row is next. */
function hooked(index: number, onWriting: () => void): JobBlock {
  const block = bench.control.job(index);
  const publish = block.publish.bind(block);
  block.publish = (phase, ...counts) => {
    publish(phase, ...counts);
    if (phase !== WRITING) return;
    block.publish = publish;
    onWriting();
  };
  return block;
}

test('writes that had been handed over when a directory was opened share it for 50 ms, and it is closed with the last', () => {
  mkdirSync(join(bench.directory, 'd'));
  const { directories, roots } = bench.thread;
  const root = roots.get('data', 'root', true);
  const opened = [
    directories.open(root, 'd', 1, 2, 1000),
    directories.open(root, 'd', 2, 2, 1049), // the second write had been handed over by then
    directories.open(root, 'd', 3, 3, 1049), // the third had not
    directories.open(root, 'd', 3, 3, 1099), // too long ago
  ].map((directory) => directory!);
  const fds = opened.map(({ fd }) => fd);
  expect(fds[1]).toBe(fds[0]);
  expect(new Set(fds).size).toBe(3);
  opened[0]!.release();
  expect(readlinkSync(`/proc/self/fd/${fds[1]}`)).toBe(join(bench.directory, 'd'));
  for (const directory of opened.slice(1)) directory.release();
  expect(fds.map((fd) => existsSync(`/proc/self/fd/${fd}`))).toEqual([false, false, false, false]);
  expect(words.takeDirectories(0)).toEqual([]);
});

test('a write that is handed over after its directory was replaced goes into the new one', async () => {
  mkdirSync(join(bench.directory, 'd'));
  let second: Promise<unknown> | undefined;
  const block = hooked(0, () => {
    renameSync(join(bench.directory, 'd'), join(bench.directory, 'moved'));
    mkdirSync(join(bench.directory, 'd'));
    second = bench.write(small('d/second', 2));
  });
  await bench.write(small('d/first', 1), { block });
  await second;
  expect(readdirSync(join(bench.directory, 'moved'))).toEqual(['first']);
  expect(readdirSync(join(bench.directory, 'd'))).toEqual(['second']);
});

test('no write follows a directory out of its root: a link in its place is refused while others still write in it', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'outside-'));
  try {
    mkdirSync(join(bench.directory, 'd'));
    let second: Promise<unknown> | undefined;
    const block = hooked(0, () => {
      renameSync(join(bench.directory, 'd'), join(bench.directory, 'moved'));
      symlinkSync(outside, join(bench.directory, 'd'));
      second = bench.write(small('d/second', 2));
      second.catch(() => {}); // judged below
    });
    await bench.write(small('d/first', 1), { block });
    await expect(second).rejects.toMatchObject({ code: 'EXDEV' });
    expect(readdirSync(outside)).toEqual([]);
  } finally {
    rmSync(outside, { recursive: true });
  }
});

test('a directory that is removed between two files that share it is made again for the second', async () => {
  const directory = join(bench.directory, 'd');
  mkdirSync(directory);
  const block = hooked(0, () => {
    for (const name of readdirSync(directory)) unlinkSync(join(directory, name));
    rmdirSync(directory);
  });
  const writes = [bench.write(small('d/first', 1), { block }), bench.write(small('d/second', 2))];
  const [first] = await Promise.allSettled(writes);
  expect(first).toMatchObject({ status: 'rejected', reason: { code: 'ESTALE' } });
  expect(readdirSync(directory)).toEqual(['second']);
});

test('a shared directory is recorded while it is open: the main thread closes it if the thread dies', async () => {
  mkdirSync(join(bench.directory, 'd'));
  let recorded: string[] = [];
  const block = hooked(0, () => {
    // Taken from a copy: the thread lives on, and will clear its own words.
    const copy = new SharedArrayBuffer(words.buffer.byteLength);
    new Int32Array(copy).set(new Int32Array(words.buffer));
    recorded = new RootWords(1, 2, copy).takeDirectories(0).map((fd) => readlinkSync(`/proc/self/fd/${fd}`));
  });
  await bench.write(small('d/first', 1), { block });
  expect(recorded).toEqual([join(bench.directory, 'd')]);
});

test.each([
  { size: 1_048_576, shares: true },
  { size: 1_048_577, shares: false },
])('a new file of $size bytes shares its directory: $shares', async ({ size, shares }) => {
  mkdirSync(join(bench.directory, 'd'));
  let shared: number[] = [];
  const block = hooked(0, () => {
    const copy = new SharedArrayBuffer(words.buffer.byteLength);
    new Int32Array(copy).set(new Int32Array(words.buffer));
    shared = new RootWords(1, 2, copy).takeDirectories(0);
  });
  await bench.write({ ...small('d/first', 1), size }, { block });
  expect(shared).toHaveLength(shares ? 1 : 0);
  expect(bench.read('d/first').equals(stamp(1, size))).toBe(true);
});

test('what is computed for files of one row is counted, so that the device has 4 MiB of it while the next are computed', async () => {
  const { loop } = bench.thread;
  const counted: number[] = [];
  loop.filled = (bytes) => counted.push(bytes);
  await bench.write({ ...small('first', 1), size: 1_048_576 });
  await bench.write(small('second', 2));
  expect(counted).toEqual([1_048_576, 4096]);
});

test('a failed write does not close the directory under the others', async () => {
  mkdirSync(join(bench.directory, 'd'));
  await bench.write(small('d/stands', 9));
  const writes = [1, 2, 3].map((seed) => bench.write(small(`d/${seed}`, seed)));
  const refused = bench.write({ ...small('d/stands', 5), mode: 'create' }, { jobKey: 'other' });
  const [outcome] = await Promise.allSettled([refused, ...writes]);
  expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'EEXIST' } });
  expect(existsSync(join(bench.directory, 'd/3'))).toBe(true);
  expect(readFileSync(join(bench.directory, 'd/stands')).equals(stamp(9, 4096))).toBe(true);
});

test('a write that is cancelled while its only row is under way leaves nothing, and those beside it are whole', async () => {
  const block = hooked(0, () => block.requestStop(1));
  const writes = [bench.write(small('d/cancelled', 1), { block }), bench.write(small('d/beside', 2))];
  const [cancelled] = await Promise.allSettled(writes);
  expect(cancelled).toMatchObject({ status: 'rejected', reason: { name: 'WriteAbortedError' } });
  expect(readdirSync(join(bench.directory, 'd'))).toEqual(['beside']);
  expect(bench.read('d/beside').equals(stamp(2, 4096))).toBe(true);
});

test('what is true of the first file made in a shared directory is not asked of the next ones', async () => {
  const { directories } = bench.thread;
  const open = directories.open.bind(directories);
  const asked: (FileFacts | null)[] = [];
  directories.open = (...of) => {
    const directory = open(...of)!;
    let { facts } = directory;
    const set = (found: FileFacts | null): void => void asked.push((facts = found));
    if (directory.users === 1) Object.defineProperty(directory, 'facts', { get: () => facts, set });
    return directory;
  };
  const results = await Promise.all([1, 2, 3].map((seed) => bench.write(small(`d/${seed}`, seed))));
  const isDirect = results.every(({ mode }) => mode.endsWith('direct'));
  expect(asked).toHaveLength(isDirect ? 1 : 0);
  for (const seed of [1, 2, 3]) expect(bench.read(`d/${seed}`).equals(stamp(seed, 4096))).toBe(true);
});

test('a file is not written by direct I/O because another in its directory was, if its device refuses that by now', async () => {
  mkdirSync(join(bench.directory, 'd'));
  const fd = openSync(join(bench.directory, 'd'), 'r');
  const { device } = statFd(fd, 'd');
  closeSync(fd);
  const block = hooked(0, () => bench.thread.refusingDevices.note(device));
  const [, second] = await Promise.all([
    bench.write(small('d/first', 1), { block }),
    bench.write(small('d/second', 2)),
  ]);
  expect(second).toMatchObject({ mode: 'aio-buffered' });
  expect(bench.read('d/second').equals(stamp(2, 4096))).toBe(true);
});
