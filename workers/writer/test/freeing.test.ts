// The blocks of large files are freed by a thread of the pool that is no writer.
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseRequest } from '@penstock/contract/judging';
import { FREEING_SLOTS } from '@penstock/matrix';
import { native } from '@penstock/native';
import { WriterPool } from '../src/pool/pool.ts';
import { makeDirectory, poolOptions, throwing } from './pool.fixture.ts';

const MIB = 1_048_576;
let directory: string;
beforeEach(() => {
  directory = makeDirectory('freeing-');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Open files that have lost their last name below the directory. */
const kept = (): string[] =>
  readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`);
      return file.startsWith(directory) && file.endsWith(' (deleted)') ? [file] : [];
    } catch {
      return []; // the descriptor of the listing itself
    }
  });

test('large files that are replaced one after the other are freed, and a closed pool keeps no descriptor of any', async () => {
  const pool = new WriterPool(poolOptions(directory));
  await pool.ready();
  let frees = 0;
  for (let count = 1; count <= 8; count += 1) {
    await pool.run(parseRequest({ path: 'a', size: 16 * MIB }), `a${count}@1`, 1).done;
    if (pool.whenFreed() !== null) frees += 1;
  }
  await pool.run(parseRequest({ path: 'a', size: 16 * MIB, publish: 'in-place' }), 'b@1', 1).done;
  expect(frees).toBeGreaterThan(0);
  while (pool.whenFreed() !== null) await pool.whenFreed();
  expect(kept()).toEqual([]);
  expect(await pool.close()).toBe(true);
});

test('a thread that dies leaves no descriptor of what it had replaced, and its successor frees on', async () => {
  const pool = new WriterPool(poolOptions(directory, { threads: 1, entry: throwing }));
  await pool.ready();
  writeFileSync(join(directory, 'a'), Buffer.alloc(16 * MIB, 1), { flush: true });
  const replaced = pool.run(parseRequest({ path: 'a', size: 16 * MIB }), 'a@1', 1).done;
  await Promise.allSettled([replaced, pool.run(parseRequest({ path: 'die', size: 64 * MIB }), 'die@1', 1).done]);
  await pool.run(parseRequest({ path: 'a', size: 16 * MIB }), 'a@1', 2).done;
  while (pool.whenFreed() !== null) await pool.whenFreed();
  expect(kept()).toEqual([]);
  expect(await pool.close()).toBe(true);
});

test('of a burst of large files that are replaced a bounded number of descriptors is kept, and no space that is not counted', async () => {
  const files = 400;
  const jobs = 8;
  const pool = new WriterPool(poolOptions(directory, { jobs }));
  await pool.ready();
  for (let index = 0; index < files; index += 1) {
    const fd = native.openat(native.AT_FDCWD, join(directory, `${index}`), native.O_RDWR | native.O_CREAT, 0o600);
    expect(native.fallocate(fd, 0, 8 * MIB)).toBe(0);
    native.close(fd);
  }
  let next = 0;
  let most = 0;
  const replace = async (): Promise<void> => {
    for (let index = next; index < files; index = next) {
      next += 1;
      await pool.run(parseRequest({ path: `${index}`, size: 4096 }), `${index}@1`, 1).done;
      // The table's, those of writes that have not ended, and one that a thread frees for itself.
      most = Math.max(most, kept().length);
      expect(pool.leftToFree.files).toBeLessThanOrEqual(2 * FREEING_SLOTS);
    }
  };
  await Promise.all(Array.from({ length: pool.jobSlots }, replace));
  expect(most).toBeLessThanOrEqual(2 * FREEING_SLOTS + pool.jobSlots + 2);
  while (pool.whenFreed() !== null) await pool.whenFreed();
  expect(kept()).toEqual([]);
  expect(await pool.close()).toBe(true);
});
