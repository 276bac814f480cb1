/**
 * The native boundary: the only module that imports koffi. Declarations alone, no loop and no policy; numbers and
 * typed arrays go in, numbers come out. A failed call returns -errno, whatever the C convention was.
 *
 * Every call here is synchronous: a koffi call costs 0.2 us synchronous and 24 us asynchronous, and koffi's
 * asynchronous calls inside worker threads have crashed (Koromix/koffi#190).
 */
import { constants } from 'node:os';
import koffi from 'koffi';

const { ENOSYS } = constants.errno;

export const O_RDONLY = 0;
export const O_WRONLY = 0o1;
export const O_RDWR = 0o2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_TRUNC = 0o1000;
export const O_NONBLOCK = 0o4000;
export const O_DSYNC = 0o10000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
// These three differ between architectures (arm64 swaps them round).
const arm = process.arch === 'arm64';
export const O_DIRECT: number = arm ? 0o200000 : 0o40000;
export const O_APPEND = 0o2000; // the same on x64 and arm64
export const O_DIRECTORY: number = arm ? 0o40000 : 0o200000;
export const O_NOFOLLOW: number = arm ? 0o100000 : 0o400000;

/** Of the directory that is named: a file without a name in it. */
export const O_TMPFILE: number = 0o20000000 | O_DIRECTORY;

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_EMPTY_PATH = 0x1000;
export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;
export const MADV_DONTNEED = 4;
export const MADV_HUGEPAGE = 14;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;

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
  },
};

// node is linked against libc, so the process itself offers its symbols whichever libc that is.
const libc = koffi.load(null);
const fail = (result: number): number => (result < 0 ? -koffi.errno() : result);

function numbers(): SyscallNumbers {
  const table = SYSCALLS[process.arch];
  if (table === undefined) throw new Error(`penstock runs on x64 and arm64 Linux; this is ${process.arch}`);
  return table;
}
const NR: SyscallNumbers = numbers();

/** The address of a typed array's first byte, in this process and in every thread of it. */
export function addressOf(view: NodeJS.ArrayBufferView): number {
  return Number(koffi.address(view)); // user addresses end at 2^47: exact as a double
}

// --------------------------------------------------------------------------------------------- threads, processes

const syscallGettid = libc.func('long syscall(long)');
/** gettid(2): the kernel's id of the calling thread, as below /proc/self/task. */
export const gettid = (): number => Number(syscallGettid(NR.gettid));

const exitC = libc.func('void _exit(int)');
/** _exit(2): ends the process without joining its threads, one of which may be in a call that does not return. */
export const exitNow = (status: number): void => exitC(status);

/** What glibc does when the thread that asked for it ends, whatever ends it. */
export interface AtThreadEnd {
  /** Has the descriptor closed that stands at the address that it returns, an int; -1 is none. */
  closeAtEnd(): number;
  /** Has an AIO context destroyed, once nothing of it is in flight; null without libaio. */
  destroyAtEnd: ((context: number) => void) | null;
}

const RTLD_NOW = 2;
const DIR_BYTES = 256; // more than glibc's DIR has before its buffer

/**
 * Destructors of the calling thread, run by glibc as C++ has them run, with no JavaScript left; null under another libc.
 * Of its own calls closedir() takes the descriptor from memory (a DIR begins with it, which is looked at here), and so
 * closes what stands there by then.
 */
export function atThreadEnd(libaio?: string): AtThreadEnd | null {
  const directory = libc.func('uint64_t opendir(const char *)')('/');
  try {
    const register = libc.func('int __cxa_thread_atexit_impl(uint64_t, uint64_t, uint64_t)');
    const dlsym = libc.func('uint64_t dlsym(uint64_t, const char *)');
    const dlopen = libc.func('uint64_t dlopen(const char *, int)');
    const calloc = libc.func('uint64_t calloc(size_t, size_t)');
    const first = new Int32Array(1);
    libc.func('void memcpy(void *, uint64_t, size_t)')(first, directory, 4);
    if (first[0] !== libc.func('int dirfd(uint64_t)')(directory)) return null;
    const closedir = dlsym(0, 'closedir'); // and its library's mark for glibc, which 0 would be none of
    // Opened once more and never closed: the code must be there when the thread ends.
    const names = libaio === undefined ? LIBAIO_NAMES : [libaio, ...LIBAIO_NAMES];
    const handle = names.map((name) => dlopen(name, RTLD_NOW)).find((opened) => Number(opened) !== 0);
    const destroy = handle === undefined ? 0 : dlsym(handle, 'io_destroy');
    return {
      closeAtEnd: () => {
        const at = calloc(1, DIR_BYTES);
        copyTo(Number(at), new Uint8Array(Int32Array.of(-1).buffer));
        register(closedir, at, closedir);
        return Number(at);
      },
      destroyAtEnd: Number(destroy) === 0 ? null : (context) => void register(destroy, context, destroy),
    };
  } catch {
    return null; // no such symbol
  } finally {
    libc.func('int closedir(uint64_t)')(directory);
  }
}

// ---------------------------------------------------------------------------------------------------- memory

const madviseC = libc.func('int madvise(uint64_t, size_t, int)');
/** madvise(2): 0 or -errno. */
export const madvise = (address: number, length: number, advice: number): number =>
  fail(madviseC(address, length, advice));

const memcpyC = libc.func('void memcpy(uint64_t, const void *, size_t)');
/**
 * Copies `bytes` to `address`. TypedArray.set into shared memory moves it by single atomic words, and by single bytes
 * where the two are not aligned alike: 3 to 17 times slower.
 */
export const copyTo = (address: number, bytes: Uint8Array): void => {
  memcpyC(address, bytes, bytes.byteLength);
};

export const PROT_READ = 1;
export const MAP_SHARED = 1;
const mmapC = libc.func('int64_t mmap(uint64_t, size_t, int, int, int, int64_t)');
/** mmap(2) of a file's first `length` bytes, wherever the kernel likes: the address, or -errno. */
export const mmap = (length: number, protection: number, flags: number, fd: number): number =>
  fail(Number(mmapC(0, length, protection, flags, fd, 0)));

const munmapC = libc.func('int munmap(uint64_t, size_t)');
/** munmap(2): 0 or -errno. Nothing in flight may read from there any more. */
export const munmap = (address: number, length: number): number => fail(munmapC(address, length));

// ------------------------------------------------------------------------------------------------------ files

/** Called for each descriptor that this thread opens here, right after, and closes, right before. */
export interface DescriptorWatch {
  opened(fd: number): void;
  closing(fd: number): void;
}

let descriptors: DescriptorWatch | null = null;
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

const mkdiratC = libc.func('int mkdirat(int, str, uint32_t)');
/** mkdirat(2): 0 or -errno. */
export const mkdirat = (dirFd: number, path: string, mode: number): number => fail(mkdiratC(dirFd, path, mode));

const unlinkatC = libc.func('int unlinkat(int, str, int)');
/** unlinkat(2) of a file: 0 or -errno. */
export const unlinkat = (dirFd: number, path: string): number => fail(unlinkatC(dirFd, path, 0));

const renameatC = libc.func('int renameat(int, str, int, str)');
/** renameat(2): 0 or -errno. */
export const renameat = (fromDirFd: number, from: string, toDirFd: number, to: string): number =>
  fail(renameatC(fromDirFd, from, toDirFd, to));

const syscallRenameat2 = libc.func('long syscall(long, long, str, long, str, long)');
/** renameat2(2): 0 or -errno; -EINVAL where the file system does not know the flag. */
export const renameat2 = (fromDirFd: number, from: string, toDirFd: number, to: string, flags: number): number =>
  fail(Number(syscallRenameat2(NR.renameat2, fromDirFd, from, toDirFd, to, flags)));

const linkatC = libc.func('int linkat(int, str, int, str, int)');
/** linkat(2): 0 or -errno. */
export const linkat = (fromDirFd: number, from: string, toDirFd: number, to: string): number =>
  fail(linkatC(fromDirFd, from, toDirFd, to, 0));

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
/** lseek(2): the position, or -errno; -ENXIO where SEEK_DATA finds no more data. */
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
 * 0 or -errno; -EOPNOTSUPP where the file system has none.
 */
export const mapExtents = (fd: number, fiemap: Uint8Array): number => fail(ioctlC(fd, FS_IOC_FIEMAP, fiemap));

const FS_IOC_GETFLAGS = 0x80086601; // the same on x64 and arm64
const inodeFlags = new Uint32Array(new ArrayBuffer(8));
/** The FS_IOC_GETFLAGS ioctl (chattr's flags of the file): the flags, or -errno; -ENOTTY where there are none. */
export function fileFlags(fd: number): number {
  const result = fail(ioctlC(fd, FS_IOC_GETFLAGS, inodeFlags));
  return result < 0 ? result : inodeFlags[0]!;
}

const fdatasyncC = libc.func('int fdatasync(int)');
/** fdatasync(2): 0 or -errno. Blocks the calling thread. */
export const fdatasync = (fd: number): number => fail(fdatasyncC(fd));

const fsyncC = libc.func('int fsync(int)');
/** fsync(2): 0 or -errno. Blocks the calling thread. */
export const fsync = (fd: number): number => fail(fsyncC(fd));

const syncfsC = libc.func('int syncfs(int)');
/** syncfs(2) of the file system of `fd`: 0 or -errno. Blocks the calling thread for as long as anybody's dirty pages take. */
export const syncfs = (fd: number): number => fail(syncfsC(fd));

const POSIX_FADV_DONTNEED = 4; // the same on x64 and arm64
const posixFadviseC = libc.func('int posix_fadvise(int, int64_t, int64_t, int)');
/** posix_fadvise(2) POSIX_FADV_DONTNEED on the whole file: drops what the page cache holds of it unchanged. 0 or -errno. */
export const dropPageCache = (fd: number): number => 0 - posixFadviseC(fd, 0, 0, POSIX_FADV_DONTNEED);

const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const fcntlLockC = libc.func('int fcntl(int, int, void *)');
/** struct flock of 64-bit Linux: l_type i16 @0, l_whence i16 @2, l_start i64 @8, l_len i64 @16, l_pid i32 @24. */
const wholeFileLock = new Int16Array(new ArrayBuffer(32));
wholeFileLock[0] = F_WRLCK; // from 0, as long as the file ever gets
/**
 * fcntl(2) F_OFD_SETLK of the whole file for writing, without waiting: 0 or -errno, -EAGAIN where another has it. The
 * lock belongs to the open file description and goes with its last descriptor, whatever ends it; unlike flock(2) it
 * holds on NFS too.
 */
export const lockFile = (fd: number): number => fail(fcntlLockC(fd, F_OFD_SETLK, wholeFileLock));

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

const dup3C = libc.func('int dup3(int, int, int)');
/** dup3(2): makes `to` another descriptor of what `from` has open, closing what it was: `to`, or -errno. */
export const duplicateTo = (from: number, to: number): number => fail(dup3C(from, to, O_CLOEXEC));

const preadC = libc.func('int64_t pread(int, uint64_t, size_t, int64_t)');
/** pread(2) into an address: bytes read, or -errno. */
export const pread = (fd: number, address: number, length: number, offset: number): number =>
  fail(Number(preadC(fd, address, length, offset)));

const pwriteC = libc.func('int64_t pwrite(int, uint64_t, size_t, int64_t)');
/** pwrite(2) from an address: bytes written, or -errno. */
export const pwrite = (fd: number, address: number, length: number, offset: number): number =>
  fail(Number(pwriteC(fd, address, length, offset)));

const fsetxattrC = libc.func('int fsetxattr(int, str, void *, size_t, int)');
/** fsetxattr(2): 0 or -errno. */
export const fsetxattr = (fd: number, name: string, value: Uint8Array): number =>
  fail(fsetxattrC(fd, name, value, value.byteLength, 0));

const fgetxattrC = libc.func('int64_t fgetxattr(int, str, void *, size_t)');
/** fgetxattr(2): bytes stored into `value`, or -errno. */
export const fgetxattr = (fd: number, name: string, value: Uint8Array): number =>
  fail(Number(fgetxattrC(fd, name, value, value.byteLength)));

const fremovexattrC = libc.func('int fremovexattr(int, str)');
/** fremovexattr(2): 0 or -errno; -ENODATA where there is none of that name. */
export const fremovexattr = (fd: number, name: string): number => fail(fremovexattrC(fd, name));

const getxattrC = libc.func('int64_t getxattr(str, str, void *, size_t)');
/** getxattr(2), which follows links: bytes stored into `value`, or -errno. */
export const getxattr = (path: string, name: string, value: Uint8Array): number =>
  fail(Number(getxattrC(path, name, value, value.byteLength)));

const listxattrC = libc.func('int64_t listxattr(str, void *, size_t)');
/** listxattr(2), which follows links: bytes of names stored into `names`, each ended by a NUL, or -errno. */
export const listxattr = (path: string, names: Uint8Array): number =>
  fail(Number(listxattrC(path, names, names.byteLength)));

const fstatfsC = libc.func('int fstatfs(int, void *)');
/** fstatfs(2) into `buffer` (120 bytes): 0 or -errno. */
export const fstatfs = (fd: number, buffer: Uint8Array): number => fail(fstatfsC(fd, buffer));

/** Bytes of a `struct statx`. */
export const STATX_BYTES = 256;
const syscallStatx = libc.func('long syscall(long, long, str, long, long, void *)');
/** statx(2) into `buffer` (256 bytes): 0 or -errno. An empty `path` with AT_EMPTY_PATH names `dirFd` itself. */
export const statx = (dirFd: number, path: string, flags: number, mask: number, buffer: Uint8Array): number =>
  fail(Number(syscallStatx(NR.statx, dirFd, path, flags, mask, buffer)));

const STATX_MNT_ID = 0x1000;
const STATX_MNT_ID_UNIQUE = 0x4000;
const STX_MNT_ID_WORD = 0x90 / 4;
const TWO_TO_32 = 4_294_967_296;
const mountStat = new Uint32Array(new ArrayBuffer(STATX_BYTES));
function mountId(fd: number, mask: number): number {
  const result = fail(Number(syscallStatx(NR.statx, fd, '', AT_EMPTY_PATH, mask, mountStat)));
  if (result < 0) return result;
  if ((mountStat[0]! & mask) === 0) return -ENOSYS;
  return mountStat[STX_MNT_ID_WORD + 1]! * TWO_TO_32 + mountStat[STX_MNT_ID_WORD]!;
}
/** The number of the mount that an open file lies on, as in /proc/self/mountinfo, or -errno; -ENOSYS before Linux 5.8. */
export const mountIdOf = (fd: number): number => mountId(fd, STATX_MNT_ID);
/** A number that no other mount gets before the machine starts anew, or -errno; -ENOSYS before Linux 6.8. */
export const uniqueMountIdOf = (fd: number): number => mountId(fd, STATX_MNT_ID_UNIQUE);

// -------------------------------------------------------------------------------------------------------- AIO

/** The five calls of kernel AIO; what carries them is the port's affair. All return -errno on failure. */
export interface NativeAio {
  /** io_setup(2): 0, and the context in `contextOut[0]`. */
  setup(depth: number, contextOut: BigUint64Array): number;
  destroy(context: number): number;
  submit(context: number, count: number, pointers: NodeJS.ArrayBufferView): number;
  getevents(
    context: number,
    min: number,
    max: number,
    events: NodeJS.ArrayBufferView,
    timespec: NodeJS.ArrayBufferView,
  ): number;
}

/** The names a distribution gives libaio: Debian 13 and Ubuntu 24.04 renamed it for 64-bit time. */
export const LIBAIO_NAMES: readonly string[] = ['libaio.so.1', 'libaio.so.1t64'];

/** libaio, from `file` or else by its usual names; null where none can be loaded. It returns -errno by itself. */
export function loadLibaio(file?: string): NativeAio | null {
  for (const name of file === undefined ? LIBAIO_NAMES : [file]) {
    let library;
    try {
      library = koffi.load(name);
    } catch {
      continue; // not under this name; the caller falls back to raw system calls and says so
    }
    const setup = library.func('int io_setup(int, void *)');
    const destroy = library.func('int io_destroy(uint64_t)');
    const submit = library.func('int io_submit(uint64_t, long, void *)');
    const getevents = library.func('int io_getevents(uint64_t, long, long, void *, void *)');
    return { setup, destroy, submit, getevents };
  }
  return null;
}

/** The same calls as raw system calls, which return -1 and set errno. */
export function syscallAio(): NativeAio {
  const setup = libc.func('long syscall(long, long, void *)');
  const destroy = libc.func('long syscall(long, uint64_t)');
  const submit = libc.func('long syscall(long, uint64_t, long, void *)');
  const getevents = libc.func('long syscall(long, uint64_t, long, long, void *, void *)');
  return {
    setup: (depth, contextOut) => fail(setup(NR.io_setup, depth, contextOut)),
    destroy: (context) => fail(destroy(NR.io_destroy, context)),
    submit: (context, count, pointers) => fail(submit(NR.io_submit, context, count, pointers)),
    getevents: (context, min, max, events, timespec) =>
      fail(getevents(NR.io_getevents, context, min, max, events, timespec)),
  };
}
