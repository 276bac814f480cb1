// The name of a host is held by one process, and its record shows what it is at, whatever its clock says.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { resultOf, Signal, Stage } from '../stage.fixture.ts';
import type { WriteWorkerOptions } from '../work/options.ts';
import type { WriteWorker } from '../work/write-worker.ts';
import type { HostRecord, HostVitals } from './record.ts';
import type { TwinHostError } from './twin-error.ts';

const SEEN = 'bull:penstock:hosts:seen';
const NAME = 'bull:penstock:hosts:name:disk-1';
const program = fileURLToPath(new URL('holder.fixture.mjs', import.meta.url));

let stage: Stage;
const children: ChildProcess[] = [];
beforeEach(async () => {
  stage = await Stage.open();
});
afterEach(async () => {
  jest.restoreAllMocks();
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await stage.clear();
});

/** Another process, which has the name once this resolves. */
async function otherHost(): Promise<ChildProcess> {
  const { socketPath } = stage.connection as { socketPath: string };
  const child = spawn(process.execPath, [program, socketPath, 'disk-1'], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

const host = (more: Partial<WriteWorkerOptions> = {}): Promise<WriteWorker> =>
  stage.worker(async (request) => resultOf(request), { host: 'disk-1', queue: 'own', ...more });

async function record(): Promise<HostRecord | undefined> {
  return (await stage.queue().hosts()).find(({ name }) => name === 'disk-1');
}

/** Resolves with the record once it is as asked for. */
async function recordWhen(isRight: (record: HostRecord) => boolean): Promise<HostRecord> {
  const queue = stage.queue();
  for (;;) {
    const found = (await queue.hosts()).find(({ name }) => name === 'disk-1');
    if (found !== undefined && isRight(found)) return found;
    await delay(20);
  }
}

test('a second host of a name is refused, with the process and the machine that has it', async () => {
  const { pid } = await otherHost();
  await expect(host()).rejects.toMatchObject({
    code: 'ETWINHOST',
    twin: { pid, machine: hostname() },
    message: expect.stringContaining(`Another host is called 'disk-1': process ${pid} on machine ${hostname()}.`),
  });
  expect(await record()).toMatchObject({ state: 'running', process: { pid } });
});

test('the name of a host that was killed is free at once for a host on its machine', async () => {
  const other = await otherHost();
  other.kill('SIGKILL');
  await once(other, 'exit');
  const leftMs = await stage.client.pttl(NAME);
  const from = performance.now();
  await host();
  expect(performance.now() - from).toBeLessThan(leftMs);
  expect(await record()).toMatchObject({ state: 'running', process: { pid: process.pid } });
});

test('the name of a host on another machine that fell silent is waited for, and had', async () => {
  const holder = {
    pid: process.pid,
    machine: 'elsewhere',
    instance: 'x',
    numberedBy: 'another boot',
    startedAtTicks: '1',
  };
  await stage.client.set(NAME, JSON.stringify(holder), 'PX', 2500);
  await host();
  expect(JSON.parse((await stage.client.get(NAME))!)).toMatchObject({ machine: hostname() });
});

test('a host that stops gives its name up, and its record says so', async () => {
  const other = await otherHost();
  other.kill('SIGTERM');
  await once(other, 'exit');
  expect(await stage.client.exists(NAME)).toBe(0);
  expect(await record()).toMatchObject({ state: 'stopped', alive: false });
  await host();
});

test('a host has its name until the writes of its other queue have ended too', async () => {
  const [begun, end] = [new Signal(), new Signal()];
  const any = await stage.worker(
    async (request) => {
      begun.give();
      await end.given;
      return resultOf(request);
    },
    { host: 'disk-1' },
  );
  const own = await host({ nameKeptUntil: () => any.drain('shutdown') });
  await stage.queue().add({ path: 'a', size: '4KiB' });
  await begun.given;
  const drained = own.drain('shutdown');
  await delay(1500); // longer than a worker without jobs takes
  expect(await stage.client.exists(NAME)).toBe(1);
  expect(await record()).toMatchObject({ state: 'draining', alive: true });
  end.give();
  await drained;
  expect(await stage.client.exists(NAME)).toBe(0);
  expect(await record()).toMatchObject({ state: 'stopped' });
});

test('a host that lost its name to another, for it had not reported, is to stop, and reports no more', async () => {
  let lost: (error: TwinHostError) => void = () => {};
  const reported = new Promise<TwinHostError>((resolve) => {
    lost = resolve;
  });
  await host({ onNameLost: lost });
  await stage.client.del(NAME); // as ten silent seconds do
  const holder = { pid: 7, machine: 'elsewhere', instance: 'y', numberedBy: 'another boot', startedAtTicks: '1' };
  await stage.client.set(NAME, JSON.stringify(holder), 'PX', 60_000, 'NX');
  // The beat of this moment may have been first: then the name is ours still, and the other has none.
  if (JSON.parse((await stage.client.get(NAME))!).pid !== 7)
    await stage.client.set(NAME, JSON.stringify(holder), 'PX', 60_000);
  expect(await reported).toMatchObject({ code: 'ETWINHOST', twin: { pid: 7, machine: 'elsewhere' } });
  await stage.client.hset(SEEN, 'disk-1', '{"pid":7}');
  await delay(1200); // longer than a beat
  expect(await stage.client.hget(SEEN, 'disk-1')).toBe('{"pid":7}');
});

test('a host whose clock is wrong by an hour is alive for every client', async () => {
  const now = Date.now.bind(Date);
  jest.spyOn(Date, 'now').mockImplementation(() => now() - 3_600_000);
  await host();
  const seen = await record();
  expect(seen).toMatchObject({ state: 'running', alive: true });
  expect(Math.abs(seen!.seenAtMs - now())).toBeLessThan(60_000);
});

test('what the host measures stands in its record, and a change of its state or its roots at once', async () => {
  const vitals: HostVitals = {
    version: '9.9.9',
    threadsMax: 2,
    threads: 2,
    depth: 64,
    inFlight: 3,
    aioContexts: 2,
    jobs: 32,
    runningMax: 64,
    running: 1,
    memoryBytes: 1000,
    memoryUsedBytes: 500,
    bytesPerSecond: 7,
    writeLatencyUs: { p50: 1, p99: 2 },
    eventLoopDelayMs: 0,
    roots: [],
    lastError: { message: 'once', agoMs: 5 },
  };
  const worker = await host({ vitals: () => vitals });
  expect(await recordWhen(({ state }) => state === 'running')).toMatchObject({ alive: true, vitals, sickRoots: [] });
  worker.reportSickRoots(['captures']);
  expect(await recordWhen(({ sickRoots }) => sickRoots.length > 0)).toMatchObject({ sickRoots: ['captures'] });
  await worker.drain('shutdown');
  expect(await record()).toMatchObject({ state: 'stopped', alive: false, vitals });
});

test('hosts of the version before, with or without a twin, are read as they wrote themselves', async () => {
  const seenAtMs = Date.now();
  const before = { startedAtMs: 1, seenAtMs, pid: 5, machine: 'm', instance: 'i', sickRoots: ['data'] };
  await stage.client.hset(SEEN, 'disk-1', JSON.stringify({ ...before, twin: { pid: 6, machine: 'n' } }));
  expect(await record()).toEqual({
    name: 'disk-1',
    state: 'running',
    alive: true,
    startedAtMs: 1,
    seenAtMs,
    process: { pid: 5, machine: 'm' },
    sickRoots: ['data'],
    twin: { pid: 6, machine: 'n' },
    vitals: null,
  });
  await stage.client.hset(SEEN, 'disk-1', JSON.stringify({ ...before, seenAtMs: seenAtMs - 300_000 }));
  expect(await record()).toMatchObject({ state: 'silent', alive: false });
});

test('a host of the version before that writes under the same name is named in the errors', async () => {
  await host();
  await recordWhen(({ state }) => state === 'running');
  await stage.client.hset(
    SEEN,
    'disk-1',
    JSON.stringify({ seenAtMs: Date.now(), pid: 5, machine: 'm', instance: 'i' }),
  );
  await stage.told(/is called 'disk-1'/);
  expect(stage.errors.map(({ message }) => message)).toEqual([
    expect.stringContaining("Another host is called 'disk-1': process 5 on machine m"),
  ]);
});

test('a record that cannot be read is a host of which nothing is known', async () => {
  await stage.client.hset(SEEN, 'disk-1', 'nonsense');
  expect(await record()).toBeUndefined(); // never seen, and so forgotten
  await stage.client.hset(SEEN, 'disk-1', JSON.stringify([]));
  expect(await record()).toBeUndefined();
  await stage.client.hset(SEEN, 'disk-1', JSON.stringify({ seenAtMs: Date.now(), sickRoots: null }));
  expect(await record()).toMatchObject({ alive: true, sickRoots: [] });
});
