/** Descriptors: opened, closed, locked, their status flags, and plain reads and writes by address. */
import { O_CLOEXEC } from './flags.ts';
import { NR, fail, libc } from './libc.ts';

/** Called right after a descriptor was opened by these calls on this thread, and right before one is closed. */
export interface DescriptorWatch {
  opened(fd: number): void;
  closing(fd: number): void;
}

let descriptors: DescriptorWatch | null = null;
/** There is one watch per thread: a second call replaces it. */
export function watchDescriptors(watch: DescriptorWatch): void {
  descriptors = watch;
}

/** The descriptor that a call has returned, or -errno. */
function openedBy(result: number): number {
  const fd = fail(result);
  if (fd >= 0) descriptors?.opened(fd);
  return fd;
}

const openatC = libc.func('int openat(int, str, int, int)');
/** openat(2): a descriptor, or -errno. */
export const openat = (dirFd: number, path: string, flags: number, mode: number): number =>
  openedBy(openatC(dirFd, path, flags | O_CLOEXEC, mode));

const syscallOpenat2 = libc.func('long syscall(long, long, str, void *, long)');
const openHow = new BigUint64Array(new ArrayBuffer(24));
/** openat2(2): a descriptor, or -errno; -ENOSYS before Linux 5.6. */
export function openat2(dirFd: number, path: string, flags: number, mode: number, resolve: number): number {
  openHow[0] = BigInt(flags | O_CLOEXEC);
  openHow[1] = BigInt(mode);
  openHow[2] = BigInt(resolve);
  return openedBy(Number(syscallOpenat2(NR.openat2, dirFd, path, openHow, openHow.byteLength)));
}

const syscallMemfdCreate = libc.func('long syscall(long, str, long)');
const MFD_CLOEXEC = 1;
/** memfd_create(2): the descriptor of a file in memory without a name, or -errno. */
export const memfdCreate = (name: string): number =>
  openedBy(Number(syscallMemfdCreate(NR.memfd_create, name, MFD_CLOEXEC)));

const closeC = libc.func('int close(int)');
/** close(2): 0 or -errno. */
export const close = (fd: number): number => {
  descriptors?.closing(fd);
  return fail(closeC(fd));
};

const F_SETFL = 4;
const fcntlC = libc.func('int fcntl(int, int, int)');
/** fcntl(2) F_SETFL: sets the status flags (O_DIRECT among them) of an open file. 0 or -errno. */
export const setStatusFlags = (fd: number, flags: number): number => fail(fcntlC(fd, F_SETFL, flags));

const F_GETFL = 3;
/** fcntl(2) F_GETFL: the flags an open file has, or -errno. */
export const statusFlags = (fd: number): number => fail(fcntlC(fd, F_GETFL, 0));

const F_DUPFD_CLOEXEC = 1030;
/** fcntl(2) F_DUPFD_CLOEXEC: a second descriptor of what `fd` has open, or -errno. */
export const duplicate = (fd: number): number => openedBy(fcntlC(fd, F_DUPFD_CLOEXEC, 0));

const dup3C = libc.func('int dup3(int, int, int)');
/** dup3(2): closes `to` and makes it a second descriptor of what `from` has open. Returns `to`, or -errno. */
export const duplicateTo = (from: number, to: number): number => fail(dup3C(from, to, O_CLOEXEC));

const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const fcntlLockC = libc.func('int fcntl(int, int, void *)');
/** struct flock of 64-bit Linux: l_type i16 @0, l_whence i16 @2, l_start i64 @8, l_len i64 @16, l_pid i32 @24. */
const wholeFileLock = new Int16Array(new ArrayBuffer(32));
wholeFileLock[0] = F_WRLCK; // from 0, as long as the file ever gets
/**
 * fcntl(2) F_OFD_SETLK of the whole file for writing, without waiting: 0 or -errno, -EAGAIN if another open file description has it.
 * The lock belongs to the open file description and goes with its last descriptor, whatever ends it; unlike flock(2) it
 * holds on NFS too.
 */
export const lockFile = (fd: number): number => fail(fcntlLockC(fd, F_OFD_SETLK, wholeFileLock));

const preadC = libc.func('int64_t pread(int, uint64_t, size_t, int64_t)');
/** pread(2) into an address: bytes read, or -errno. */
export const pread = (fd: number, address: number, length: number, offset: number): number =>
  fail(Number(preadC(fd, address, length, offset)));

const pwriteC = libc.func('int64_t pwrite(int, uint64_t, size_t, int64_t)');
/** pwrite(2) from an address: bytes written, or -errno. */
export const pwrite = (fd: number, address: number, length: number, offset: number): number =>
  fail(Number(pwriteC(fd, address, length, offset)));
