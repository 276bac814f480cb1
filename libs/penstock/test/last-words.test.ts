// What write() took of a log is in its file, however the log ends, also where it has no rows at that moment.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Bench } from '../src/bench.fixture.ts';

const program = fileURLToPath(new URL('last-words.fixture.mjs', import.meta.url));
const tooLarge = fileURLToPath(new URL('too-large.fixture.mjs', import.meta.url));

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

test('a log that is destroyed before rows came for its lines has them all', async () => {
  const writer = await bench.open();
  const log = writer.createWriteStream(bench.path('log'), { flags: 'a' });
  log.write('first\n');
  await once(log, 'ready');
  const told = new Promise<unknown>((resolve) => {
    log.write('second\n', resolve);
  });
  log.on('error', () => {}); // as with fs the writes that are behind another are told that it was destroyed
  log.write('third\n');
  log.destroy();
  await Promise.all([once(log, 'close'), told]);
  expect(bench.read('log').toString()).toBe('first\nsecond\nthird\n');
});

test('a log that is destroyed has all its lines in order, though no rows come as long as destroy() waits for them', async () => {
  const writer = await bench.open();
  const log = writer.createWriteStream(bench.path('log'), { flags: 'a' });
  await once(log, 'ready');
  log.on('error', () => {});
  for (const line of ['first', 'second', 'third', 'fourth']) log.write(`${line}\n`);
  // Each look at the clock is a second later: the rows that a busy disk lends late cannot be had on order.
  let now = performance.now();
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => (now += 1000));
  log.destroy();
  clock.mockRestore();
  await once(log, 'close');
  expect(bench.read('log').toString()).toBe('first\nsecond\nthird\nfourth\n');
});

test('a corked log that is destroyed has its lines as they were, though their buffers are used again once write() has called back', async () => {
  const writer = await bench.open();
  const log = writer.createWriteStream(bench.path('log'), { flags: 'a' });
  await once(log, 'ready');
  log.on('error', () => {});
  log.cork();
  for (const line of ['first\n', 'second\n']) {
    const buffer = Buffer.from(line);
    log.write(buffer, () => void buffer.fill('x'));
  }
  let now = performance.now();
  const clock = jest.spyOn(performance, 'now').mockImplementation(() => (now += 1000));
  log.destroy();
  clock.mockRestore();
  await once(log, 'close');
  expect(bench.read('log').toString()).toBe('first\nsecond\n');
});

test('a log that is destroyed without an error reports that what it had taken could not be written', async () => {
  // The limit of the process on sizes of files, in blocks of 512 or 1024 bytes.
  const limited = ['-c', 'ulimit -f 64; exec "$0" "$@"', process.execPath, tooLarge, bench.path('log')];
  const { stdout } = await promisify(execFile)('sh', limited, { timeout: 60_000, killSignal: 'SIGKILL' });
  expect(stdout).toBe('error EFBIG\nclose\n');
});

test('a log whose process exits before rows came for its lines has them all', async () => {
  await promisify(execFile)(process.execPath, [program, bench.path('log')], { timeout: 60_000, killSignal: 'SIGKILL' });
  expect(bench.read('log').toString()).toBe('first\nlast words\n');
});
