/** The phase "verifying": the file is read back and compared with what was written, before it gets its name. */
import { IoError } from '@penstock/contract';
import { native } from '@penstock/native';
import { Readback } from '../verify/readback.ts';
import { NOTHING, PREPARED, PUBLISHING, type Step, asStep } from './phases.ts';
import type { WriteState } from './state.ts';

/** True once the write has all rows of its plan: of what arrived it may have none at the end, or one. */
export function hasReadbackRows(state: WriteState): boolean {
  const { io, rowBytes } = state;
  const { rowMemory } = state.thread;
  if (io.extent !== null && io.extent.sizeBytes >= rowBytes) return true;
  if (!io.waitsToReadBack) {
    io.waitsToReadBack = true;
    state.returnRows();
    rowMemory.join(state, rowBytes);
  }
  io.extent = rowMemory.take(state, rowBytes);
  return io.extent !== null;
}

/** @throws IoError */
export function beginVerifying({ io, files, plan, thread }: WriteState): Step {
  const target = files.target!;
  const dropped = native.dropPageCache(target.fd); // of a file that is direct there is nothing in it
  if (dropped < 0) throw new IoError({ syscall: 'posix_fadvise', errno: dropped, path: target.path });
  io.readback = new Readback(thread, target, plan.span.start, plan.rowPlan, io.extent!, io.digest!);
  return NOTHING;
}

export function prepareVerifying({ io }: WriteState, slot: number): Step {
  const readback = io.readback!;
  if (readback.prepare(slot)) return PREPARED;
  return readback.passed ? PUBLISHING : NOTHING;
}

export function completeVerifying(
  { io }: WriteState,
  slot: number,
  result: number,
  refused: boolean,
  latencyMs: number,
): Step {
  return asStep(io.readback!.complete(slot, result, refused, latencyMs));
}
