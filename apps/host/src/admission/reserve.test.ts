import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseJob } from '@penstock/contract/judging';
import { Admission } from './admission.ts';
import { askLeavingRoom } from './reserve.ts';

const MIB = 1_048_576;
let home: string;
let disk: { availableBytes: number; totalBytes: number };
const ask = () => Promise.resolve({ ...disk });
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'penstock-reserve-'));
  mkdirSync(join(home, 'redis/appendonlydir'), { recursive: true });
  mkdirSync(join(home, 'files'));
  disk = { availableBytes: 1000 * MIB, totalBytes: 4000 * MIB };
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test('the embedded Redis keeps room to grow to its first rewrite, and for as much again as its files hold', async () => {
  expect(await askLeavingRoom(ask, home)(home)).toMatchObject({ keptBytes: 64 * MIB, availableBytes: 936 * MIB });
  const file = join(home, 'redis/appendonlydir/appendonly.aof.1.incr.aof');
  writeFileSync(file, '');
  truncateSync(file, 100 * MIB);
  expect(await askLeavingRoom(ask, home)(home)).toMatchObject({ keptBytes: 164 * MIB, availableBytes: 836 * MIB });
});

test('on a small disk it keeps an eighth, and never more than there is', async () => {
  disk = { availableBytes: 5 * MIB, totalBytes: 64 * MIB };
  expect(await askLeavingRoom(ask, home)(home)).toMatchObject({ keptBytes: 8 * MIB, availableBytes: 0 });
});

test('it keeps nothing on another file system, or if there is none', async () => {
  expect(await askLeavingRoom(ask, home)('/proc')).toEqual(disk);
  expect(await askLeavingRoom(ask, join(home, 'absent'))(home)).toEqual(disk);
});

test('a write that would take the last of it waits for space, and the refusal reports what is left to Redis', async () => {
  const gate = new Admission(askLeavingRoom(ask, home));
  gate.add({ name: 'data', path: join(home, 'files'), writable: true }, 1);
  const request = parseJob({ path: 'a.dat', size: 1000 * MIB - 40_960 });
  await expect(gate.admit({ request, jobName: 'job@1', starts: 1 })).rejects.toMatchObject({
    code: 'ENOSPC',
    message: expect.stringContaining("936.00 MiB free on data, besides 64.00 MiB left to the queue's Redis: free some"),
  });
});
