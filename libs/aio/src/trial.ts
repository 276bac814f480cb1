/**
 * A real write and a real flush through a context, before anything depends on it: a sandbox may let io_setup pass and
 * refuse io_submit or io_getevents, or the io_pgetevents that some builds of libaio call instead.
 *
 * The decision: libs/README.md#tried-by-a-write.
 */
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { IoError } from '@penstock/contract';
import { type AioEngine, SLOT_COMPLETED } from './engine.ts';
import { native } from '@penstock/native';

const { EINVAL, EIO, ETIMEDOUT } = constants.errno;

/** Memory answers at once: a context that has not answered by then never does. */
const TRIAL_MS_MAX = 1000;
const WAIT_MS = 100;

const WRITTEN = Uint8Array.from([80, 69, 78, 83, 84, 79, 67, 75]);
// Module level and on an explicit buffer: the kernel reads it, and V8 moves small arrays.
const written = new Uint8Array(new ArrayBuffer(WRITTEN.length));
written.set(WRITTEN);
const readBack = new Uint8Array(new ArrayBuffer(WRITTEN.length));

/** The call that does not work here, and how it fails. */
export interface Refusal {
  syscall: string;
  /** Negative. */
  errno: number;
}

/**
 * Writes eight bytes to a file in memory through `engine`, flushes it, and reads them back. Returns what
 * failed, or null. After a failure the engine is good for nothing but destroy().
 */
export function tryOut(engine: AioEngine): Refusal | null {
  const fd = privateFile();
  if (fd < 0) return null; // nothing to try it on: the context itself was to be had
  try {
    const slot = engine.acquireSlot();
    engine.prepWrite(slot, fd, native.addressOf(written), written.length, 0);
    const failed = refusalOf(engine, slot, 'pwrite', written.length) ?? refusalOfBytes(fd);
    if (failed !== null) return failed;
    engine.prepFdatasync(slot, fd);
    const flush = refusalOf(engine, slot, 'fdatasync', 0);
    // A kernel before 4.18 knows no flush by AIO: files are flushed by the plain call there.
    if (flush !== null && flush.errno !== -EINVAL) return flush;
    engine.releaseSlot(slot);
    return null;
  } catch (error) {
    if (error instanceof IoError) return { syscall: error.syscall, errno: error.errno };
    throw error;
  } finally {
    native.close(fd);
  }
}

/** Submits and reaps what is prepared in `slot`. @throws IoError naming io_submit or io_getevents */
function refusalOf(engine: AioEngine, slot: number, syscall: string, expected: number): Refusal | null {
  const until = performance.now() + TRIAL_MS_MAX;
  engine.submit();
  while (engine.stateOf(slot) !== SLOT_COMPLETED) {
    if (performance.now() > until) return { syscall: 'io_getevents', errno: -ETIMEDOUT };
    engine.reap(WAIT_MS);
  }
  const result = engine.slotResult[slot]!;
  if (engine.slotRefused[slot] === 1) return { syscall: 'io_submit', errno: result };
  if (result === expected) return null;
  return { syscall, errno: result < 0 ? result : -EIO };
}

function refusalOfBytes(fd: number): Refusal | null {
  const count = native.pread(fd, native.addressOf(readBack), readBack.length, 0);
  const isThere = count === readBack.length && readBack.every((byte, index) => byte === WRITTEN[index]);
  return isThere ? null : { syscall: 'pwrite', errno: -EIO };
}

/** A file that has no name and goes with its descriptor; -errno if none can be had. */
function privateFile(): number {
  const fd = native.memfdCreate('penstock-trial');
  if (fd >= 0) return fd;
  return native.openat(native.AT_FDCWD, '/tmp', native.O_TMPFILE | native.O_RDWR, 0o600);
}
