/**
 * The end of a process amid its streams. A file that is changed in place gets, as with fs, what was written to it:
 * the rows in flight are waited for, the bytes of the last one go after them, and the file ends there. Writer threads still
 * run while 'exit' is emitted, which is all that this needs; a signal without a handler and a crash emit nothing.
 */
import { performance } from 'node:perf_hooks';
import type { RingProducer } from '@penstock/matrix';

/** A disk that hangs must not keep a process that ends. */
const EXIT_WAIT_MS = 2000;

/** Hands out, piece by piece, what was written and waits for rows; null once there is no more. */
export type Waiting = () => Uint8Array | null;

const NOTHING: Waiting = () => null;

const open = new Map<RingProducer, Waiting>();

/** If the process ends before `ended` does, completes the write of `producer` with what waits to be pushed. */
export function endWithProcess(producer: RingProducer, ended: Promise<unknown>, waiting: Waiting = NOTHING): void {
  if (open.size === 0) process.on('exit', drain);
  open.set(producer, waiting);
  const forget = (): void => {
    open.delete(producer);
    if (open.size === 0) process.off('exit', drain);
  };
  ended.then(forget, forget);
}

function drain(): void {
  const deadline = performance.now() + EXIT_WAIT_MS;
  for (const [producer, waiting] of open) producer.pushBlocked(waiting, deadline);
  // All are asked to end before the first is waited for.
  const waits = [...open.keys()].map((producer) => producer.standing());
  for (const wait of waits) wait(deadline);
}
