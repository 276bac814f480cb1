/**
 * A disk whose speed and failures are set while it runs: a file system of one file, "disk", served over /dev/fuse,
 * which lies beneath a loop device. Its bytes stand in memory.
 *
 *   node settable-disk.mjs <mount point> <size in bytes>
 *
 * Orders come by process messages, each `{ id, set, undo? }`, and are answered by `{ id, ...figures }`. What `set` names
 * holds from then on, also for what already waits:
 *
 *   bytesPerSecond: of reads and writes together; null is no limit
 *   isFrozen: nothing is answered
 *   errno: { read, write, flush }, 0 for none
 *
 * `undo` is a shell command that unmounts what lies on the disk: it is run where the process that gave the orders ends
 * without closing the disk, which by then answers everything at once.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { serveFuse } from './fuse.mjs';

const [mountPoint, sizeText] = process.argv.slice(2);
const size = Number(sizeText);
const disk = Buffer.alloc(size); // pages that are never touched take up nothing

const settings = { bytesPerSecond: null, isFrozen: false, errno: { read: 0, write: 0, flush: 0 } };
const figures = { bytesWritten: 0, bytesRead: 0, flushes: 0, waiting: 0 };
/** Requests in the order in which they came; the disk does one after the other. */
const line = [];
let timer;
/** When the disk will have done what it has begun. */
let busyUntil = 0;

/** How far the disk may be behind before it waits: timers are not to the microsecond. */
const GRAIN_MS = 2;

/** Resolves when the disk has come to it, with the errno of `kind`. */
function turn(kind, bytes) {
  return new Promise((resolve) => {
    line.push({ kind, bytes, resolve, isBegun: false });
    figures.waiting = line.length;
    if (timer === undefined) work();
  });
}

function work() {
  timer = undefined;
  while (line.length > 0 && !settings.isFrozen) {
    const [request] = line;
    const now = performance.now();
    if (!request.isBegun) {
      const { bytesPerSecond } = settings;
      busyUntil = Math.max(busyUntil, now - GRAIN_MS);
      if (bytesPerSecond !== null) busyUntil += (request.bytes / bytesPerSecond) * 1000;
      request.isBegun = true;
    }
    if (busyUntil - now > GRAIN_MS) {
      timer = setTimeout(work, busyUntil - now);
      return;
    }
    line.shift();
    request.resolve(settings.errno[request.kind]);
  }
  figures.waiting = line.length;
}

function set(changes) {
  Object.assign(settings, changes);
  clearTimeout(timer);
  // What was begun is begun anew, as it now is.
  busyUntil = 0;
  if (line.length > 0) line[0].isBegun = false;
  work();
}

const files = {
  disk: {
    size: () => size,
    async read(offset, length) {
      const errno = await turn('read', length);
      figures.bytesRead += length;
      return errno === 0 ? disk.subarray(offset, Math.min(size, offset + length)) : errno;
    },
    async write(offset, bytes) {
      const kept = Buffer.from(bytes);
      const errno = await turn('write', kept.length);
      if (errno !== 0) return errno;
      kept.copy(disk, offset);
      figures.bytesWritten += kept.length;
      return 0;
    },
    async flush() {
      const errno = await turn('flush', 0);
      figures.flushes += 1;
      return errno;
    },
  },
};

let undo = '';
process.on('message', (order) => {
  undo = order.undo ?? undo;
  set(order.set ?? {});
  process.send({ id: order.id, ...figures });
});
process.on('disconnect', () => {
  set({ bytesPerSecond: null, isFrozen: false, errno: { read: 0, write: 0, flush: 0 } });
  // Not waited for: this process has to serve what it unmounts.
  spawn('sh', ['-c', `${undo}\numount -l '${mountPoint}'`], { stdio: 'ignore', detached: true }).unref();
});
// Ctrl-C of a terminal goes to all its processes: this one is needed until what lies on it is unmounted.
for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM']) process.on(signal, () => {});

serveFuse(mountPoint, 'penstock-settable-disk', files, (code) => process.exit(code));
