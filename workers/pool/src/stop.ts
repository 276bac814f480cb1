/** Asks a running write to stop, and ends its thread where it does not hear. */
import type { RunningWrite } from './pool.ts';

/** What is told of a write, and what is done where it does not hear. */
export type Stoppable = Pick<RunningWrite, 'look' | 'kill'> & { block: Pick<RunningWrite['block'], 'requestStop'> };

/**
 * Has `running` stop for `reason` (STOP_CANCEL and the like). If it has not ended after `graceMs`, its thread is
 * terminated and with it the thread's other writes, which reject as retryable; null: it is waited for. Returns what is to
 * be called once it has ended.
 */
export function stopRunning(running: Stoppable, reason: number, graceMs: number | null): () => void {
  running.block.requestStop(reason);
  running.look();
  if (graceMs === null) return () => {};
  const grace = setTimeout(() => running.kill(), graceMs);
  return () => clearTimeout(grace);
}
