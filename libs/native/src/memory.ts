/** Memory by its address: advice, copies, mappings. */
import { fail, libc } from './libc.ts';

export const MADV_DONTNEED = 4;
export const MADV_HUGEPAGE = 14;
const madviseC = libc.func('int madvise(uint64_t, size_t, int)');
/** madvise(2): 0 or -errno. */
export const madvise = (address: number, length: number, advice: number): number =>
  fail(madviseC(address, length, advice));

const memcpyC = libc.func('void memcpy(uint64_t, const void *, size_t)');
/**
 * Copies `bytes` to `address`. TypedArray.set into shared memory moves it by single atomic words, and by single bytes
 * if the two are not aligned alike: 3 to 17 times slower.
 */
export const copyTo = (address: number, bytes: Uint8Array): void => {
  memcpyC(address, bytes, bytes.byteLength);
};

export const PROT_READ = 1;
export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 32;
const mmapC = libc.func('int64_t mmap(uint64_t, size_t, int, int, int, int64_t)');
/** mmap(2) of a file's first `length` bytes, or of zeros (MAP_ANONYMOUS), wherever the kernel likes: the address, or -errno. */
export const mmap = (length: number, protection: number, flags: number, fd: number): number =>
  fail(Number(mmapC(0, length, protection, flags, fd, 0)));

const munmapC = libc.func('int munmap(uint64_t, size_t)');
/** munmap(2): 0 or -errno. Nothing in flight may read from there any more. */
export const munmap = (address: number, length: number): number => fail(munmapC(address, length));
