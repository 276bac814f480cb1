// A process that has few descriptors left: what finds none waits for them, and nothing is lost, left or kept open.
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { makeDirectory } from './pool.fixture.ts';

const fixture = fileURLToPath(new URL('few-descriptors.fixture.mjs', import.meta.url));
let directory: string;
beforeEach(() => {
  directory = makeDirectory('few-');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

test('without descriptors small files, replacements and bulks fail by a call that is waited for, and are whole the next time', async () => {
  const command = 'ulimit -n 600; exec "$0" "$@"';
  const sh = ['-c', command, process.execPath, fixture, directory];
  const { stdout } = await promisify(execFile)('sh', sh, { timeout: 100_000 });
  const { outcomes, ...rest } = JSON.parse(stdout) as { outcomes: Record<string, string[]> };
  expect(rest).toEqual({ wrong: [], parts: [], open: [], closed: true });
  // The queue makes both wait without an attempt; a bulk lists its files.
  const possible = ['EMFILE openat', 'EMFILE openat2', 'completed', 'some failed'];
  expect([...new Set(Object.values(outcomes).flat())].toSorted()).toEqual(possible);
}, 120_000);
