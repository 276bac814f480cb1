/** What an abort of a job means for its write. */
import { WriteAbortedError } from '@penstock/contract';
import { STOP_CANCEL, STOP_LOST, STOP_SHUTDOWN } from '@penstock/matrix';
import { type Stoppable, stopRunning } from '@penstock/writer';
import { LockLostError } from '@penstock/queue';

/** What the reason of an abort means for the thread. */
function stopWord(reason: unknown): number {
  if (reason instanceof LockLostError) return STOP_LOST;
  return reason instanceof WriteAbortedError && reason.reason === 'shutdown' ? STOP_SHUTDOWN : STOP_CANCEL;
}

/**
 * Has `running` stop for `reason`. A write that has not ended after `graceMs`, or whose disk is silent, is left behind: its job
 * ends for the queue, or goes back there. Returns the function to call once it has ended.
 * @param hasBegun false for a job that was stopped before it began: all that is left of it is to remove what earlier attempts
 * have put there, and its end reports that this is done, so that a slow flush is waited for
 */
export function stopWrite(running: Stoppable, reason: unknown, graceMs: number, hasBegun: boolean): () => void {
  const word = stopWord(reason);
  return stopRunning(running, word, graceMs, { awaited: !hasBegun || word !== STOP_CANCEL });
}
