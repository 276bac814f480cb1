/** The ports over real kernel AIO: libaio where it is installed, else the same calls as raw system calls. */
import { type NativeAio, loadLibaio, syscallAio } from './native.ts';
import type { AioPort, PortName } from './port.ts';

const NANOSECONDS_PER_MS = 1_000_000;

function portOver(name: PortName, native: NativeAio): AioPort {
  const contextOut = new BigUint64Array(new ArrayBuffer(8));
  const timespec = new Int32Array(new ArrayBuffer(16)); // tv_sec i64, tv_nsec i64: the high words stay 0
  return {
    name,
    setup(depth) {
      contextOut[0] = 0n; // a context word that is not 0 is -EINVAL
      const result = native.setup(depth, contextOut);
      return result < 0 ? result : Number(contextOut[0]);
    },
    submit: (context, count, pointers) => native.submit(context, count, pointers),
    getevents(context, min, max, events, timeoutMs) {
      const waitMs = Math.max(0, timeoutMs); // a negative tv_sec or tv_nsec would wait for ever
      timespec[0] = Math.floor(waitMs / 1000);
      timespec[2] = (waitMs % 1000) * NANOSECONDS_PER_MS;
      return native.getevents(context, min, max, events, timespec);
    },
    destroy: (context) => native.destroy(context),
  };
}

/** Kernel AIO through libaio (`file`, or its usual names); null where it cannot be loaded. */
export function libaioPort(file?: string): AioPort | null {
  const native = loadLibaio(file);
  return native === null ? null : portOver('libaio', native);
}

/** Kernel AIO through raw system calls: the same kernel, no library. */
export function syscallPort(): AioPort {
  return portOver('syscalls', syscallAio());
}
