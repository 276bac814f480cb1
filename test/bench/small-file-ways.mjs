// Ways to write many files of 4 KiB, without queue or lanes: `node test/bench/small-file-ways.mjs <directory> [files]`.
// In one thread, 32 files a turn: create, prepare, submit and reap, sync, rename, and one fsync of the directory.
// Prints files a second and the microseconds a file in each step, each way three times, in turns; after npm start.
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { AioEngine, libaioPort, native, syscallPort } from '@penstock/aio';

const PER_TURN = 32;
const FILES = Math.ceil(Number(process.argv[3] ?? 4000) / PER_TURN) * PER_TURN;
const BYTES = 4096;
const WAYS = {
  'append, each synced': { sync: true },
  append: {},
  'fallocate, each synced': { allocate: true, sync: true },
  fallocate: { allocate: true },
};

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
  const { allocate = false, sync = false } = WAYS[way];
  // A directory of its own: ext4 searches long for an inode where many were just freed.
  const directory = join(home, `${way}-${round}`);
  mkdirSync(directory, { recursive: true });
  const dirFd = check(native.openat(native.AT_FDCWD, directory, native.O_RDONLY | native.O_DIRECTORY, 0), 'openat');
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
      names.forEach((name) => check(native.renameat(dirFd, `.${name}.part`, dirFd, name), 'rename')),
    );
    step('directory', () => check(native.fsync(dirFd), 'fsync'));
    fds.forEach((fd) => native.close(fd));
  }
  const seconds = (performance.now() - began) / 1000;
  native.close(dirFd);
  const steps = Object.entries(spentMs).map(([name, ms]) => `${name} ${((ms * 1000) / FILES).toFixed(0)}`);
  console.log(`${way.padEnd(22)} ${(FILES / seconds).toFixed(0).padStart(6)} files/s; us a file: ${steps.join(', ')}`);
}

try {
  for (let round = 1; round <= 3; round += 1) for (const way of Object.keys(WAYS)) run(way, round);
} finally {
  engine.destroy();
  rmSync(home, { recursive: true, force: true });
}
