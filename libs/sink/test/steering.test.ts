import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type JobBlock, type JobReading, STOP_CANCEL } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, openBench } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;

let bench: Bench;
let block: JobBlock;
beforeEach(() => {
  bench = openBench();
  block = bench.control.job(63);
  block.reset();
});
afterEach(() => bench.end());

async function until(accepts: (reading: JobReading) => boolean): Promise<JobReading> {
  for (;;) {
    const reading = block.read();
    if (accepts(reading)) return reading;
    await setImmediate();
  }
}

const underWay = ({ bytesWritten, phase }: JobReading): boolean => phase === 'writing' && bytesWritten > 0;
const isPaused = ({ phase }: JobReading): boolean => phase === 'paused';

/** As the main thread does it. */
function tell(change: () => void): void {
  change();
  bench.thread.loop.wake();
}

const stamp = { kind: 'pattern', pattern: 'stamp', seed: 3 } as const;
const bytesOf = (size: number): Buffer => Buffer.from(readSource(createPatternSource('stamp', 3), 0, size));
const expectFile = (name: string, expected: Buffer): void => {
  if (Buffer.compare(bench.read(name), expected) !== 0) throw new Error(`${name} differs`);
};

test('a limited write is never faster than its limit, and has every byte', async () => {
  const size = 12 * MIB + 5;
  block.rate.set(16 * MIB);
  const { durationsMs } = await bench.write({ path: 'a', size, source: stamp }, { block });
  expect(durationsMs.writing).toBeGreaterThan((size / (16 * MIB)) * 1000 * 0.9);
  expectFile('a', bytesOf(size));
});

test('a limit that is lifted while the write waits for its turn lets it go on at once', async () => {
  block.rate.set(100);
  const write = bench.write({ path: 'a', size: 8 * MIB, source: stamp }, { block });
  await until(underWay);
  tell(() => block.rate.set(0));
  const { durationsMs } = await write;
  expect(durationsMs.writing).toBeLessThan(20_000); // 41 s for each block
  expectFile('a', bytesOf(8 * MIB));
});

test('all writes to a root and a host keep its limit together', async () => {
  bench.thread.rates.host.set(16 * MIB);
  const begunAt = performance.now();
  await Promise.all(['a', 'b', 'c'].map((path) => bench.write({ path, size: 4 * MIB })));
  expect(performance.now() - begunAt).toBeGreaterThan(650);
});

test('the items of a bulk share the limit of its job', async () => {
  block.rate.set(2 * MIB);
  const files = Array.from({ length: 256 }, (_, index) => ({ path: `${index}` }));
  const begunAt = performance.now();
  const { failed } = await bench.bulk({ size: 8192, files }, { block });
  expect(failed).toBe(0);
  expect(performance.now() - begunAt).toBeGreaterThan(850);
});

test.each([
  ['a pattern', stamp],
  ['a copy', { kind: 'file', path: 'origin', root: 'archive' }],
] as const)(
  '%s that is paused drains, gives its rows back, stands still, and completes the exact file',
  async (_what, source) => {
    const size = 6 * MIB + 123;
    writeFileSync(join(bench.archive, 'origin'), bytesOf(size));
    block.rate.set(4 * MIB);
    const write = bench.write({ path: 'a', size, source, matrix: { rows: 4, rowBytes: 262_144 } }, { block });
    await until(underWay);
    const { arena } = bench.thread;
    expect(arena.freeBytes).toBeLessThan(arena.sizeBytes);
    tell(() => block.pause(true));
    const { bytesWritten, inFlight } = await until(isPaused);
    expect(inFlight).toBe(0);
    expect(bytesWritten).toBeLessThan(size);
    expect(arena.freeBytes).toBe(arena.sizeBytes);
    // Another write has the same memory meanwhile, and leaves its own bytes in it.
    await bench.write({ path: 'other', size: 8 * MIB, source: { kind: 'pattern', pattern: 'random', seed: 9 } });
    expect(block.read()).toMatchObject({ phase: 'paused', bytesWritten });
    tell(() => {
      block.rate.set(0);
      block.pause(false);
    });
    const { durationsMs } = await write;
    expect(durationsMs.paused).toBeGreaterThan(0);
    expectFile('a', bytesOf(size));
  },
);

test('a write that is paused before it begins opens nothing until it is resumed', async () => {
  block.pause(true);
  const write = bench.write({ path: 'a', size: 10_000, source: stamp }, { block });
  await until(isPaused);
  expect(bench.names()).toEqual([]);
  tell(() => block.pause(false));
  await write;
  expectFile('a', bytesOf(10_000));
});

test('a bulk that is paused stands still between and within its items', async () => {
  block.rate.set(MIB);
  const files = Array.from({ length: 100 }, (_, index) => ({ path: `${index}` }));
  const bulk = bench.bulk({ size: 65_536, files, source: stamp }, { block });
  await until(({ bytesWritten }) => bytesWritten > 0);
  tell(() => block.pause(true));
  const { bytesWritten } = await until(isPaused);
  await bench.write({ path: 'other', size: 8 * MIB });
  expect(block.read()).toMatchObject({ phase: 'paused', bytesWritten });
  tell(() => {
    block.rate.set(0);
    block.pause(false);
  });
  expect(await bulk).toMatchObject({ failed: 0 });
  for (const { path } of files) expectFile(path, bytesOf(65_536));
});

test('a paused write that is cancelled ends, and leaves nothing', async () => {
  block.rate.set(4 * MIB);
  const write = bench.write({ path: 'a', size: 64 * MIB }, { block }).catch((error: unknown) => error);
  await until(underWay);
  tell(() => block.pause(true));
  await until(isPaused);
  tell(() => block.requestStop(STOP_CANCEL));
  expect(await write).toMatchObject({ code: 'ECANCELED', reason: 'cancel' });
  expect(bench.names()).toEqual([]);
});

test('a write that waits for row memory is cancelled though no memory comes', async () => {
  const { rowMemory } = bench.thread;
  const holder = {};
  rowMemory.join(holder, rowMemory.bytesMax);
  const held = rowMemory.take(holder, rowMemory.bytesMax)!;
  const write = bench.write({ path: 'a', size: 4 * MIB }, { block }).catch((error: unknown) => error);
  await until(({ phase }) => phase === 'waiting');
  while (bench.names().length === 0) await setImmediate();
  tell(() => block.requestStop(STOP_CANCEL));
  expect(await write).toMatchObject({ reason: 'cancel' });
  expect(bench.names()).toEqual([]);
  rowMemory.release(held);
});

test('a write that waits for its turn under a limit is cancelled at once', async () => {
  block.rate.set(10);
  const write = bench.write({ path: 'a', size: 4 * MIB }, { block }).catch((error: unknown) => error);
  await until(underWay);
  tell(() => block.requestStop(STOP_CANCEL));
  expect(await write).toMatchObject({ reason: 'cancel' });
  expect(bench.names()).toEqual([]);
});

test('a write that is flushed is not published any more once it is cancelled', async () => {
  writeFileSync(join(bench.directory, 'a'), 'old');
  const { engine } = bench.thread;
  const prepare = engine.prepFsync.bind(engine);
  // With its attributes, since it takes the place of a file.
  engine.prepFsync = (slot, fd) => {
    block.requestStop(STOP_CANCEL); // at the latest moment at which it is still told in time
    prepare(slot, fd);
  };
  const write = bench.write({ path: 'a', size: 4 * MIB }, { block }).catch((error: unknown) => error);
  expect(await write).toMatchObject({ reason: 'cancel' });
  expect(bench.read('a').toString('utf8')).toBe('old');
  expect(bench.names()).toEqual(['a']);
});

test('a job that is cancelled before its next attempt begins leaves nothing of the attempts before', async () => {
  // What a killed host left: a partial file, by the name that an attempt gives it.
  const before = bench.write({ path: 'a', size: 64 * MIB, limit: { bytesPerSecond: MIB } }, { block, jobKey: 'k' });
  const failed = before.catch((error: unknown) => error);
  block.rate.set(MIB);
  await until(underWay);
  const [part = ''] = bench.names();
  const { rates } = bench.thread;
  expect(rates.host.bytesPerSecond).toBe(0);
  tell(() => block.requestStop(STOP_CANCEL));
  await failed;
  writeFileSync(join(bench.directory, part), 'left');
  const next = bench.control.job(62);
  next.reset();
  next.requestStop(STOP_CANCEL);
  const again = bench.write({ path: 'a', size: 64 * MIB }, { block: next, jobKey: 'k', again: true });
  await expect(again).rejects.toMatchObject({ reason: 'cancel' });
  expect(bench.names()).toEqual([]);
});
