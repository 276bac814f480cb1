/** From the page cache to the disk, and out of the cache. */
import { fail, libc } from './libc.ts';

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
