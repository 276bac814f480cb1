// What docs/library.md shows is run as it stands there.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';

const page = readFileSync(fileURLToPath(new URL('../../docs/library.md', import.meta.url)), 'utf8');
const programs = [...page.matchAll(/^```js\n([^]*?)^```$/gm)].map((match) => match[1]!);
const scratch = fileURLToPath(new URL('../../.cache/scratch/', import.meta.url));

let directory: string;
beforeAll(() => {
  mkdirSync(scratch, { recursive: true });
  directory = mkdtempSync(join(scratch, 'page-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs the page's program of that index; its files are beside it. */
async function run(index: number): Promise<string> {
  const script = join(directory, `${index}.mjs`);
  writeFileSync(script, programs[index]!);
  return (await promisify(execFile)(process.execPath, [script], { cwd: directory })).stdout;
}

test('the first program writes, copies and streams', async () => {
  expect(await run(0)).toMatch(/^16777216 \S+ true\n$/);
  const zeros = Buffer.alloc(16_777_216);
  for (const name of ['zeros.img', 'copy.img', 'streamed.img']) {
    expect(readFileSync(join(directory, name)).equals(zeros)).toBe(true);
  }
  expect(readFileSync(join(directory, 'state.json'), 'utf8')).toBe('{"run":42}');
});

test('the second is aborted on its way, and leaves nothing', async () => {
  expect(await run(1)).toBe('AbortError enough at less than all\n');
  expect(readdirSync(directory).filter((name) => /large|part/.test(name))).toEqual([]);
});

test('the third writes a log, and there is no other', async () => {
  expect(programs.length).toBe(3);
  expect(await run(2)).toBe('');
  expect(readFileSync(join(directory, 'app.log'), 'utf8')).toBe('started\n');
});
