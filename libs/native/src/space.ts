/** What a file occupies: its blocks, its length, its holes, and blocks that it shares. */
import { fail, libc } from './libc.ts';

const fallocateC = libc.func('int fallocate(int, int, int64_t, int64_t)');
/** fallocate(2), mode 0: 0 or -errno. */
export const fallocate = (fd: number, offset: number, length: number): number =>
  fail(fallocateC(fd, 0, offset, length));

const FALLOC_FL_KEEP_SIZE = 1;
/** fallocate(2) that leaves the size of the file as it is: 0 or -errno. */
export const fallocateKeepSize = (fd: number, offset: number, length: number): number =>
  fail(fallocateC(fd, FALLOC_FL_KEEP_SIZE, offset, length));

const ftruncateC = libc.func('int ftruncate(int, int64_t)');
/** ftruncate(2): 0 or -errno. */
export const ftruncate = (fd: number, length: number): number => fail(ftruncateC(fd, length));

export const SEEK_DATA = 3;
export const SEEK_HOLE = 4;
const lseekC = libc.func('int64_t lseek(int, int64_t, int)');
/** lseek(2): the position, or -errno; -ENXIO if SEEK_DATA finds no more data. */
export const lseek = (fd: number, offset: number, whence: number): number => fail(Number(lseekC(fd, offset, whence)));

const FICLONERANGE = 0x4020940d; // the same on x64 and arm64
const ioctlC = libc.func('int ioctl(int, unsigned long, void *)');
const cloneRange = new BigInt64Array(new ArrayBuffer(32)); // struct file_clone_range
/** ioctl_ficlonerange(2), the same range in both files: 0 or -errno. A length of 0 reaches to the end of the source. */
export function cloneFileRange(sourceFd: number, fd: number, offset: number, length: number): number {
  cloneRange[0] = BigInt(sourceFd);
  cloneRange[1] = BigInt(offset);
  cloneRange[2] = BigInt(length);
  cloneRange[3] = BigInt(offset);
  return fail(ioctlC(fd, FICLONERANGE, cloneRange));
}

const FS_IOC_FIEMAP = 0xc020660b; // the same on x64 and arm64
/**
 * The FIEMAP ioctl (Documentation/filesystems/fiemap.rst) over `fiemap`, a struct fiemap with room for its extents:
 * 0 or -errno; -EOPNOTSUPP if the file system cannot map them.
 */
export const mapExtents = (fd: number, fiemap: Uint8Array): number => fail(ioctlC(fd, FS_IOC_FIEMAP, fiemap));
