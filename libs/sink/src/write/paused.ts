/** The phase "paused": nothing is in flight, and the row memory is given back, as is the turn at it. */
import { NOTHING, OPENING, PAUSED, type Step, WAITING, WRITING, asStep } from './phases.ts';
import type { WriteState } from './state.ts';
import { prepareCacheFlush } from './writing.ts';

/** Asked in place of the phase while a pause is requested, up to the last row; PAUSED once nothing is in flight. */
export function drain(state: WriteState, slot: number): Step {
  const { rows, row } = state.io;
  if (row !== null) return asStep(row.prepare(slot)); // the only row of a file goes on: it may be held in its memory
  if (rows?.holdsRefused === true) return asStep(prepareCacheFlush(rows, slot) || rows.prepareRefused(slot));
  if (state.inFlight > 0 || rows?.isDrained === false) return NOTHING;
  state.pausedIn = state.clock.phase;
  rows?.cache?.forget();
  state.thread.rowMemory.leave(state);
  state.leaveRows();
  return PAUSED;
}

/** Once the pause is over: the phase to go on in. */
export function preparePaused(state: WriteState): Step {
  const { control, intake, io, pausedIn } = state;
  if (control.paused) return NOTHING;
  if (io.rows === null) return pausedIn;
  if (state.isReserving) return OPENING;
  // Of what arrives the lease knows whether it needs rows.
  return intake === null ? WAITING : WRITING;
}
