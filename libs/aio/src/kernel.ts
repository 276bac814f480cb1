/**
 * The ports over real kernel AIO: libaio if it is installed, else the same calls as raw system calls.
 * The decision: libs/README.md#kernel-aio.
 */
import { native } from '@penstock/native';
import type { AioPort, PortName } from './port.ts';

const NANOSECONDS_PER_MS = 1_000_000;

function portOver(name: PortName, calls: native.NativeAio): AioPort {
  const contextOut = new BigUint64Array(new ArrayBuffer(8));
  const timespec = new Int32Array(new ArrayBuffer(16)); // tv_sec i64, tv_nsec i64: the high words stay 0
  return {
    name,
    setup(depth) {
      contextOut[0] = 0n; // a context word that is not 0 is -EINVAL
      const result = calls.setup(depth, contextOut);
      return result < 0 ? result : Number(contextOut[0]);
    },
    submit: (context, count, pointers) => calls.submit(context, count, pointers),
    getevents(context, min, max, events, timeoutMs) {
      const waitMs = Math.max(0, timeoutMs); // a negative tv_sec or tv_nsec would wait for ever
      timespec[0] = Math.floor(waitMs / 1000);
      timespec[2] = (waitMs % 1000) * NANOSECONDS_PER_MS;
      return calls.getevents(context, min, max, events, timespec);
    },
    destroy: (context) => calls.destroy(context),
  };
}

/** Kernel AIO through libaio (`file`, or its usual names); null if it cannot be loaded. */
export function libaioPort(file?: string): AioPort | null {
  const calls = native.loadLibaio(file);
  return calls === null ? null : portOver('libaio', calls);
}

/** Kernel AIO through raw system calls: the same kernel, no library. */
export function syscallPort(): AioPort {
  return portOver('syscalls', native.syscallAio());
}
