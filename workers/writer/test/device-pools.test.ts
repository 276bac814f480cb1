import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { JobRequestInput } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { STOP_CANCEL } from '@penstock/matrix';
import { DevicePools, type DevicePoolsOptions, type SilenceNews } from '../src/pool/device-pools.ts';
import { stopRunning } from '../src/pool/stop.ts';
import { deaf, makeDirectory } from './pool.fixture.ts';

const MIB = 1_048_576;

let home: string;
let pools: DevicePools | undefined;
let news: SilenceNews[];
beforeEach(() => {
  home = makeDirectory('devices-');
  for (const name of ['a', 'b', 'c']) mkdirSync(join(home, name));
  news = [];
});
afterEach(async () => {
  await pools?.close();
  pools = undefined;
  rmSync(home, { recursive: true, force: true });
});

/** Roots a, b and so on, that count as being on these devices. */
function open(devices: (number | null)[], more: Partial<DevicePoolsOptions> = {}): DevicePools {
  const names = ['a', 'b', 'c'].slice(0, devices.length);
  pools = new DevicePools({
    threads: 1,
    depth: 16,
    jobs: 2,
    memoryBytes: 96 * MIB,
    engine: 'auto',
    roots: names.map((name) => ({ name, path: join(home, name), writable: true })),
    devices: new Map(names.map((name, index) => [name, devices[index]!])),
    onSilence: (told) => news.push(told),
    ...more,
  });
  return pools;
}
const request = (input: JobRequestInput) => parseJob(input);
let jobs = 0;
const run = (input: JobRequestInput) => pools!.run(request(input), `job-${(jobs += 1)}`, 1);

/** Looks as a host does, twice a second, but faster. */
async function watchUntil(isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    pools!.watch();
    await delay(120);
  }
}

test('roots of one file system share threads, slots and all of the row memory', async () => {
  const { jobSlots, rowBudgetBytes } = open([7, 7]);
  expect([jobSlots, rowBudgetBytes]).toEqual([2, 96 * MIB]);
  const results = await Promise.all(['a', 'b'].map((root) => run({ path: 'x', root, size: 5000 }).done));
  expect(results.map(({ bytes }) => bytes)).toEqual([5000, 5000]);
});

test('of several file systems each has its share, and jobs that need more than one of them have a share too', async () => {
  const { jobSlots, rowBudgetBytes } = open([7, 8]);
  expect([jobSlots, rowBudgetBytes]).toEqual([6, 32 * MIB]);
  await run({ path: 'x', root: 'a', size: 5000 }).done;
  const copy = await run({ path: 'y', root: 'b', source: { kind: 'file', root: 'a', path: 'x' } }).done;
  expect(copy.bytes).toBe(5000);
  expect(readFileSync(join(home, 'b/y')).equals(readFileSync(join(home, 'a/x')))).toBe(true);
});

test('a file system that is only read from has no share of its own, and a copy from it goes another way than writes', async () => {
  const roots = [
    { name: 'a', path: join(home, 'a'), writable: true },
    { name: 'b', path: join(home, 'b'), writable: false },
  ];
  writeFileSync(join(home, 'b/from'), 'abc');
  const { jobSlots, rowBudgetBytes } = open([7, 8], { roots });
  expect([jobSlots, rowBudgetBytes]).toEqual([4, 48 * MIB]);
  const copy = run({ path: 'copy', root: 'a', source: { kind: 'file', root: 'b', path: 'from' } });
  const write = run({ path: 'x', root: 'a', size: 5000 });
  expect((await Promise.all([copy.done, write.done])).map(({ bytes }) => bytes)).toEqual([3, 5000]);
});

test('a thread that hangs holds up no write to another file system; its root is named, refused, and used again', async () => {
  open([7, 8], { entry: deaf });
  const hung = run({ path: 'deaf', root: 'a', size: '4GiB' });
  const rejected = hung.done.catch((error: unknown) => error);
  while (hung.block.read().inFlight === 0) await setImmediate();
  expect(pools!.silenceOf(request({ path: 'x', root: 'a', size: 1 }))).toBeNull();
  await watchUntil(() => news.length > 0);
  expect(news).toMatchObject([{ roots: ['a'], some: false, silent: true }]);
  const refusal = pools!.silenceOf(request({ path: 'x', root: 'a', size: 1 }));
  expect(refusal).toMatchObject({
    code: 'ETIMEDOUT',
    message: expect.stringMatching(/Root a has not answered for \d+ s/),
  });
  const copy = { path: 'y', root: 'b', source: { kind: 'file', root: 'a', path: 'x' } } as const;
  expect(pools!.silenceOf(request(copy))).not.toBeNull();
  expect(pools!.silenceOf(request({ path: 'x', root: 'b', size: 1 }))).toBeNull();
  const others = Array.from({ length: 2 }, (_, index) => run({ path: `${index}`, root: 'b', size: MIB }).done);
  expect((await Promise.all(others)).map(({ bytes }) => bytes)).toEqual([MIB, MIB]);

  stopRunning(hung, STOP_CANCEL, 60_000, { awaited: false }); // it is known to be silent: not waited for; its deaf thread is replaced
  expect(await rejected).toMatchObject({ code: 'ECANCELED' });
  await watchUntil(() => news.length > 1);
  expect(news[1]).toMatchObject({ roots: ['a'], silent: false });
  expect((await run({ path: 'again', root: 'a', size: 5000 }).done).bytes).toBe(5000);
});

test('a write for whose file system no slot is free waits in line, and is sent away where that falls silent', async () => {
  open([7, 8], { entry: deaf });
  const hung = run({ path: 'deaf', root: 'a', size: '4GiB' });
  hung.done.catch(() => {});
  while (hung.block.read().inFlight === 0) await setImmediate();
  const seen = (): number => hung.block.read().bytesWritten;
  for (let last = -1; last !== seen(); await delay(100)) last = seen(); // it is deaf
  run({ path: 'beside', root: 'a', size: 1 }).done.catch(() => {}); // it ends with the thread
  const next = request({ path: 'next', root: 'a', size: 1 });
  const turn = pools!.enter(next);
  expect(turn).not.toBeNull();
  expect(pools!.enter(request({ path: 'x', root: 'b', size: 1 }))).toBeNull();
  const refused = turn!.granted.catch((error: unknown) => error);
  await watchUntil(() => news.length > 0);
  expect(await refused).toMatchObject({ code: 'ETIMEDOUT' });
  turn!.leave();
  hung.leave(new Error('over'));
  await watchUntil(() => news.length > 1); // the deaf thread is replaced
});

test('a root that has not answered is refused until its device is known', async () => {
  open([7, null]);
  const job = request({ path: 'x', root: 'b', size: 5000 });
  expect(pools!.silenceOf(job)).toMatchObject({ message: expect.stringContaining('since this host began') });
  pools!.setDevice('b', 9);
  expect(pools!.silenceOf(job)).toBeNull();
  expect((await pools!.run(job, 'job', 1).done).bytes).toBe(5000);
});
