/**
 * libc as koffi has loaded it, the one import of koffi. The files beside this one declare over it the calls of one subject
 * each: no loop and no policy; numbers and typed arrays go in, numbers come out. A failed call returns -errno, whatever
 * the C convention was.
 *
 * Every call is synchronous: a koffi call costs 0.2 us synchronous and 24 us asynchronous, and koffi's asynchronous calls
 * inside worker threads have crashed (Koromix/koffi#190).
 *
 * The decision: libs/README.md#synchronous-calls.
 */
import koffi, { type LibraryHandle } from 'koffi';

/** Numbers of the system calls that libc wraps late or not at all. */
interface SyscallNumbers {
  io_setup: number;
  io_destroy: number;
  io_submit: number;
  io_getevents: number;
  openat2: number;
  statx: number;
  renameat2: number;
  memfd_create: number;
  gettid: number;
  preadv2: number;
  cachestat: number;
}

const SYSCALLS: Readonly<Record<string, SyscallNumbers>> = {
  x64: {
    io_setup: 206,
    io_destroy: 207,
    io_submit: 209,
    io_getevents: 208,
    openat2: 437,
    statx: 332,
    renameat2: 316,
    memfd_create: 319,
    gettid: 186,
    preadv2: 327,
    cachestat: 451,
  },
  arm64: {
    io_setup: 0,
    io_destroy: 1,
    io_submit: 2,
    io_getevents: 4,
    openat2: 437,
    statx: 291,
    renameat2: 276,
    memfd_create: 279,
    gettid: 178,
    preadv2: 286,
    cachestat: 451,
  },
};

// node is linked against libc, so the process itself offers its symbols whichever libc that is.
export const libc: LibraryHandle = koffi.load(null);

/** What a call of the libc convention returned, or -errno if it failed: to be asked before any other call. */
export const fail = (result: number): number => (result < 0 ? -koffi.errno() : result);

function numbers(): SyscallNumbers {
  const table = SYSCALLS[process.arch];
  if (table === undefined) throw new Error(`penstock runs on x64 and arm64 Linux; this is ${process.arch}`);
  return table;
}
/** The numbers on this processor. */
export const NR: SyscallNumbers = numbers();

/** A library by its file or soname. @throws if it cannot be loaded */
export const loadLibrary = (name: string): LibraryHandle => koffi.load(name);

/** The address of a typed array's first byte, in this process and in every thread of it. */
export function addressOf(view: NodeJS.ArrayBufferView): number {
  return Number(koffi.address(view)); // user addresses end at 2^47: exact as a double
}
