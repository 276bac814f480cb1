/**
 * The phase "syncing": all is written and reaped. The order from here is truncate, fdatasync, rename, fsync of the directory.
 * The sum of the bytes is known, and compared, before the file gets its name.
 */
import { IoError } from '@penstock/contract';
import type { Cut } from '../device/freeing.ts';
import { applyAttributes } from '../target/attributes.ts';
import { assertExpected } from '../target/expected-sum.ts';
import type { Target } from '../target/target.ts';
import { cutPadding, endOfFile } from '../space/reserve.ts';
import { SeenGrowth } from '../space/seen-growth.ts';
import { NOTHING, PUBLISHING, type Step, VERIFYING, asStep } from './phases.ts';
import type { WriteState } from './state.ts';
import { hasReadbackRows } from './verifying.ts';

/** Gives the target its length and attributes. @throws RequestError if fewer bytes have come than were declared */
export function beginSyncing(state: WriteState): Step {
  const { files, io, plan, thread } = state;
  const target = files.target!;
  const isSizeNew = plan.size === null;
  if (io.rows !== null) plan.size = io.rows.settle();
  if (isSizeNew) state.publishProgress(); // a flush may take long
  const size = plan.size!;
  thread.rowMemory.leave(state); // a producer may have ended while this write stood in line
  if (io.digest === null) state.returnRows();
  else io.digest.finish(); // the digest may still read them
  files.cut = cutEnd(state, target, size);
  return files.cut === null ? afterCut(state) : NOTHING;
}

/** The cut that another thread makes, if it is made; NOTHING until then. @throws IoError */
function endCut(state: WriteState, cut: Cut): Step {
  const { files, plan } = state;
  const result = cut.result();
  if (result === null) return NOTHING;
  cut.forget();
  files.cut = null;
  const { path } = files.target!;
  if (result < 0) throw new IoError({ syscall: 'ftruncate', errno: result, path, length: plan.size! });
  return afterCut(state);
}

function afterCut(state: WriteState): Step {
  const { files, plan, request } = state;
  const target = files.target!;
  target.lengthening?.finish(plan.size!);
  files.attributesSet = !target.isPublished && applyAttributes(target, request, files.origin, state.isSmall);
  return needsFlush(state, target) ? NOTHING : afterFlush(state);
}

/** Nothing is durable before the last truncate is: it comes first. Null unless another thread makes it. */
function cutEnd({ io, intake, plan, request, thread }: WriteState, target: Target, size: number): Cut | null {
  const { growth, reflink } = io;
  if (growth instanceof SeenGrowth) {
    growth.fixEnd(target.baseOffset + size, request.durability !== 'none');
    intake!.ring.confirmEnd();
  } else if (reflink === null && !target.isPublished) {
    const spareBytes = growth?.spareBehind(plan.span.headBytes + size) ?? 0;
    const cut = thread.freeing.cut(target.fd, endOfFile(target, size), spareBytes, target.standing.device);
    if (cut !== null) return cut;
    cutPadding(target, size, growth !== null); // or the file would end where its last block does
  }
  return null;
}

/** False if the flush of its name covers the file, or nothing has to be durable. */
function needsFlush({ io, isSmall, request }: WriteState, target: Target): boolean {
  // Bytes that are in the page cache alone must reach the disk to be read back from it.
  if (request.verify === 'readback' && !target.direct) return true;
  if (target.flushedTogether && isSmall) return false;
  const hasFreed = target.forgetsFreed && io.growth !== null; // reserved ahead, and cut off again
  return request.durability !== 'none' || hasFreed;
}

export function prepareSyncing(state: WriteState, slot: number): Step {
  const { cut } = state.files;
  if (cut !== null) {
    const step = endCut(state, cut);
    if (step !== NOTHING || state.files.cut !== null) return step;
  }
  const { endFlush, target, attributesSet, flushed } = state.files;
  if (flushed) return judgeSum(state, target!);
  // The record of an append, which is an attribute, must not lag behind the queue after a power loss.
  const isLengthened = target!.lengthening?.isRecorded === true;
  return asStep(endFlush!.prepareFile(slot, attributesSet || isLengthened));
}

export function completeSyncing(state: WriteState, slot: number, result: number, refused: boolean): Step {
  state.io.rows?.cache?.forget();
  state.files.endFlush!.afterFile(slot, result, refused);
  state.bytesDurable = state.plan.size!;
  return afterFlush(state);
}

/** The bytes are where they go. What remains before the name is their sum. */
function afterFlush({ files, io }: WriteState): Step {
  files.flushed = true;
  return io.digest === null ? PUBLISHING : NOTHING;
}

/** Once the sum is known: compares it with what the request expects. @throws IntegrityError if it is another */
function judgeSum(state: WriteState, target: Target): Step {
  const { io, files, plan, request, thread } = state;
  const { sum } = io.digest!;
  const readsBack = request.verify === 'readback';
  if (sum === null) {
    // The digest wakes the loop. A hole may take it hours: other writes can have the rows meanwhile.
    if (io.extent !== null && !readsBack && !io.digest!.readsRows) {
      state.returnRows();
      thread.loop.wake();
    }
    return NOTHING;
  }
  assertExpected(request, target, { sum, size: plan.size!, resumed: files.trail!.resumedFrom > 0 });
  if (!readsBack) return PUBLISHING;
  return hasReadbackRows(state) ? VERIFYING : NOTHING;
}
