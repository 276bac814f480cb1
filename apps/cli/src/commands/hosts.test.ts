// `penstock hosts` shows what real hosts report: while they write, when they are gone, and which has a name.
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { openStore, type Store } from '@penstock/config';
import type { HostRecord } from '@penstock/queue';
import { Redis } from 'ioredis';
import { Cli, type Running } from '../cli.fixture.ts';

const cli = new Cli();
let store: Store;
const running: Running[] = [];
beforeAll(async () => {
  store = await openStore({ kind: 'embedded', directory: cli.directory }, process.env);
});
afterEach(async () => {
  for (const host of running.splice(0)) {
    host.child.kill('SIGTERM');
    await host.ended;
  }
});
afterAll(async () => {
  await store.close();
  cli.close();
});

async function startHost(name: string, ...args: string[]): Promise<Running> {
  const host = cli.start('host', '--name', name, ...args);
  running.push(host);
  await host.says(/ready/);
  return host;
}

const hostsOf = (stdout: string): HostRecord[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as HostRecord);

/** Resolves with the hosts once they are as asked for: what they report is of the last second. */
async function hostsWhen(isRight: (hosts: HostRecord[]) => boolean): Promise<HostRecord[]> {
  for (;;) {
    const hosts = hostsOf((await cli.run('hosts', '--json')).stdout);
    if (isRight(hosts)) return hosts;
  }
}

test('each host is listed with its state, what it writes, and what its roots have left, while it writes', async () => {
  await startHost('disk-1', '--threads', '1', '--memory', '64MiB', '--limit', '8MiB');
  await startHost('disk-2', '--root', `captures=${cli.directory}:ro`, '--direct', 'captures=off');
  const { stdout: id } = await cli.run('enqueue', 'large.dat', '--size', '1GiB', '--on', 'disk-1');
  const [one, two, ...more] = await hostsWhen(
    ([first, second]) => (first?.vitals?.bytesPerSecond ?? 0) > 0 && second?.vitals?.roots[0]?.freeBytes != null,
  );
  expect(more).toEqual([]);
  expect(one).toMatchObject({
    name: 'disk-1',
    state: 'running',
    alive: true,
    vitals: { threads: 1, aioContexts: 1, running: 1, memoryBytes: 67_108_864, lastError: null },
  });
  expect(one!.vitals!.memoryUsedBytes).toBeGreaterThan(0);
  expect(one!.vitals!.writeLatencyUs!.p99).toBeGreaterThanOrEqual(one!.vitals!.writeLatencyUs!.p50);
  expect(two!.vitals!.roots).toMatchObject([
    { name: 'data', writable: true, direct: true, freeBytes: expect.any(Number), totalBytes: expect.any(Number) },
    { name: 'captures', writable: false, direct: false, freeBytes: null },
  ]);
  const table = await cli.run('hosts');
  expect(table.stdout).toMatch(/disk-1 +│ running +│ 1 of 32 +│ +[\d.]+ MiB\/s/);
  expect(table.stdout).toMatch(/disk-2 +│ running +│ 0 of \d+ +│ +0 MiB\/s +│ - .*data: .* free/);
  const alone = await cli.run('hosts', 'disk-1');
  expect(alone.stdout).toMatch(/^disk-1: running\n {2}process +\d+ on /);
  expect(alone.stdout).toMatch(/p50, p99: [\d.]+ .s, [\d.]+ .s/);
  expect(await cli.run('cancel', id.trim())).toMatchObject({ code: 0 });
}, 120_000);

test('a host whose name another has taken hands its jobs back, and ends with exit code 1', async () => {
  const host = await startHost('disk-4');
  const holder = JSON.stringify({
    pid: 7,
    machine: 'elsewhere',
    instance: 'x',
    numberedBy: 'another boot',
    startedAtTicks: '1',
  });
  const { socketPath } = store.connection as { socketPath: string };
  const redis = new Redis({ path: socketPath });
  await redis.set('bull:penstock:hosts:name:disk-4', holder, 'PX', 10_000);
  expect(await host.ended).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Another host is called 'disk-4': process 7 on machine elsewhere/),
  });
  await redis.hdel('bull:penstock:hosts:seen', 'disk-4'); // the other reports over it, in truth
  redis.disconnect();
}, 120_000);

test('a host that finds no Redis names it, and no more', async () => {
  const ended = await cli.run('host', '--redis', 'redis://127.0.0.1:1');
  expect(ended).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^penstock host: Redis at redis:\/\/127.0.0.1:1 cannot be used: [^\n]*\n$/),
  });
}, 120_000);

test('a second host of a name ends with who has it; one that was killed makes room at once, and is shown as gone; one that was never there is a usage error', async () => {
  const first = await startHost('disk-3');
  const second = await cli.run('host', '--name', 'disk-3');
  expect(second).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Another host is called 'disk-3': process \d+ on machine/),
  });
  expect(first.child.exitCode).toBeNull();
  const [{ process: holder } = { process: null }] = hostsOf((await cli.run('hosts', 'disk-3', '--json')).stdout);
  process.kill(holder!.pid, 'SIGKILL');
  await first.ended;
  const again = await startHost('disk-3');
  again.child.kill('SIGTERM');
  await again.ended;
  expect(await cli.run('hosts')).toMatchObject({
    stdout: '',
    stderr: expect.stringMatching(/no host is here now; --all/),
  });
  expect(await cli.run('hosts', 'disk-5')).toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringMatching(/No host of the name disk-5 was ever here; there are: .*disk-3/),
  });
  expect((await cli.run('hosts', '--all')).stdout).toMatch(/disk-3 +│ stopped, last seen \d{4}-/);
}, 120_000);
