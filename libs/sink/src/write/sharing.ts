/** A copy as a reflink, while it is "writing": blocks are shared piece by piece, and rows take over if that is refused. */
import { setImmediate } from 'node:timers';
import { IoError } from '@penstock/contract';
import type { Target } from '../target/target.ts';
import { Reflink, refusalReason } from '../space/reflink.ts';
import { NOTHING, SYNCING, type Step, WAITING } from './phases.ts';
import { claim } from './publishing.ts';
import type { WriteState } from './state.ts';

/** True if the write is tried as a reflink first, which is due then. */
export function planSharing(state: WriteState, target: Target): boolean {
  const { io, request } = state;
  const { origin } = state.files;
  const { size } = state.plan;
  if (origin === null || request.source.kind !== 'file' || request.source.reflink === 'never') return false;
  if (size === 0 || target.appendsOnly) return false;
  if (state.isSummedUp) {
    io.noReflinkReason = 'a checksum or a readback was asked for, and a reflink passes no byte';
    return false;
  }
  io.reflink = new Reflink(target, origin, size!);
  io.reflinkDue = true;
  return true;
}

/** Shares one piece in each turn of the event loop: the thread's other writes come in between, and a stop is seen. */
export function shareNext(state: WriteState): Step {
  const { io, thread } = state;
  if (!io.reflinkDue) return NOTHING;
  io.reflinkDue = false;
  claim(state); // in place the first piece replaces what stands there
  const reflink = io.reflink!;
  const refusal = reflink.shareNext();
  if (refusal < 0) {
    refuse(state, refusal);
    return WAITING;
  }
  if (reflink.complete) return SYNCING;
  state.publishProgress();
  setImmediate(() => {
    io.reflinkDue = !state.finished;
    if (io.reflinkDue) thread.loop.wake();
  });
  return NOTHING;
}

/** Rows take over. @throws IoError if the request allows a reflink alone */
function refuse({ files, io, request: { source } }: WriteState, errno: number): void {
  const reason = refusalReason(errno);
  if (source.kind === 'file' && source.reflink === 'always') {
    const hint = `No reflink: ${reason}. With reflink "auto" the bytes are copied where that is so.`;
    throw new IoError({ syscall: 'ioctl', errno, path: files.target!.path, hint });
  }
  io.reflink = null;
  io.noReflinkReason = reason;
}
