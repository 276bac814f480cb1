/**
 * For tests: a process that dies at a named step of a write. Preloaded into the process by `node --import`, and by itself
 * into its threads, which inherit no preload, it counts
 * the calls that a writer thread makes of the kernel, and ends the process with SIGKILL just before the n-th of a name.
 *
 * Nothing of the product knows of it: it stands in koffi, through which each of those calls goes. Steps are counted by
 * thread, from the first lock of a file on: that is where a write begins, and only writer threads take any.
 * PENSTOCK_STEPS is {"call", "nth", "log"}; without a call nothing dies, and the log gets the name of each step in turn.
 * Before a death it gets the name of that step.
 */
import { appendFileSync } from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import workerThreads, { MessagePort, isMainThread } from 'node:worker_threads';

const { call, nth, log } = JSON.parse(process.env.PENSTOCK_STEPS ?? '{}');

/** The lock of a file: a write's life begins with it. */
const FIRST = 'fcntl';
/** They change nothing that outlives the process. */
const UNCOUNTED = new Set(
  [
    'madvise',
    'memcpy',
    'mmap',
    'munmap',
    'lseek',
    'posix_fadvise',
    'pread',
    'fgetxattr',
    'getxattr',
    'listxattr',
  ].concat(['fstatfs', 'statx', 'io_setup']),
);
/** Those that libc wraps late or not at all, by their numbers. */
const NUMBERED = {
  x64: { 206: 'io_setup', 207: 'io_destroy', 208: 'io_getevents', 209: 'io_submit' },
  arm64: { 0: 'io_setup', 1: 'io_destroy', 4: 'io_getevents', 2: 'io_submit' },
}[process.arch];
Object.assign(
  NUMBERED,
  { 437: 'openat2' },
  process.arch === 'x64' ? { 332: 'statx', 316: 'renameat2' } : { 291: 'statx', 276: 'renameat2' },
);

const counts = new Map();
let counting = false;

/** About to do `name`. */
function step(name) {
  if (UNCOUNTED.has(name)) return;
  counting ||= name === FIRST;
  if (counting) reach(name);
}

function reach(name) {
  const count = (counts.get(name) ?? 0) + 1;
  counts.set(name, count);
  const dies = name === call && count === nth;
  if (log !== undefined && (dies || call === undefined)) appendFileSync(log, `${name}\n`);
  if (dies) process.kill(process.pid, 'SIGKILL');
}

/** The library whose functions are counted as they are called. */
const counted = (library) => ({
  func(...declaration) {
    const carryOut = library.func(...declaration);
    const name = /(\w+)\(/.exec(declaration[0])[1];
    return (...args) => {
      step(name === 'syscall' ? (NUMBERED[args[0]] ?? name) : name);
      return carryOut(...args);
    };
  },
});

const { resolve } = createRequire(new URL('../../libs/native/dist/libc.js', import.meta.url));
const { default: koffi } = await import(new URL('index.js', pathToFileURL(resolve('koffi'))));
const { load } = koffi;
koffi.load = (name) => counted(load(name));

// What leaves the thread: the end of a write among it.
const postMessage = MessagePort.prototype.postMessage; // oxlint-disable-line unbound-method -- called on its port
MessagePort.prototype.postMessage = function posted(...args) {
  step('postMessage');
  return postMessage.apply(this, args);
};

// Threads are started with options and an environment of their own.
if (isMainThread) {
  const { Worker } = workerThreads;
  workerThreads.Worker = class CountingWorker extends Worker {
    constructor(entry, options) {
      const execArgv = [...(options.execArgv ?? []), '--import', import.meta.url];
      super(entry, { ...options, execArgv, env: { ...options.env, PENSTOCK_STEPS: process.env.PENSTOCK_STEPS } });
    }
  };
  syncBuiltinESMExports();
}

// What a host says to Redis when a job has ended: BullMQ's script names the state.
if (isMainThread) {
  const write = Socket.prototype.write; // oxlint-disable-line unbound-method -- called on its socket
  Socket.prototype.write = function written(chunk, ...rest) {
    const ends =
      typeof chunk === 'string' ? chunk.includes('\ncompleted\r') : Buffer.from(chunk).includes('\ncompleted\r');
    if (ends) reach('sayCompleted');
    return write.call(this, chunk, ...rest);
  };
}
