/**
 * The port: the five things the engine asks of kernel AIO. Everything above it (slots, batches, retries) is the same
 * whether libaio, raw system calls, plain positional I/O or the faulty double stands behind it; one conformance suite
 * (test/conformance) runs over all of them.
 */
import type { Engine } from '@penstock/contract';

/** The engines that results name, and the faulty double. */
export type PortName = Engine | 'faulty';

/** All counts are of iocbs or events; every failure is a returned -errno, never a throw. */
export interface AioPort {
  readonly name: PortName;

  /** Makes a context for `depth` iocbs. Returns the context (positive), or -errno: -EAGAIN past aio-max-nr. */
  setup(depth: number): number;

  /**
   * Submits the first `count` iocbs whose addresses stand in `pointers`. Returns how many were taken: fewer than
   * `count` is a partial submit, and the rest is not queued. -errno means none was: -EAGAIN that the context is full,
   * -EINTR that a signal came first, anything else that the first iocb of this call is at fault.
   * The iocbs may be reused at once; the memory they point to may not, until their event is reaped.
   */
  submit(context: number, count: number, pointers: Uint32Array): number;

  /**
   * Waits for at least `min` events, at most `timeoutMs` (0 or more; never for ever: a thread blocked without a limit
   * cannot be stopped). Fills `events`; returns how many, or -errno.
   */
  getevents(context: number, min: number, max: number, events: Int32Array, timeoutMs: number): number;

  /** Waits for what is in flight, throws its events away, frees the context. The context is not valid afterwards. */
  destroy(context: number): number;
}
