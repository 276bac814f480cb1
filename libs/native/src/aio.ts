/** The calls of kernel AIO: through libaio where it is installed, or as raw system calls. */
import { NR, fail, libc, loadLibrary } from './libc.ts';

/** The five calls of kernel AIO; libs/aio makes ports of them. All return -errno on failure. */
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

/** libaio, from `file` or else by its usual names; null if none can be loaded. It returns -errno by itself. */
export function loadLibaio(file?: string): NativeAio | null {
  for (const name of file === undefined ? LIBAIO_NAMES : [file]) {
    let library;
    try {
      library = loadLibrary(name);
    } catch {
      continue; // not under this name; the caller falls back to raw system calls and reports that
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
