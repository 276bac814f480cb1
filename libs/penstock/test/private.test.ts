// Promise 5: no file, temporary or final, is ever open to more people than the one it becomes or replaces.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Bench } from '../src/bench.fixture.ts';
import { umask } from '../src/arguments/umask.ts';

const program = fileURLToPath(new URL('private.fixture.mjs', import.meta.url));

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

const modeOf = (name: string): string => (statSync(bench.path(name)).mode & 0o7777).toString(8);

/** Kills a program in the middle of its write, in a directory of its own; the modes of what it leaves and of what stood there. */
async function leftByKilled(way: string): Promise<string[]> {
  mkdirSync(bench.path(way));
  writeFileSync(bench.path(`${way}/a`), 'old');
  chmodSync(bench.path(`${way}/a`), 0o600);
  writeFileSync(bench.path(`${way}/source`), '');
  truncateSync(bench.path(`${way}/source`), 134_217_728);
  const child = spawn(process.execPath, [program, way, bench.path(way)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await exited;
  const part = readdirSync(bench.path(way)).find((name) => name.endsWith('.part'));
  return [part === undefined ? 'none' : modeOf(`${way}/${part}`), modeOf(`${way}/a`)];
}

test('what a killed write, copy or stream leaves is open to its writer alone, where its file is not to be open to all', async () => {
  const ways = ['write', 'copy', 'stream', 'stream of a new file'];
  expect(await Promise.all(ways.map(leftByKilled))).toEqual(ways.map(() => ['600', '600']));
});

test('a file that is replaced hands on its permissions, whichever call replaces it', async () => {
  const writer = await bench.open();
  const calls = [
    () => writer.writeFile(bench.path('a'), 'new'),
    () => writer.copyFile(bench.path('source'), bench.path('a')),
    () => writer.writeFile(bench.path('a'), [Buffer.from('new')]),
  ];
  writeFileSync(bench.path('source'), 'new');
  for (const call of calls) {
    writeFileSync(bench.path('a'), 'old');
    chmodSync(bench.path('a'), 0o604);
    await call();
    expect([modeOf('a'), bench.read('a').toString()]).toEqual(['604', 'new']);
  }
});

test('the umask is read without being changed, as process.umask() would for all threads', () => {
  const changing = jest.spyOn(process, 'umask');
  const read = umask();
  expect(changing).not.toHaveBeenCalled();
  changing.mockRestore();
  expect(read).toBe(process.umask());
});
