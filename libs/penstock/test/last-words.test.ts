// What write() took of a log is in its file, however the log ends, also where it has no rows at that moment.
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench } from '../src/bench.fixture.ts';

const program = fileURLToPath(new URL('last-words.fixture.mjs', import.meta.url));

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

test('a log whose process exits before rows came for its lines has them all', async () => {
  await promisify(execFile)(process.execPath, [program, bench.path('log')], { timeout: 60_000, killSignal: 'SIGKILL' });
  expect(bench.read('log').toString()).toBe('first\nlast words\n');
});
