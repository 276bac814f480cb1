// What of a source is in the page cache is read from there, and nothing else is brought into it.
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { statFd } from '@penstock/disk';
import { native } from '@penstock/native';
import { type Bench, openBench, sha256, stamp } from '../thread/thread.fixture.ts';

const MIB = 1_048_576;
const SIZE = 4 * MIB + 777;
const MATRIX = { rows: 4, rowBytes: MIB };
const PROT_WRITE = 2;

let bench: Bench;
let path: string;
let fd: number;
let isKnown: boolean;

beforeEach(() => {
  bench = openBench();
  path = join(bench.archive, 'in');
  writeFileSync(path, stamp(5, SIZE));
  fd = openSync(path, 'r');
  fdatasyncSync(fd);
  isKnown = native.cachedPages(fd, 0, SIZE) >= 0 && statFd(fd, path).directAlignment !== null;
});
afterEach(async () => {
  closeSync(fd);
  await bench.end();
});

const cachedPages = (from: number, to: number): number => native.cachedPages(fd, from, to - from);
const copy = (more: object = {}) =>
  bench.write({ path: 'a', matrix: MATRIX, source: { kind: 'file', root: 'archive', path: 'in' }, ...more });

const expectWhole = (): void => expect(Buffer.compare(bench.read('a'), stamp(5, SIZE))).toBe(0);

/** Dropped, so that only the disk has it. */
function forget(): void {
  native.dropPageCache(fd);
}

test('a source that is cached as a whole is copied without a read of the disk, but for a short end', async () => {
  const { reads, writes, checksum } = await copy({ checksum: 'sha256' });
  expect(checksum).toMatchObject({ value: sha256(stamp(5, SIZE)) });
  expectWhole();
  if (isKnown) expect([reads, writes]).toEqual([1, 5]);
});

test('a source that is not cached is read from the disk, and not brought into the cache', async () => {
  forget();
  const { reads } = await copy();
  expectWhole();
  expect(reads).toBe(5);
  if (isKnown) expect(cachedPages(0, SIZE)).toBe(0);
});

test('of a source that is cached in part the rest is read from the disk, by direct I/O again', async () => {
  // Reads the third and the fourth MiB, and drops just those.
  const range = ['bs=2M', 'skip=1', 'count=1', 'iflag=nocache', 'of=/dev/null', 'status=none'];
  execFileSync('dd', [`if=${path}`, ...range]);
  const before = cachedPages(0, SIZE);
  const { reads } = await copy();
  expectWhole();
  if (!isKnown) return;
  expect(reads).toBe(3);
  expect(cachedPages(0, SIZE)).toBe(before);
  expect(cachedPages(2 * MIB, 4 * MIB)).toBe(0);
});

test('a source that is changed through a mapping while it is copied fails the copy, also where it was changed before', async () => {
  const size = 60_000_000; // so that much is left when the first row is seen to be written
  const file = openSync(path, 'r+');
  writeSync(file, Buffer.alloc(size, 5), 0, size, 0);
  fdatasyncSync(file);
  const mapped = native.mmap(size, native.PROT_READ | PROT_WRITE, native.MAP_SHARED, file);
  const change = (byte: number): void => native.copyTo(mapped + 100, Uint8Array.of(byte));
  change(6); // from here on its first page is dirty, and no store into it changes a time of the file
  const block = bench.control.job(62);
  block.reset();
  const source = { kind: 'file', root: 'archive', path: 'in' } as const;
  const copying = bench.write({ path: 'a', matrix: { rows: 4, rowBytes: 131_072 }, source }, { block });
  const outcome = copying.then(
    () => 'copied',
    (error: { code: string }) => error.code,
  );
  while (block.read().bytesWritten === 0) await setImmediate();
  change(7);
  const result = await outcome;
  native.munmap(mapped, size);
  closeSync(file);
  expect(isKnown ? result : 'ESTALE').toBe('ESTALE');
});
