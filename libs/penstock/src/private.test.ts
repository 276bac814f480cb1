// Promise 5: no file, temporary or final, is ever open to more people than the one it becomes or replaces.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Bench } from './bench.fixture.ts';
import { umask } from './umask.ts';

const program = fileURLToPath(new URL('private.fixture.mjs', import.meta.url));

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  expect(await bench.clear()).toEqual([]);
});

const modeOf = (name: string): string => (statSync(bench.path(name)).mode & 0o7777).toString(8);

test.each(['write', 'copy', 'stream', 'stream of a new file'])(
  'what a killed %s leaves is open to its writer alone, where the file it was to be is not open to all',
  async (way) => {
    writeFileSync(bench.path('a'), 'old');
    chmodSync(bench.path('a'), 0o600);
    writeFileSync(bench.path('source'), '');
    truncateSync(bench.path('source'), 134_217_728);
    const child = spawn(process.execPath, [program, way, bench.directory], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await exited;
    const part = bench.names().find((name) => name.endsWith('.part'));
    expect([part === undefined ? 'none' : modeOf(part), modeOf('a')]).toEqual(['600', '600']);
  },
);

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
