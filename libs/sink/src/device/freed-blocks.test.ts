// On a disk without a journal: what is replaced, removed or cut, and the flushes that come before its blocks go.
// Skipped where the checkout's disk has one; test/power tries it on disks of its own, and cuts their power.
import { mkdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { abi, faultyPort, libaioPort, syscallPort } from '@penstock/aio';
import { native } from '@penstock/native';
import { NO_FILE, renameOver } from './freed-blocks.ts';
import { forgetsFreed, fileSystemOf, statFd } from '@penstock/disk';
import { type Bench, openBench } from '../thread/thread.fixture.ts';
import { watchedPort } from '../thread/watched-port.fixture.ts';

const { EISDIR } = constants.errno;

const scratch = fileURLToPath(new URL('../../../../.cache/scratch/', import.meta.url));
mkdirSync(scratch, { recursive: true });

function isForgetful(path: string): boolean {
  const fd = native.openat(native.AT_FDCWD, path, native.O_RDONLY, 0);
  const answer = forgetsFreed(fileSystemOf(fd, path), statFd(fd, path).device);
  native.close(fd);
  return answer;
}

const without = isForgetful(scratch) ? test : test.skip;

let bench: Bench;
/** The files of the flushes that were submitted, by the names that they had then. */
let flushes: string[] = [];

function noteFlushes(submitted: readonly abi.Iocb[]): void {
  for (const { opcode, fd } of submitted) if (opcode === FSYNC || opcode === FDSYNC) flushes.push(nameOf(fd));
}
const FSYNC = 2;
const FDSYNC = 3;

/** The part, the directory, or a file that has lost its last name. */
function nameOf(fd: number): string {
  const path = readlinkSync(`/proc/self/fd/${fd}`);
  if (path.endsWith(' (deleted)')) return 'removed';
  return path === bench.directory ? 'directory' : path.endsWith('.part') ? 'part' : path;
}

beforeEach(() => {
  flushes = [];
  bench = openBench({ port: watchedPort(() => libaioPort() ?? syscallPort(), noteFlushes) });
});
afterEach(() => bench.end());

without.each(['fdatasync', 'none'] as const)(
  'what is replaced is flushed after the directory, and before its blocks go (durability %s)',
  async (durability) => {
    writeFileSync(join(bench.directory, 'a'), 'old');
    await bench.write({ path: 'a', size: 5000, durability });
    expect(flushes).toEqual([...(durability === 'none' ? [] : ['part']), 'directory', 'removed']);
    expect(bench.names()).toEqual(['a']);
    expect(statSync(join(bench.directory, 'a')).size).toBe(5000);
  },
);

without('a file that replaces none is flushed as ever', async () => {
  await bench.write({ path: 'a', size: 5000 });
  expect(flushes).toEqual(['part', 'directory']);
});

without('if the flush of what was replaced fails, so does the write, and nothing of the old file is left', async () => {
  bench.close();
  const isRemoved = (iocb: { opcode: number; fd: number }): boolean =>
    iocb.opcode === FSYNC && nameOf(iocb.fd) === 'removed';
  bench = openBench({ port: faultyPort({ seed: 1, script: [{ fault: 'failed', errno: 5, when: isRemoved }] }) });
  writeFileSync(join(bench.directory, 'a'), 'old');
  await expect(bench.write({ path: 'a', size: 5 })).rejects.toMatchObject({ code: 'EIO', syscall: 'fsync' });
  expect(bench.names()).toEqual(['a']);
  expect(bench.read('a')).toEqual(Buffer.alloc(5));
});

without('the name of a part under which a killed attempt has left a replaced file is not gone on with', async () => {
  const old = join(bench.directory, '.penstock-k-1.part');
  writeFileSync(old, 'old');
  const checkpoint = { jobKey: 'other', request: '', source: '', durableBytes: 3 };
  const fd = native.openat(native.AT_FDCWD, old, native.O_RDWR, 0);
  native.fsetxattr(fd, 'user.penstock.checkpoint', Buffer.from(JSON.stringify(checkpoint)));
  const { ino } = statSync(old);
  await bench.write({ path: 'a', size: 5 }, { jobKey: 'k', attemptToken: '2', again: true });
  expect(bench.names()).toEqual(['a']);
  expect(statSync(join(bench.directory, 'a')).ino).not.toBe(ino);
  native.close(fd); // until here, so that no other file gets its inode
});

test('a directory that was made where the file is to go stands there still, and the part keeps its name', () => {
  const directory = join(bench.directory, 'a');
  mkdirSync(directory);
  writeFileSync(join(bench.directory, 'part'), 'new');
  const dirFd = native.openat(native.AT_FDCWD, bench.directory, native.O_RDONLY, 0);
  const replaced = { fd: NO_FILE, name: null };
  expect(renameOver(dirFd, 'part', 'a', replaced)).toBe(-EISDIR);
  native.close(dirFd);
  expect(replaced).toEqual({ fd: NO_FILE, name: null });
  expect(statSync(directory).isDirectory()).toBe(true);
  expect(bench.read('part').toString('latin1')).toBe('new');
});
