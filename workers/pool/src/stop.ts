/** Asks a running write to stop, and leaves it behind where it does not come to its end. */
import { performance } from 'node:perf_hooks';
import { type AbortReason, WriteAbortedError } from '@penstock/contract';
import { STOP_REASONS } from '@penstock/matrix';
import type { RunningWrite } from './pool.ts';

/** What is told of a write, and what is done where it does not end. */
export type Stoppable = Pick<RunningWrite, 'look' | 'isSilent' | 'leave'> & {
  block: Pick<RunningWrite['block'], 'requestStop'>;
};

const LEFT_BEHIND =
  'its disk does not answer: what is in flight there may still reach the file once it does; what was left is removed then';

/** How often it is looked whether the write's disk is known to be silent: the wait is over then. */
const LOOK_MS = 250;

/**
 * Has `running` stop for `reason` (STOP_CANCEL and the like). If it has not ended after `graceMs`, or its disk is silent,
 * it is left behind. Returns what is to be called once it has ended.
 */
export function stopRunning(running: Stoppable, reason: number, graceMs: number): () => void {
  running.block.requestStop(reason);
  running.look();
  const leaveAt = performance.now() + graceMs;
  const timer = setInterval(
    () => {
      if (performance.now() < leaveAt && !running.isSilent()) return;
      clearInterval(timer);
      running.leave(leftBehind(STOP_REASONS[reason]!));
    },
    Math.min(LOOK_MS, graceMs),
  );
  return () => clearInterval(timer);
}

/** What a write rejects with that was left behind. */
function leftBehind(reason: AbortReason): WriteAbortedError {
  return new WriteAbortedError(reason, { cause: new Error(LEFT_BEHIND) });
}
