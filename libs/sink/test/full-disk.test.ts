// A full disk on which blocks are being freed, by the test, when it chooses. As root only: it is a disk of its own.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteResult } from '@penstock/contract';
import { FreeingTable, type JobBlock, RingProducer, STOP_CANCEL, createRing } from '@penstock/matrix';
import { freeNext } from '../src/device/free-next.ts';
import { type Bench, type BenchOptions, openBench, stamp } from '../src/thread/thread.fixture.ts';

const MIB = 1_048_576;
/** Of the disk, and of the file whose space is being freed: half of it. */
const DISK = 64 * MIB;
const FREED = 32 * MIB;

const does = (command: string, ...args: string[]): boolean => spawnSync(command, args).status === 0;
const mountsTmpfs = (at: string): boolean => does('mount', '-t', 'tmpfs', '-o', `size=${DISK}`, 'penstock-test', at);
/** XFS in a file beside it: the smallest that it makes. */
function mountsXfs(at: string): boolean {
  const image = `${at}.img`;
  writeFileSync(image, '');
  truncateSync(image, 300 * MIB);
  return does('mkfs.xfs', '-q', image) && does('mount', '-o', 'loop', image, at);
}

const PREFIX = '/var/tmp/penstock-full-';
/** Root in a container may not mount. */
function mayMount(mounts: (at: string) => boolean): boolean {
  if (process.getuid!() !== 0) return false;
  const at = mkdtempSync(PREFIX);
  const may = mounts(at);
  remove(at);
  return may;
}
function remove(at: string): void {
  does('umount', at);
  rmSync(at, { recursive: true });
  rmSync(`${at}.img`, { force: true });
}
const asRoot = mayMount(mountsTmpfs) ? test : test.skip;
const onXfs = mayMount(mountsXfs) ? test : test.skip;

let mount: string;
let table: FreeingTable;
let bench: Bench;
beforeEach(() => {
  mount = mkdtempSync(PREFIX);
  table = new FreeingTable(1);
});
afterEach(async () => {
  while (freeNext(table));
  await bench.end();
  remove(mount);
});

const available = (): number => {
  const { bavail, bsize } = statfsSync(mount);
  return bavail * bsize;
};
const put = (name: string, size: number): void => writeFileSync(join(mount, name), Buffer.alloc(size, 1));

/** A disk with 8 MiB free, and as much space as FREED that is becoming free. */
async function fill(options: BenchOptions = {}, mounts = mountsTmpfs): Promise<void> {
  expect(mounts(mount)).toBe(true);
  bench = openBench({ directory: mount, freeing: table, ...options });
  put('replaced', FREED);
  put('standing', MIB);
  await bench.write({ path: 'replaced', size: 1 });
  put('ballast', available() - 8 * MIB);
  expect(table.bytesLeft()).toBeGreaterThanOrEqual(FREED);
}

/** As the main thread does after each file. */
function free(): void {
  expect(freeNext(table)).toBe(true);
  bench.thread.loop.wake();
}

function newBlock(): JobBlock {
  const block = bench.control.job(63);
  block.reset();
  return block;
}

const file = { path: 'new', size: 20 * MIB, source: { kind: 'pattern', pattern: 'stamp', seed: 3 } } as const;

/** A stream of as many bytes, all of which are brought. */
function stream(block: JobBlock): { done: Promise<WriteResult>; brought: Promise<boolean> } {
  const { inlet, outlet } = createRing(bench.arenas);
  const done = bench.write({ path: 'new', source: { kind: 'stream' } }, { ring: outlet, block });
  done.catch(() => {});
  const producer = new RingProducer(inlet, () => {});
  const bring = async (): Promise<boolean> => {
    const taken = await producer.pushAll(stamp(3, file.size));
    if (taken) producer.end();
    return taken;
  };
  return { done, brought: bring() };
}

/** Turns of the loop in which a write needs no space and is not held up: they end with what waits waiting. */
async function serveOthers(block: JobBlock): Promise<void> {
  for (let count = 0; count < 20; count += 1) {
    await bench.write({ path: 'standing', size: MIB, mode: 'overwrite', publish: 'in-place' });
    await setImmediate();
  }
  expect(block.read().phase).not.toBe('done');
}

const KINDS = ['of known size', 'stream'] as const;
const start = (kind: (typeof KINDS)[number], block: JobBlock): Promise<WriteResult> => {
  const done = kind === 'stream' ? stream(block).done : bench.write(file, { block });
  done.catch(() => {});
  return done;
};
const expectWhole = (): void => {
  if (Buffer.compare(bench.read('new'), stamp(3, file.size)) !== 0) throw new Error('it differs');
};

asRoot.each(KINDS)(
  'a write (%s) that finds no space while some is being freed goes on when that is free, and others all the while',
  async (kind) => {
    await fill();
    const block = newBlock();
    const done = start(kind, block);
    await serveOthers(block);
    free();
    await done;
    expectWhole();
  },
);

onXfs('on XFS, which frees the blocks of a closed file a moment later, a write is not refused in between', async () => {
  await fill({}, mountsXfs);
  const block = newBlock();
  const done = start('of known size', block);
  await serveOthers(block);
  free();
  await done;
  expectWhole();
});

asRoot.each(KINDS)('a write (%s) that waits for space is cancelled at once', async (kind) => {
  await fill();
  const block = newBlock();
  const done = start(kind, block);
  await serveOthers(block);
  block.requestStop(STOP_CANCEL);
  bench.thread.loop.wake();
  await expect(done).rejects.toMatchObject({ reason: 'cancel' });
  expect(table.isBusy).toBe(true);
  expect(bench.parts()).toEqual([]);
});

asRoot.each(KINDS)('a write (%s) that waits for space is paused at once, and goes on afterwards', async (kind) => {
  await fill();
  const block = newBlock();
  const done = start(kind, block);
  await serveOthers(block);
  block.pause(true);
  bench.thread.loop.wake();
  while (block.read().phase !== 'paused') await setImmediate();
  free();
  block.pause(false);
  bench.thread.loop.wake();
  await done;
  expectWhole();
});

asRoot.each(KINDS)('if nothing is freed any more, a write (%s) ends as on any full disk', async (kind) => {
  await fill({ stalledMs: 20 });
  await expect(start(kind, newBlock())).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' });
  expect(table.isBusy).toBe(true);
  expect(bench.parts()).toEqual([]);
});

asRoot('on a full disk where nothing is being freed a write does not wait', async () => {
  await fill();
  while (freeNext(table));
  put('more ballast', available() - 8 * MIB);
  await expect(bench.write(file)).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' });
  const { done } = stream(newBlock());
  await expect(done).rejects.toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' });
});
