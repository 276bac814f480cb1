/** The end of a write: what is open is closed, and what a failed one leaves is removed or kept for the next attempt. */
import { WriteAbortedError, changesInPlace } from '@penstock/contract';
import { native } from '@penstock/native';
import { hasPart } from '../attempt/parts.ts';
import { sweepLengthening, sweepParts } from '../earlier/sweep.ts';
import { closeOrigin } from '../origin/origin.ts';
import { SeenGrowth } from '../space/seen-growth.ts';
import { leaveUnfinished } from '../space/unfinished.ts';
import { FD_DIRECTORY, FD_TARGET } from '../target/open.ts';
import { type Target, closeTarget } from '../target/target.ts';
import { recordPart } from './opening.ts';
import { FD_ORIGIN, type WriteState } from './state.ts';

/** A stopped write that has written less is not worth keeping. */
const KEPT_BYTES_MIN = 8_388_608;

/** Closes all that the write has open; nothing of it may be in flight. */
export function closeWrite(state: WriteState): void {
  const { control, files, io, intake, thread } = state;
  state.uncountSmall();
  thread.rowMemory.leave(state);
  io.digest?.close();
  io.rows?.cache?.forget();
  state.returnRows(); // a closed digest may still read them, which does no harm
  intake?.close();
  if (io.partial !== null) thread.rowClock.remove(io.partial);
  // The words first: from here on the main thread must not close descriptors that may be another file's.
  for (const index of [FD_TARGET, FD_DIRECTORY, FD_ORIGIN]) control.recordFd(index, -1);
  control.recordMapping(null);
  if (state.failed) leaveFailed(state);
  io.partial?.close();
  if (files.origin !== null) closeOrigin(files.origin);
  files.reserving?.forget();
  files.cut?.forget();
  files.endFlush?.close();
  if (files.target !== null) closeTarget(files.target, state.plan.size ?? Number.POSITIVE_INFINITY, thread.freeing);
  intake?.ring.confirmEnd();
}

/** Removes, cuts or keeps a file that was not finished. */
function leaveFailed(state: WriteState): void {
  const { files, io, order, request, thread } = state;
  const { target } = files;
  if (target === null) {
    const root = files.takenOver ? thread.roots.find(request.root) : undefined;
    if (root !== undefined) sweepParts(root, request.path, order, thread.freeing);
  } else if (isKeptForNextAttempt(state, target)) {
    if (target.unpublishedName !== null) recordPart(state, true);
    target.unpublishedName = null;
  } else {
    const bytes = io.rows?.contiguousBytes;
    const end = bytes === undefined ? null : Math.max(target.baseOffset + bytes, io.partial?.writtenEnd ?? 0);
    const keeps = state.intake?.ring.keepsWritten === true && target.isSeen && io.rows !== null;
    if (keeps) target.unpublishedName = null; // also if this write has made the file
    const takesBack = request.mode === 'append' && !keeps;
    leaveUnfinished(target, takesBack, end, io.growth instanceof SeenGrowth ? io.growth : null);
  }
}

/**
 * When its host shuts down, or its source fails and another attempt follows, a write leaves the file to the next attempt,
 * with all that it has written in it. If its lock ran out by the clock it leaves the file as recorded last: the job is
 * taken up again, and may have been already.
 */
function isKeptForNextAttempt(state: WriteState, target: Target): boolean {
  const { failure, request, thread } = state;
  const { trail } = state.files;
  const reason = failure instanceof WriteAbortedError ? failure.reason : null;
  if (reason === 'lost' && state.control.lapsed) return trail?.isRecorded === true;
  const willRetry = reason === 'shutdown' || (state.sourceFailed && state.order.willRetry === true);
  if (!willRetry || trail?.isKept !== true || !state.mayHaveRows) return false;
  const bytes = state.io.rows?.contiguousBytes ?? 0;
  const least = Math.min(thread.checkpoints.bytes, KEPT_BYTES_MIN);
  if (bytes < least) return false; // soon written again, and no file is left to wait for it
  // Otherwise each write was durable by itself, or nothing has to be: a flush could take as long as the cache is large.
  const isFlushed = request.durability !== 'fdatasync';
  if (bytes > state.bytesDurable && (isFlushed || native.fdatasync(target.fd) === 0)) {
    if (request.durability !== 'none') state.bytesDurable = bytes;
    trail.record(bytes);
    state.publishProgress();
  }
  return trail.isRecorded;
}

/** For a cancelled job: no later attempt will remove what an earlier one, whose host died, has left. */
export function sweepEarlier({ files, order, request, thread }: WriteState): void {
  const root = thread.roots.find(request.root);
  if (files.target !== null || !order.again || root?.writable !== true) return;
  if (order.swept !== true && hasPart(request)) sweepParts(root, request.path, order, thread.freeing);
  if (changesInPlace(request)) sweepLengthening(root, request.path, order.jobKey);
}
