import { readlinkSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { FD_DIRECTORY, FD_TARGET } from './open.ts';
import { ONE_ROW_BYTES_MAX } from '../small/one-row.ts';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

/** Of a file that opens its directory for itself. */
const ALONE_BYTES = ONE_ROW_BYTES_MAX + 1;

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => bench.end());

test('a descriptor is recorded before anything else is done with it: a thread that is terminated then leaks none', async () => {
  const block = bench.control.job(0);
  const record = block.recordFd.bind(block);
  const seen: string[] = [];
  block.recordFd = (index, fd) => {
    record(index, fd);
    if (fd < 0) return;
    const path = readlinkSync(`/proc/self/fd/${fd}`);
    if (index === FD_DIRECTORY) seen.push(`directory ${path}: ${bench.names().length} names`);
    if (index !== FD_TARGET) return;
    // What the write does first with its file, once it has the lock, is to mark it.
    const mark = native.fgetxattr(fd, 'user.penstock.job', new Uint8Array(new ArrayBuffer(64)));
    seen.push(
      `file ${path.endsWith('.part') ? 'part' : path}: ${mark === -constants.errno.ENODATA ? 'unmarked' : mark}`,
    );
  };
  await bench.write({ path: 'a', size: ALONE_BYTES, mode: 'create' }, { block });
  expect(seen).toEqual([`directory ${bench.directory}: 0 names`, 'file part: unmarked']);
  expect(block.openFds()).toEqual([]);
});

test('a target that cannot be opened leaves no descriptor recorded, for the main thread would close another file’s', async () => {
  writeFileSync(join(bench.directory, 'a'), 'stands');
  const block = bench.control.job(0);
  const recorded: number[] = [];
  const record = block.recordFd.bind(block);
  block.recordFd = (index, fd) => {
    if (index === FD_DIRECTORY) recorded.push(Math.sign(fd));
    record(index, fd);
  };
  await expect(bench.write({ path: 'a', size: ALONE_BYTES, mode: 'create' }, { block })).rejects.toMatchObject({
    code: 'EEXIST',
  });
  expect(recorded.slice(0, 2)).toEqual([1, -1]);
  expect(block.openFds()).toEqual([]);
});
