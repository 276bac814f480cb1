// Ways to write many files of 4 KiB, without queue or lanes: `node test/bench/small-file-ways.mjs <directory> [files]`.
// In one thread, 32 files a turn: create, prepare, submit and reap, sync, rename, and one fsync of the directory.
// With `replace` as third argument the ways of a file system without a journal to replace files that stand there.
// Prints files a second and the microseconds a file in each step, each way three times, in turns; after npm start.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AioEngine, libaioPort, syscallPort } from '@penstock/aio';
import { native } from '@penstock/native';

const PER_TURN = 32;
const FILES = Math.ceil(Number(process.argv[3] ?? 4000) / PER_TURN) * PER_TURN;
const BYTES = 4096;
const FRESH_WAYS = {
  'append, each synced': { sync: true },
  append: {},
  'fallocate, each synced': { allocate: true, sync: true },
  fallocate: { allocate: true },
};
/** Each over a file that stands there, preallocated and synced. */
const REPLACING_WAYS = {
  rename: {},
  'exchange, old one synced': { exchange: true },
  'rename, syncfs': { syncfs: true },
};
const replaces = process.argv[4] === 'replace';
const WAYS = replaces ? REPLACING_WAYS : FRESH_WAYS;

const home = resolve(process.argv[2] ?? '.', `small-file-ways-${process.pid}`);
const engine = new AioEngine(libaioPort() ?? syscallPort(), PER_TURN);
const memory = new Uint8Array(new SharedArrayBuffer((PER_TURN + 1) * BYTES)).fill(7);
const unaligned = native.addressOf(memory);
const rows = unaligned + (BYTES - (unaligned % BYTES));

function check(result, call) {
  if (result < 0) throw new Error(`${call}: errno ${-result}`);
  return result;
}

function reapAll(expected) {
  for (let left = PER_TURN; left > 0;) {
    const completed = engine.reap(1000);
    for (let index = 0; index < completed; index += 1) {
      const slot = engine.completedSlots[index];
      if (engine.slotResult[slot] !== expected) throw new Error(`an iocb ended with ${engine.slotResult[slot]}`);
      engine.releaseSlot(slot);
    }
    left -= completed;
  }
}

function run(way, round) {
  const { allocate = replaces, sync = replaces, exchange = false, syncfs = false } = WAYS[way];
  // A directory of its own: ext4 searches long for an inode where many were just freed.
  const directory = join(home, `${way}-${round}`);
  mkdirSync(directory, { recursive: true });
  const dirFd = check(native.openat(native.AT_FDCWD, directory, native.O_RDONLY | native.O_DIRECTORY, 0), 'openat');
  if (replaces)
    for (let index = 0; index < FILES; index += 1)
      writeFileSync(join(directory, `${index}`), memory.subarray(0, BYTES));
  if (replaces) check(native.syncfs(dirFd), 'syncfs');
  const spentMs = {};
  const step = (name, work) => {
    const began = performance.now();
    work();
    spentMs[name] = (spentMs[name] ?? 0) + performance.now() - began;
  };
  const flags = native.O_RDWR | native.O_CREAT | native.O_EXCL | native.O_DIRECT;
  const began = performance.now();
  for (let first = 0; first < FILES; first += PER_TURN) {
    const names = Array.from({ length: PER_TURN }, (_, index) => `${first + index}`);
    let fds;
    step('create', () => {
      fds = names.map((name) => check(native.openat(dirFd, `.${name}.part`, flags, 0o644), 'openat'));
    });
    if (allocate) step('fallocate', () => fds.forEach((fd) => check(native.fallocate(fd, 0, BYTES), 'fallocate')));
    step('submit', () => {
      fds.forEach((fd, index) => engine.prepWrite(engine.acquireSlot(), fd, rows + index * BYTES, BYTES, 0));
      engine.submit();
    });
    step('reap', () => reapAll(BYTES));
    if (sync) {
      step('sync', () => {
        fds.forEach((fd) => engine.prepFdatasync(engine.acquireSlot(), fd));
        engine.submit();
        reapAll(0);
      });
    }
    step('rename', () =>
      names.forEach((name) => {
        if (exchange) check(native.renameat2(dirFd, `.${name}.part`, dirFd, name, native.RENAME_EXCHANGE), 'rename');
        else check(native.renameat(dirFd, `.${name}.part`, dirFd, name), 'rename');
      }),
    );
    if (syncfs) step('syncfs', () => check(native.syncfs(dirFd), 'syncfs'));
    step('directory', () => check(native.fsync(dirFd), 'fsync'));
    if (exchange) {
      step('old', () => {
        const old = names.map((name) => check(native.openat(dirFd, `.${name}.part`, native.O_RDONLY, 0), 'openat'));
        names.forEach((name) => check(native.unlinkat(dirFd, `.${name}.part`), 'unlinkat'));
        old.forEach((fd) => engine.prepFsync(engine.acquireSlot(), fd));
        engine.submit();
        reapAll(0);
        old.forEach((fd) => native.close(fd));
      });
    }
    fds.forEach((fd) => native.close(fd));
  }
  const seconds = (performance.now() - began) / 1000;
  native.close(dirFd);
  const steps = Object.entries(spentMs).map(([name, ms]) => `${name} ${((ms * 1000) / FILES).toFixed(0)}`);
  console.log(`${way.padEnd(25)} ${(FILES / seconds).toFixed(0).padStart(6)} files/s; us a file: ${steps.join(', ')}`);
}

try {
  for (let round = 1; round <= 3; round += 1) for (const way of Object.keys(WAYS)) run(way, round);
} finally {
  engine.destroy();
  rmSync(home, { recursive: true, force: true });
}
