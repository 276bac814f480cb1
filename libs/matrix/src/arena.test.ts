import { readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { native } from '@penstock/native';
import { Arena, HUGE_PAGE_BYTES, PAGE_BYTES, type RowExtent, createArenaMemory } from './arena.ts';

const MIB = 1_048_576;

test('begins at a 2 MiB boundary and has whole huge pages, whatever is asked for', () => {
  for (const sizeBytes of [1, PAGE_BYTES, HUGE_PAGE_BYTES - 1, HUGE_PAGE_BYTES, HUGE_PAGE_BYTES + 1, 100 * MIB]) {
    const memory = createArenaMemory(sizeBytes);
    const arena = new Arena(memory);
    expect(arena.address % HUGE_PAGE_BYTES).toBe(0);
    expect(arena.sizeBytes).toBe(Math.ceil(sizeBytes / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES);
    expect(arena.address).toBe(native.addressOf(arena.bytes));
    expect(arena.bytes[arena.sizeBytes - 1]).toBe(0);
  }
});

test('grants the first extent that is large enough, in whole pages', () => {
  const arena = new Arena(createArenaMemory(2 * MIB));
  const first = arena.acquire(1)!;
  const second = arena.acquire(PAGE_BYTES + 1)!;
  const third = arena.acquire(PAGE_BYTES)!;
  expect([first, second, third]).toEqual([
    { start: 0, sizeBytes: PAGE_BYTES },
    { start: PAGE_BYTES, sizeBytes: 2 * PAGE_BYTES },
    { start: 3 * PAGE_BYTES, sizeBytes: PAGE_BYTES },
  ]);
  arena.release(second);
  expect(arena.acquire(3 * PAGE_BYTES)!.start).toBe(4 * PAGE_BYTES); // the gap is too small
  expect(arena.acquire(2 * PAGE_BYTES)!.start).toBe(PAGE_BYTES);
});

test('refuses what does not fit in one piece, and takes nothing then', () => {
  const arena = new Arena(createArenaMemory(2 * MIB));
  const half = arena.acquire(MIB)!;
  expect(arena.acquire(MIB + 1)).toBeNull();
  expect(arena.freeBytes).toBe(MIB);
  arena.release(half);
  expect(arena.acquire(2 * MIB)).toEqual({ start: 0, sizeBytes: 2 * MIB });
  expect(arena.acquire(1)).toBeNull();
});

test('extents never overlap, and all released are one again, for any order of acquire and release (seed 8)', () => {
  const step = fc.oneof(fc.record({ acquire: fc.integer({ min: 0, max: MIB }) }), fc.record({ release: fc.nat() }));
  const property = fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (steps) => {
    const arena = new Arena(sharedMemory);
    const granted: RowExtent[] = [];
    for (const move of steps) {
      if ('acquire' in move) {
        const extent = arena.acquire(move.acquire);
        if (extent !== null) granted.push(extent);
      } else if (granted.length > 0) {
        arena.release(granted.splice(move.release % granted.length, 1)[0]!);
      }
      const sorted = granted.toSorted((left, right) => left.start - right.start);
      const apart = sorted.every((extent, index) => {
        const end = sorted[index + 1]?.start ?? arena.sizeBytes;
        return extent.start % PAGE_BYTES === 0 && extent.start + extent.sizeBytes <= end;
      });
      expect(apart).toBe(true);
      const taken = granted.reduce((sum, extent) => sum + extent.sizeBytes, 0);
      expect(arena.freeBytes).toBe(arena.sizeBytes - taken);
    }
    for (const extent of granted) arena.release(extent);
    expect(arena.acquire(arena.sizeBytes)).toEqual({ start: 0, sizeBytes: arena.sizeBytes });
  });
  fc.assert(property, { seed: 8 });
});
const sharedMemory = createArenaMemory(4 * MIB);

test('an extent is not taken back twice, nor one that was never granted', () => {
  const arena = new Arena(createArenaMemory(2 * MIB));
  const [one, two] = [arena.acquire(PAGE_BYTES)!, arena.acquire(PAGE_BYTES)!];
  arena.release(one);
  expect(() => arena.release(one)).toThrow('not granted');
  arena.release(two);
  expect(() => arena.release(two)).toThrow('not granted');
  expect(() => arena.release({ start: 2 * MIB, sizeBytes: PAGE_BYTES })).toThrow('not granted');
  expect(arena.acquire(2 * MIB)).not.toBeNull();
  expect(() => arena.acquire(Number.NaN)).toThrow('NaN bytes');
});

const thp = ((): string => {
  try {
    return /\[(\w+)\]/.exec(readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'latin1'))![1]!;
  } catch {
    return 'never'; // a kernel without them
  }
})();

(thp === 'never' ? test.skip : test)('rows lie on huge pages once they are touched', () => {
  const arena = new Arena(createArenaMemory(32 * MIB));
  expect(anonHugeKiB(arena.address)).toBe(0); // nothing is used up before
  arena.bytes.fill(1);
  expect(anonHugeKiB(arena.address)).toBeGreaterThanOrEqual(HUGE_PAGE_BYTES / 1024);
});

/** AnonHugePages of the mapping that holds `address`, in KiB. */
function anonHugeKiB(address: number): number {
  let inside = false;
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const range = /^([\da-f]+)-([\da-f]+) /.exec(line);
    if (range !== null) inside = Number.parseInt(range[1]!, 16) <= address && address < Number.parseInt(range[2]!, 16);
    const size = /^AnonHugePages:\s+(\d+) kB/.exec(line);
    if (inside && size !== null) return Number(size[1]);
  }
  throw new Error('no mapping holds the address');
}

test('says that rows lie on huge pages only where the kernel gives them out', () => {
  expect(createArenaMemory(2 * MIB).hugePages).toBe(thp !== 'never');
});

test('has the same address in a worker thread, which sees the same bytes', async () => {
  const memory = createArenaMemory(2 * MIB);
  const arena = new Arena(memory);
  arena.bytes[12_345] = 77;
  const worker = new Worker(new URL('thread.fixture.mjs', import.meta.url), { workerData: { role: 'arena', memory } });
  const answer = await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  expect(answer).toEqual({ address: arena.address, byte: 77 });
  await worker.terminate();
});

test('small extents come from the far end, and join with what is free when they come back', () => {
  const arena = new Arena(createArenaMemory(HUGE_PAGE_BYTES));
  const near = arena.acquire(PAGE_BYTES)!;
  const far = arena.acquireFromEnd(1)!;
  expect(far).toEqual({ start: HUGE_PAGE_BYTES - PAGE_BYTES, sizeBytes: PAGE_BYTES });
  expect(arena.acquireFromEnd(HUGE_PAGE_BYTES)).toBeNull();
  arena.release(far);
  arena.release(near);
  expect(arena.acquireFromEnd(HUGE_PAGE_BYTES)).toEqual({ start: 0, sizeBytes: HUGE_PAGE_BYTES });
});
