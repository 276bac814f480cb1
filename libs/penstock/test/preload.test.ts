import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench } from '../src/bench.fixture.ts';

const preload = fileURLToPath(new URL('preload.fixture.mjs', import.meta.url));
/** A program that hangs is killed. */
const HANGS_AFTER_MS = 60_000;

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

test.each([
  ['an option', ['--import', preload], {}],
  ['NODE_OPTIONS', [], { NODE_OPTIONS: `--import ${preload}` }],
])('what a program preloads by %s runs once, and in none of the threads that it opens', async (_, options, env) => {
  await promisify(execFile)(process.execPath, [...options, '--eval', ''], {
    env: { ...process.env, ...env, PRELOAD_DIRECTORY: bench.directory },
    timeout: HANGS_AFTER_MS,
    killSignal: 'SIGKILL',
  });
  expect([bench.read('runs').toString(), statSync(bench.path('a')).size]).toEqual(['.', 5_000_000]);
});
