import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench } from '../bench.fixture.ts';

const program = fileURLToPath(new URL('exit.fixture.mjs', import.meta.url));
/** A program that hangs is killed, and its code is null. */
const HANGS_AFTER_MS = 60_000;

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

async function run(way: string): Promise<{ code: number | null; signal: string | null; stderr: string }> {
  const options = { timeout: HANGS_AFTER_MS, killSignal: 'SIGKILL' } as const;
  try {
    const { stderr } = await promisify(execFile)(process.execPath, [program, way, bench.directory], options);
    return { code: 0, signal: null, stderr };
  } catch (error) {
    const { code, signal, stderr } = error as { code: number | null; signal: string | null; stderr: string };
    return { code, signal, stderr };
  }
}

test('a program that forgets to close ends by itself, with its files written', async () => {
  expect(await run('forgets')).toEqual({ code: 0, signal: null, stderr: '' });
  expect([bench.read('a').toString(), bench.read('b').toString()]).toEqual(['written', 'streamed']);
  expect(bench.names()).toEqual(['a', 'b']);
});

test('a program that opens a writer and does nothing with it ends by itself', async () => {
  expect(await run('unused')).toEqual({ code: 0, signal: null, stderr: '' });
});

test('a write that nobody awaits is done before its program ends', async () => {
  expect(await run('unawaited')).toEqual({ code: 0, signal: null, stderr: '' });
  expect(bench.read('a').equals(Buffer.alloc(3_000_000, 1))).toBe(true);
});

test('process.exit in the middle of a write ends the program at once, and no half file has its name', async () => {
  expect(await run('exits')).toMatchObject({ code: 7, signal: null });
  expect(bench.names()).not.toContain('a');
});

test('an error that nobody catches ends the program as ever', async () => {
  const { code, signal, stderr } = await run('throws');
  expect({ code, signal }).toEqual({ code: 1, signal: null });
  expect(stderr).toContain('on purpose');
  expect(bench.names()).not.toContain('a');
});
