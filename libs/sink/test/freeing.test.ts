// The blocks of large files are freed by another thread: here by the test, when it chooses.
import { readFileSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteRequestInput, WriteResult } from '@penstock/contract';
import { FREEING_SLOTS, FreeingTable, RingProducer, STOP_CANCEL, createRing } from '@penstock/matrix';
import { native } from '@penstock/native';
import { freeNext } from '../src/device/free-next.ts';
import { FREED_ELSEWHERE_BYTES_MIN, Freeing } from '../src/device/freeing.ts';
import { type Bench, openBench, stamp } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;
const LARGE = FREED_ELSEWHERE_BYTES_MIN;

let table: FreeingTable;
let bench: Bench;
beforeEach(() => {
  table = new FreeingTable(1);
  bench = openBench({ freeing: table, checkpoints: { bytes: 2 * MIB, ms: 60_000 } });
});
afterEach(() => {
  while (freeNext(table));
  return bench.end();
});

const pathOf = (name: string): string => join(bench.directory, name);
const bytes = { kind: 'pattern', pattern: 'stamp', seed: 3 } as const;
const large = (fields: Partial<WriteRequestInput> = {}): WriteRequestInput => ({
  path: 'a',
  size: LARGE,
  source: bytes,
  ...fields,
});
const expectLarge = (name: string): void => {
  if (Buffer.compare(bench.read(name), stamp(3, LARGE)) !== 0) throw new Error(`${name} differs`);
};
/** A file with all of its blocks, from outside. */
const put = (name: string, size = LARGE): void => writeFileSync(pathOf(name), Buffer.alloc(size, 1), { flush: true });

/** Files that have lost their last name, and are open. */
const kept = (): string[] =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).endsWith(' (deleted)');
    } catch {
      return false; // the descriptor of the listing itself
    }
  });

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setImmediate();
}

/** As the main thread does after each file. */
function free(): void {
  expect(freeNext(table)).toBe(true);
  bench.thread.loop.wake();
}

test.each(['fdatasync', 'none'] as const)(
  'a write that replaces a large file ends with the old blocks still taken (durability %s)',
  async (durability) => {
    put('a');
    await bench.write(large({ durability }));
    expectLarge('a');
    expect(bench.names()).toEqual(['a']);
    expect(table.bytesLeft()).toBeGreaterThanOrEqual(LARGE);
    expect(kept()).toHaveLength(1);
    await bench.write({ path: 'small', size: 5000 }); // the thread serves others
    expect(kept()).toHaveLength(1);
    free();
    expect(table.isBusy).toBe(false);
    expect(kept()).toHaveLength(0);
  },
);

test('nothing is left to be freed of a small file, or of one that has another name', async () => {
  put('a', LARGE - 4096);
  await bench.write(large());
  put('b');
  native.linkat(native.AT_FDCWD, pathOf('b'), native.AT_FDCWD, pathOf('c'));
  await bench.write(large({ path: 'b' }));
  expect(table.isBusy).toBe(false);
  expect(readFileSync(pathOf('c')).equals(Buffer.alloc(LARGE, 1))).toBe(true);
});

test('who has the old file open reads on in it after its blocks were let go of', async () => {
  put('a');
  const reader = native.openat(native.AT_FDCWD, pathOf('a'), native.O_RDONLY, 0);
  await bench.write(large());
  free();
  const read = readFileSync(`/proc/self/fd/${reader}`);
  native.close(reader);
  expect(read.equals(Buffer.alloc(LARGE, 1))).toBe(true);
});

test('when as many files wait to be freed as may, the thread frees the next itself', async () => {
  for (let count = 0; count < FREEING_SLOTS + 2; count += 1) {
    put('a');
    await bench.write(large({ size: 1 }));
  }
  expect(kept()).toHaveLength(FREEING_SLOTS);
});

test('of more bytes than may wait to be freed the thread frees those itself that come on top', () => {
  const device = { major: 1, minor: 1 };
  const freeing = new Freeing(table);
  const open = (): number => native.memfdCreate('kept');
  freeing.close(open(), 2 ** 40, device); // alone, whatever its size: somebody has to free it
  expect(kept()).toHaveLength(1);
  freeing.close(open(), LARGE, device);
  expect(kept()).toHaveLength(1);
});

test('what counts as taken is told apart by file system', () => {
  const freeing = new Freeing(table);
  freeing.close(native.memfdCreate('kept'), LARGE, { major: 1, minor: 1 });
  expect(freeing.isUnderWay({ major: 1, minor: 1 })).toBe(true);
  expect(freeing.isUnderWay({ major: 1, minor: 2 })).toBe(false);
});

test('a large file that is written in place is emptied by another thread, and only its own write waits for that', async () => {
  put('a', LARGE + 5 * MIB);
  let ended = false;
  const write = bench.write(large({ publish: 'in-place' })).finally(() => (ended = true));
  await until(() => table.isBusy);
  await bench.write({ path: 'small', size: 5000 });
  expect(ended).toBe(false);
  expect(statSync(pathOf('a')).size).toBe(LARGE + 5 * MIB);
  free();
  await write;
  expectLarge('a');
});

test('a pause of a write whose file is being emptied begins behind that, and it goes on with space of its own', async () => {
  put('a');
  const block = bench.control.job(63);
  block.reset();
  const write = bench.write(large({ publish: 'in-place' }), { block });
  await until(() => table.isBusy);
  block.pause(true);
  bench.thread.loop.wake();
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
  expect(block.read().phase).toBe('opening');
  free();
  await until(() => block.read().phase === 'paused');
  expect(statSync(pathOf('a')).blocks * 512).toBeGreaterThanOrEqual(LARGE);
  block.pause(false);
  bench.thread.loop.wake();
  await write;
  expectLarge('a');
});

test('a write that is stopped while its file is emptied ends at once, and the file stays locked until it is empty', async () => {
  put('a');
  const block = bench.control.job(63);
  block.reset();
  const write = bench.write(large({ publish: 'in-place' }), { block });
  await until(() => table.isBusy);
  block.requestStop(STOP_CANCEL);
  bench.thread.loop.wake();
  await expect(write).rejects.toMatchObject({ reason: 'cancel' });
  await expect(bench.write(large({ publish: 'in-place' }))).rejects.toMatchObject({ code: 'EBUSY' });
  free();
  expect(statSync(pathOf('a')).size).toBe(0);
  await bench.write(large({ publish: 'in-place' }));
  expectLarge('a');
});

test('if emptying the file fails, so does the write, and names the call', async () => {
  put('a');
  const write = bench.write(large({ publish: 'in-place' }));
  await until(() => table.isBusy);
  const slot = table.take();
  native.close(table.orderIn(slot).fd);
  table.finish(slot, -5);
  bench.thread.loop.wake();
  await expect(write).rejects.toMatchObject({ code: 'EIO', syscall: 'ftruncate' });
});

test('the part of a write that fails is left to be freed', async () => {
  const checksum = { checksum: 'sha256', expect: '0'.repeat(64) } as const;
  await expect(bench.write(large(checksum))).rejects.toMatchObject({ name: 'IntegrityError' });
  expect(bench.names()).toEqual([]);
  expect(kept()).toHaveLength(1);
});

test('the part of an earlier attempt that is not gone on with is left to be freed', async () => {
  put('.penstock-k-1.part');
  await bench.write(large(), { jobKey: 'k', attemptToken: '2', again: true });
  expect(bench.names()).toEqual(['a']);
  expect(kept()).toHaveLength(1);
});

/** A stream that has taken more space ahead than it fills. */
async function stream(): Promise<{ done: Promise<WriteResult>; size: number }> {
  const { inlet, outlet } = createRing(bench.arenas);
  const done = bench.write({ path: 'a', source: { kind: 'stream' } }, { ring: outlet });
  done.catch(() => {});
  const producer = new RingProducer(inlet, () => {});
  const size = 17 * MIB + 5; // one step of 16 MiB, and one of 32
  const chunk = stamp(3, MIB);
  for (let at = 0; at < size; at += MIB) await producer.pushAll(chunk.subarray(0, Math.min(MIB, size - at)));
  await until(() => statSync(pathOf(bench.parts()[0]!)).size > 20 * MIB);
  producer.end();
  return { done, size };
}

test('what a stream has reserved ahead and not filled is cut off by another thread, before the flush', async () => {
  const { done, size } = await stream();
  await until(() => table.isBusy);
  await bench.write({ path: 'small', size: 5000 });
  expect(bench.parts()).toHaveLength(1);
  free();
  expect((await done).bytes).toBe(size);
  expect(statSync(pathOf('a')).size).toBe(size);
  expect(statSync(pathOf('a')).blocks * 512).toBeLessThan(size + MIB);
});

test('a stream that replaces a large file leaves that to be freed too', async () => {
  put('a');
  const { done, size } = await stream();
  await until(() => table.isBusy);
  free(); // the space that it had reserved ahead
  expect((await done).bytes).toBe(size);
  expect(kept()).toHaveLength(1);
});

test('where there is no other thread all is freed at once', async () => {
  bench.close();
  bench = openBench();
  put('a');
  await bench.write(large());
  await bench.write(large({ publish: 'in-place' }));
  expectLarge('a');
  expect(kept()).toHaveLength(0);
});
