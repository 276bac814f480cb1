/** What an abort of a job means for its write. */
import { WriteAbortedError } from '@penstock/contract';
import { STOP_CANCEL, STOP_LOST, STOP_SHUTDOWN } from '@penstock/matrix';
import { type Stoppable, stopRunning } from '@penstock/pool';
import { LockLostError } from '@penstock/queue';

/** What the reason of an abort means for the thread. */
function stopWord(reason: unknown): number {
  if (reason instanceof LockLostError) return STOP_LOST;
  return reason instanceof WriteAbortedError && reason.reason === 'shutdown' ? STOP_SHUTDOWN : STOP_CANCEL;
}

/**
 * Has `running` stop for `reason`. A cancelled write that has not ended after `graceMs` has its thread terminated, and
 * with it the thread's other writes, which are retried. Returns what is to be called once it has ended.
 */
export function stopWrite(running: Stoppable, reason: unknown, graceMs: number): () => void {
  const stop = stopWord(reason);
  // A shutdown and a lost lock have nobody waiting for this one write; the process or the lock's new owner decide.
  return stopRunning(running, stop, stop === STOP_CANCEL ? graceMs : null);
}
