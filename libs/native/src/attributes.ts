/** What a file has beside its bytes: permissions, owner, times, inode flags, extended attributes. */
import { fail, libc } from './libc.ts';

const fchmodC = libc.func('int fchmod(int, uint32_t)');
/** fchmod(2): 0 or -errno. */
export const fchmod = (fd: number, mode: number): number => fail(fchmodC(fd, mode));

const fchownC = libc.func('int fchown(int, uint32_t, uint32_t)');
/** fchown(2): 0 or -errno. -1 leaves that one as it is. */
export const fchown = (fd: number, userId: number, groupId: number): number =>
  fail(fchownC(fd, userId >>> 0, groupId >>> 0));

const UTIME_OMIT = 1_073_741_822n;
const futimensC = libc.func('int futimens(int, void *)');
const times = new BigInt64Array(new ArrayBuffer(32)); // struct timespec[2]: accessed, modified
/** futimens(2) of the time of modification alone: 0 or -errno. */
export function setModified(fd: number, seconds: number, nanoseconds: number): number {
  times[1] = UTIME_OMIT;
  times[2] = BigInt(seconds);
  times[3] = BigInt(nanoseconds);
  return fail(futimensC(fd, times));
}

const ioctlC = libc.func('int ioctl(int, unsigned long, void *)');
const FS_IOC_GETFLAGS = 0x80086601; // the same on x64 and arm64
const inodeFlags = new Uint32Array(new ArrayBuffer(8));
/** The FS_IOC_GETFLAGS ioctl (chattr's flags of the file): the flags, or -errno; -ENOTTY if the file system keeps none. */
export function fileFlags(fd: number): number {
  const result = fail(ioctlC(fd, FS_IOC_GETFLAGS, inodeFlags));
  return result < 0 ? result : inodeFlags[0]!;
}

const FS_IOC_SETFLAGS = 0x40086602; // the same on x64 and arm64
/** The FS_IOC_SETFLAGS ioctl, of all flags at once: 0 or -errno. */
export function setFileFlags(fd: number, flags: number): number {
  inodeFlags[0] = flags;
  return fail(ioctlC(fd, FS_IOC_SETFLAGS, inodeFlags));
}

const fsetxattrC = libc.func('int fsetxattr(int, str, void *, size_t, int)');
/** fsetxattr(2): 0 or -errno. */
export const fsetxattr = (fd: number, name: string, value: Uint8Array): number =>
  fail(fsetxattrC(fd, name, value, value.byteLength, 0));

const fgetxattrC = libc.func('int64_t fgetxattr(int, str, void *, size_t)');
/** fgetxattr(2): bytes stored into `value`, or -errno. */
export const fgetxattr = (fd: number, name: string, value: Uint8Array): number =>
  fail(Number(fgetxattrC(fd, name, value, value.byteLength)));

const fremovexattrC = libc.func('int fremovexattr(int, str)');
/** fremovexattr(2): 0 or -errno; -ENODATA if there is none of that name. */
export const fremovexattr = (fd: number, name: string): number => fail(fremovexattrC(fd, name));

const getxattrC = libc.func('int64_t getxattr(str, str, void *, size_t)');
/** getxattr(2), which follows links: bytes stored into `value`, or -errno. */
export const getxattr = (path: string, name: string, value: Uint8Array): number =>
  fail(Number(getxattrC(path, name, value, value.byteLength)));

const listxattrC = libc.func('int64_t listxattr(str, void *, size_t)');
/** listxattr(2), which follows links: bytes of names stored into `names`, each ended by a NUL, or -errno. */
export const listxattr = (path: string, names: Uint8Array): number =>
  fail(Number(listxattrC(path, names, names.byteLength)));
