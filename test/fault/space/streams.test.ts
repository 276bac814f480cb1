// Streams on other disks: one that fills up under them, sectors of 4096 bytes, XFS. As root only: they are loop-mounted.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseRequest } from '@penstock/contract/judging';
import { RingProducer } from '@penstock/matrix';
import { type RunningStream, WriterPool } from '@penstock/writer';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Undo, has, mayMount, mountLoop, run } from '../../support/loop-disk.fixture.ts';

const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));
const MIB = 1_048_576;
const EDGE_SIZES = [0, 1, 511, 4095, 4096, 4097, 65_537, MIB - 1, MIB + 1, 40 * MIB + 1];

let home: string;
let pool: WriterPool | undefined;
let undo: Undo = [];
beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  home = mkdtempSync(join(scratch, 'streams-'));
});
afterEach(async () => {
  await pool?.close();
  pool = undefined;
  for (const step of undo.toReversed()) step();
  undo = [];
  rmSync(home, { recursive: true, force: true });
});

const asRoot = mayMount() ? test : test.skip;
const onBtrfs = mayMount() && has('mkfs.btrfs') ? test : test.skip;
const onXfs = mayMount() && has('mkfs.xfs') ? test : test.skip;

function openPool(mount: string): WriterPool {
  const roots = [{ name: 'disk', path: mount, writable: true }];
  pool = new WriterPool({ threads: 1, depth: 32, jobs: 8, memoryBytes: 67_108_864, roots, engine: 'auto' });
  return pool;
}

function start(running: WriterPool, path: string, mode: 'create' | 'append' = 'create'): RunningStream {
  const request = parseRequest({ path, root: 'disk', mode, source: { kind: 'stream' } });
  const stream = running.runStream(request, `${mode} ${path}`, 1);
  stream.done.catch(() => {}); // awaited by the test, perhaps only after the producer has been told
  return stream;
}

/** Pushes `bytes`, and ends if all were taken. */
async function feed({ inlet }: RunningStream, bytes: Uint8Array): Promise<number> {
  const producer = new RingProducer(inlet);
  for (let at = 0; at < bytes.length; at += 65_537)
    if (!(await producer.pushAll(bytes.subarray(at, at + 65_537)))) return producer.bytesPushed;
  producer.end();
  return producer.bytesPushed;
}

const stamp = (seed: number, size: number): Uint8Array => readSource(createPatternSource('stamp', seed), 0, size);
const available = (mount: string): number => {
  const { bavail, bsize } = statfsSync(mount);
  return bavail * bsize;
};
/** Blocks that a transaction has freed are there again once it is committed. */
function availableAfterCommit(mount: string): number {
  run('sync', '-f', mount);
  return available(mount);
}

async function expectAllSizes(mount: string): Promise<void> {
  const running = openPool(mount);
  for (const size of EDGE_SIZES) {
    const bytes = stamp(8, size);
    const stream = start(running, `${size}`);
    await feed(stream, bytes);
    expect(await stream.done).toMatchObject({ bytes: size, mode: 'aio-direct' });
    expect(Buffer.compare(readFileSync(join(mount, `${size}`)), bytes)).toBe(0);
  }
}

asRoot(
  'on a disk with sectors of 4096 bytes streams of every size are right',
  () => expectAllSizes(mountLoop(home, undo, ['mkfs.ext4', '-q'], 268_435_456, 4096)),
  120_000,
);

onXfs(
  'on XFS streams of every size are right',
  () => expectAllSizes(mountLoop(home, undo, ['mkfs.xfs', '-q'], 335_544_320, 512)),
  120_000,
);

onBtrfs(
  'on btrfs a stream takes the space of its bytes and no more, and it does not matter how many there are',
  async () => {
    const mount = mountLoop(home, undo, ['mkfs.btrfs', '-q'], 268_435_456, 512);
    const running = openPool(mount);
    const before = availableAfterCommit(mount);
    for (const mode of ['create', 'append'] as const) {
      for (let index = 0; index < 4; index += 1) {
        const stream = start(running, `file ${index}`, mode);
        await feed(stream, stamp(index, 2 * MIB));
        await stream.done;
      }
    }
    expect(before - availableAfterCommit(mount)).toBeLessThan(20 * MIB);
  },
  120_000,
);

asRoot(
  'a stream that fits a nearly full disk is written, though the next step of its growth would not fit',
  async () => {
    const mount = mountLoop(home, undo, ['mkfs.ext4', '-q', '-m', '0'], 134_217_728, 512);
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(available(mount) - 36 * MIB, 1));
    const running = openPool(mount);
    const bytes = stamp(1, 32 * MIB); // after 16 MiB the next step would be 32 MiB
    const stream = start(running, 'fits');
    await feed(stream, bytes);
    expect(await stream.done).toMatchObject({ bytes: bytes.length });
    expect(Buffer.compare(readFileSync(join(mount, 'fits')), bytes)).toBe(0);
  },
  120_000,
);

asRoot(
  'a disk that is full under a stream fails it with call, path and place, after all that fitted; its part goes, and others go on',
  async () => {
    const mount = mountLoop(home, undo, ['mkfs.ext4', '-q', '-m', '0'], 134_217_728, 512);
    const room = available(mount);
    const running = openPool(mount);
    const stream = start(running, 'endless');
    const small = start(running, 'small');
    const pushed = await feed(stream, stamp(1, room + 40 * MIB));
    const failure: { offset?: number } = await stream.done.then(
      () => ({}),
      (error: { offset?: number }) => error,
    );
    expect(failure).toMatchObject({ name: 'IoError', code: 'ENOSPC', syscall: 'fallocate', retryable: true });
    // Nearly all of the disk was used before it failed: what is missing is what the file system keeps of itself.
    expect(failure.offset).toBeGreaterThan(room - 8 * MIB);
    expect(pushed).toBeGreaterThanOrEqual(failure.offset!);
    await feed(small, stamp(2, 100_000));
    expect(await small.done).toMatchObject({ bytes: 100_000 });
    expect(readdirSync(mount).toSorted()).toEqual(['lost+found', 'small']);
  },
  120_000,
);
