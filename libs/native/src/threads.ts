/** The calling thread and its process: who it is, how it ends, and what is done then. */
import { LIBAIO_NAMES } from './aio.ts';
import { NR, libc } from './libc.ts';
import { copyTo } from './memory.ts';

const syscallGettid = libc.func('long syscall(long)');
/** gettid(2): the kernel's id of the calling thread, as below /proc/self/task. */
export const gettid = (): number => Number(syscallGettid(NR.gettid));

const exitC = libc.func('void _exit(int)');
/** _exit(2): ends the process without joining its threads, one of which may be in a call that does not return. */
export const exitNow = (status: number): void => exitC(status);

/** What glibc does as the calling thread ends, however it ends. */
export interface AtThreadEnd {
  /** Returns the address of an int: the descriptor that stands there is closed then; -1 is none. */
  closeAtEnd(): number;
  /** The AIO context is destroyed then, once nothing of it is in flight; null without libaio. */
  destroyAtEnd: ((context: number) => void) | null;
}

const RTLD_NOW = 2;
const DIR_BYTES = 256; // more than glibc's DIR has before its buffer

/**
 * Destructors of the calling thread: glibc runs them as those of C++, when no JavaScript runs any more; null under another
 * libc. The descriptors are closed by closedir(), since that takes the number from memory: a DIR begins with it, which is
 * checked here.
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
    const closedir = dlsym(0, 'closedir'); // also the mark by which glibc knows the library; 0 is no mark
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
