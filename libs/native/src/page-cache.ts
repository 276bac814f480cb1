/** The page cache: what it has of a file, reads from it alone, out of it to the disk, and dropped. */
import { NR, fail, libc } from './libc.ts';
import { highWord, lowWord } from './words.ts';

const fdatasyncC = libc.func('int fdatasync(int)');
/** fdatasync(2): 0 or -errno. Blocks the calling thread. */
export const fdatasync = (fd: number): number => fail(fdatasyncC(fd));

const fsyncC = libc.func('int fsync(int)');
/** fsync(2): 0 or -errno. Blocks the calling thread. */
export const fsync = (fd: number): number => fail(fsyncC(fd));

const syncfsC = libc.func('int syncfs(int)');
/** syncfs(2) of the file system of `fd`: 0 or -errno. Blocks the calling thread until all dirty pages there are written, those of other processes too. */
export const syncfs = (fd: number): number => fail(syncfsC(fd));

const POSIX_FADV_DONTNEED = 4; // the same on x64 and arm64
const posixFadviseC = libc.func('int posix_fadvise(int, int64_t, int64_t, int)');
/** posix_fadvise(2) POSIX_FADV_DONTNEED on the whole file: drops what the page cache holds of it unchanged. 0 or -errno. */
export const dropPageCache = (fd: number): number => 0 - posixFadviseC(fd, 0, 0, POSIX_FADV_DONTNEED);

const SC_PAGESIZE = 30; // the same for glibc and musl
const sysconfC = libc.func('long sysconf(int)');
/** Bytes of a page of memory. */
export const PAGE_BYTES: number = Number(sysconfC(SC_PAGESIZE));

const syscallCachestat = libc.func('long syscall(long, long, void *, void *, long)');
/** struct cachestat_range: off u64 @0, len u64 @8; struct cachestat: nr_cache u64 @0, nr_dirty u64 @8 and three more. */
const cacheRange = new Uint32Array(new ArrayBuffer(16));
const cacheCounts = new Uint32Array(new ArrayBuffer(40));
const NR_DIRTY = 2;
/**
 * cachestat(2): how many pages of the `length` bytes at `offset` the page cache has, or -errno; -ENOSYS before Linux 6.5,
 * -EPERM for a file that the process could only read. lastDirtyPages() says how many of them the disk does not have yet.
 */
export function cachedPages(fd: number, offset: number, length: number): number {
  cacheRange[0] = lowWord(offset);
  cacheRange[1] = highWord(offset);
  cacheRange[2] = lowWord(length);
  cacheRange[3] = highWord(length);
  const result = fail(Number(syscallCachestat(NR.cachestat, fd, cacheRange, cacheCounts, 0)));
  return result < 0 ? result : cacheCounts[0]!; // of one iocb they are fewer than 2^32
}

/** Of the pages that the last cachedPages() has counted, those that were changed since they were last written out. */
export const lastDirtyPages = (): number => cacheCounts[NR_DIRTY]!;

const RWF_NOWAIT = 8;
const syscallPreadv2 = libc.func('int64_t syscall(long, long, void *, long, int64_t, long, long)');
/** struct iovec: address u64 @0, length u64 @8. */
const readVector = new Uint32Array(new ArrayBuffer(16));
/** preadv2(2) RWF_NOWAIT into an address: the bytes that could be had without waiting for a disk, or -errno; -EAGAIN: none. */
export function preadNowait(fd: number, address: number, length: number, offset: number): number {
  readVector[0] = lowWord(address);
  readVector[1] = highWord(address);
  readVector[2] = lowWord(length);
  readVector[3] = highWord(length);
  return fail(Number(syscallPreadv2(NR.preadv2, fd, readVector, 1, offset, 0, RWF_NOWAIT)));
}
