// Two plain commands on one data directory: neither may notice how the other ends.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Cli, type Ended, processesNaming, type Running } from '../cli.fixture.ts';

let cli: Cli;
beforeEach(() => {
  cli = new Cli();
});
afterEach(() => cli.close());

/** The host that it starts, if it does, writes 30 MiB/s. */
const write = (name: string, size: string): Running => {
  const running = cli.start('write', name, '--size', size, '--limit', '30MiB', '--threads', '1');
  running.child.stdin?.end();
  return running;
};
const redisPids = (): string[] =>
  processesNaming(join(cli.directory, 'redis/redis.sock'))
    .filter((line) => /redis-server|valkey-server/.test(line))
    .map((line) => line.split(' ')[0]!);

async function isWriting(): Promise<void> {
  const files = join(cli.directory, 'files');
  while (!existsSync(files) || !readdirSync(files).some((name) => name.endsWith('.part'))) await sleep(20);
}

/** Nothing of how the other ended is told, and what was written before is not written again. */
function expectUndisturbed({ code, stderr, stdout }: Ended): void {
  expect(stderr).not.toMatch(/redis|socket|TLS|connection|unexpectedly/i);
  expect(code).toBe(0);
  expect(stdout).toMatch(/MiB of it by an earlier attempt/);
}

test('a write beside the one that started Redis and the host goes on when that has ended', async () => {
  const first = write('first.dat', '60MiB');
  await isWriting();
  const pids = redisPids();
  expect(pids).toHaveLength(1);
  const second = write('second.dat', '150MiB');
  expect(await first.ended).toMatchObject({ code: 0, stderr: expect.not.stringMatching(/redis|socket|TLS/i) });
  expect(redisPids()).toEqual(pids);
  expect(await second.ended).toMatchObject({ code: 0, stderr: expect.not.stringMatching(/redis|socket|TLS/i) });
  expect(redisPids()).toEqual([]);
}, 120_000);

test('a write beside `up` goes on with what it has written when that is told to stop', async () => {
  const up = cli.start('up', '--port', '0', '--limit', '30MiB', '--threads', '1');
  await up.says(/Ctrl-C stops all of it/);
  const pids = redisPids();
  const beside = write('beside.dat', '300MiB');
  await beside.says(/beside\.dat +\d+% +\d\d/); // ten MiB and more
  up.child.kill('SIGINT');
  expect(await up.ended).toMatchObject({ code: 0 });
  expect(redisPids()).toEqual(pids);
  expectUndisturbed(await beside.ended);
  expect(redisPids()).toEqual([]);
}, 120_000);

test('a write beside the one that started Redis goes on with what it has written when that is killed', async () => {
  const first = write('first.dat', '4GiB');
  await isWriting();
  const pids = redisPids();
  const second = write('second.dat', '300MiB');
  await second.says(/second\.dat +\d+% +\d\d/);
  first.child.kill('SIGKILL');
  await first.ended;
  expect(redisPids()).toEqual(pids);
  // The killed one's job is in the queue as well, and shares the rate of the host that comes next.
  expectUndisturbed(await second.ended);
  expect(redisPids()).toEqual([]);
}, 120_000);
