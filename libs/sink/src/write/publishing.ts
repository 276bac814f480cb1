/** The phase "publishing": the file gets its name, and the name is flushed. */
import { WriteAbortedError } from '@penstock/contract';
import { STOP_NONE, STOP_REASONS } from '@penstock/matrix';
import { assertUnchanged, closeOrigin } from '../origin/origin.ts';
import { closeInPlace } from '../target/attributes.ts';
import { forgetAppends } from '../append/lengthening.ts';
import { publish } from '../target/publish.ts';
import { SYNC_REPLACED } from '../thread/transfer.ts';
import { DONE, NOTHING, type Step, asStep } from './phases.ts';
import { FD_ORIGIN, type WriteState } from './state.ts';

/**
 * To be called before the first byte is written: from here on what stands in place is this write's.
 * @throws IoError, WriteAbortedError
 */
export function claim(state: WriteState): void {
  const { files, request } = state;
  const target = files.target!;
  state.assertHeld();
  if (!target.keepsRest && request.publish === 'in-place') forgetAppends(target.fd);
  files.trail!.removeStale();
  closeInPlace(target, request, files.origin);
}

/** @throws IoError if the source or the root has changed; WriteAbortedError if the job is no longer this attempt's */
export function beginPublishing(state: WriteState): Step {
  const { control, files, order, request } = state;
  const target = files.target!;
  const endFlush = files.endFlush!;
  state.returnRows();
  if (files.origin !== null) assertUnchanged(files.origin);
  // The last moment at which a write that has lost its lock can step back.
  if (control.stop !== STOP_NONE) throw new WriteAbortedError(STOP_REASONS[control.stop]!);
  state.assertHeld();
  state.thread.roots.assertUnmoved(request.root, files.rootGeneration);
  files.trail!.finish(state.plan.size!);
  publish(target, request, order, state.thread.freeing);
  endFlush.notePublished(order.again);
  if (target.replaced.fd >= 0) recordReplaced(state, target.replaced.fd);
  if (request.durability === 'none' && !endFlush.replacedIsDue) return DONE;
  endFlush.join(state.lane);
  return NOTHING;
}

/**
 * The source, or the second descriptor of a stream's file, is closed, and its word of the job's block names the file that was
 * replaced instead.
 */
function recordReplaced({ control, files, io }: WriteState, fd: number): void {
  control.recordFd(FD_ORIGIN, -1);
  control.recordMapping(null);
  if (files.origin !== null) closeOrigin(files.origin);
  files.origin = null;
  io.partial?.close();
  control.recordFd(FD_ORIGIN, fd);
}

export function preparePublishing({ files }: WriteState, slot: number): Step {
  return asStep(files.endFlush!.prepareName(slot));
}

export function completePublishing(
  { files, thread }: WriteState,
  slot: number,
  result: number,
  refused: boolean,
): Step {
  const endFlush = files.endFlush!;
  if (thread.slots.purpose[slot] === SYNC_REPLACED) {
    endFlush.afterReplaced(slot, result, refused);
    return DONE;
  }
  endFlush.afterDirectory(slot, result); // notifies all that wait, this write too
  return NOTHING;
}

/** The name is flushed, by this write or another of its group. DONE, unless what was replaced has to be flushed too. */
export function afterNameFlush(state: WriteState): Step {
  const endFlush = state.files.endFlush!;
  if (state.request.durability !== 'none') state.bytesDurable = state.plan.size!;
  endFlush.nameIsFlushed = true;
  return endFlush.replacedIsDue ? NOTHING : DONE; // prepared in the loop's next turn
}
