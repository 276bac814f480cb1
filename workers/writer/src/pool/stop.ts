/** Asks a running write to stop, and leaves it behind if it does not come to its end. */
import { performance } from 'node:perf_hooks';
import { type AbortReason, WriteAbortedError } from '@penstock/contract';
import { STOP_REASONS } from '@penstock/matrix';
import type { RunningWrite } from './running.ts';

/** What stopRunning() needs of a running write. */
export type Stoppable = Pick<RunningWrite, 'wake' | 'isSilent' | 'leave'> & {
  block: Pick<RunningWrite['block'], 'requestStop' | 'read'>;
};

const LEFT_BEHIND =
  'its disk does not answer: what is in flight there may still reach the file once it does; what was left is removed then';

/** How often the write's progress is looked at. */
const LOOK_MS = 100;
/** Looks in a row at which nothing has come back to a cancelled write: a cancel waits no second for a slow flush. */
const LOOKS_MAX = 7;

/**
 * Has `running` stop for `reason` (STOP_CANCEL and the like). It is left behind if it has not ended after `graceMs`, if its
 * disk is silent, or, if it is not `awaited`, if nothing comes back to it for 0.7 s. Returns what is to be
 * called once it has ended.
 */
export function stopRunning(
  running: Stoppable,
  reason: number,
  graceMs: number,
  { awaited }: { awaited: boolean },
): () => void {
  const { block } = running;
  block.requestStop(reason);
  running.wake();
  const leaveAt = performance.now() + graceMs;
  let seen = '';
  let looks = 0;
  const look = (): void => {
    const { phase, bytesWritten, inFlight } = block.read();
    const now = `${phase} ${bytesWritten} ${inFlight}`;
    looks = seen === now ? looks + 1 : 0;
    seen = now;
    const isStuck = !awaited && looks >= LOOKS_MAX;
    if (performance.now() < leaveAt && !isStuck && !running.isSilent()) return;
    clearInterval(timer);
    running.leave(leftBehind(STOP_REASONS[reason]!));
  };
  const timer = setInterval(look, Math.min(LOOK_MS, graceMs));
  return () => clearInterval(timer);
}

/** What a write rejects with that was left behind. */
function leftBehind(reason: AbortReason): WriteAbortedError {
  return new WriteAbortedError(reason, { cause: new Error(LEFT_BEHIND) });
}
