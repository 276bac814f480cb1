/** What the result of a write that has ended reports. */
import { PHASES, type Phase, type WriteMode, type WriteResult } from '@penstock/contract';
import type { Target } from '../target/target.ts';
import type { WriteState } from './state.ts';

export function resultOf(state: WriteState): WriteResult {
  const { request, thread } = state;
  const { rows, row, readback } = state.io;
  const target = state.files.target!;
  const { resumedFrom } = state.files.trail!;
  const { source } = request;
  const sizeBytes = state.plan.size!;
  const asynchronous = thread.engine.port.name !== 'positional';
  const mode: WriteMode = `${asynchronous ? 'aio' : 'sync'}-${target.bypassesCache ? 'direct' : 'buffered'}`;
  const fallbackReason = [thread.engineReason, target.modeReason].filter((reason) => reason !== undefined).join('; ');
  const durationsMs = durationsOf(state.clock.ms);
  const workingMs = durationsMs.total - durationsMs.waiting - durationsMs.paused;
  return {
    path: request.path,
    root: request.root,
    bytes: sizeBytes,
    mode,
    engine: thread.engine.port.name as WriteResult['engine'],
    ...(fallbackReason === '' ? {} : { fallbackReason }),
    ...(target.isKept ? {} : { durable: false as const }),
    ...(source.kind === 'extents' ? { extentEnds: source.extents.map(({ offset, size }) => offset + size) } : {}),
    ...(target.keepsRest ? { offset: target.baseOffset, fileBytes: fileBytesOf(target, sizeBytes) } : {}),
    ...(resumedFrom > 0 ? { resumedFrom } : {}),
    ...(target.notKept.length > 0 ? { notKept: target.notKept } : {}),
    ...checkResult(state, target),
    ...copyResult(state),
    alignment: target.alignment,
    matrix: { ...state.plan.shape, ioBytes: state.plan.rowPlan.ioBytes },
    durationsMs,
    bytesPerSecond: workingMs > 0 ? Math.round((sizeBytes / workingMs) * 1000) : 0,
    writeLatencyUs: state.latencies.summary(),
    writes: (rows ?? row)?.writes ?? 0,
    reads: (rows?.reads ?? 0) + (readback?.reads ?? 0),
    shortWrites: (rows ?? row)?.shortWrites ?? 0,
    retries: thread.engine.retries - state.retriesBefore,
    submitCalls: thread.engine.submitCalls - state.submitCallsBefore,
    hugePages: thread.arena.hugePages,
    thread: thread.index,
  };
}

function durationsOf(phaseMs: Float64Array): WriteResult['durationsMs'] {
  const ms = (phase: Phase): number => wholeMicroseconds(phaseMs[PHASES.indexOf(phase)]!);
  return {
    waiting: ms('waiting'),
    opening: ms('opening'),
    writing: ms('writing'),
    syncing: ms('syncing'),
    verifying: ms('verifying'),
    publishing: ms('publishing'),
    paused: ms('paused'),
    total: wholeMicroseconds(phaseMs.reduce((sum, duration) => sum + duration, 0)),
  };
}

function checkResult(
  { request: { checksum = 'none' }, io: { readback, digest } }: WriteState,
  target: Target,
): Pick<WriteResult, 'checksum' | 'verified' | 'noDirectReadbackReason'> {
  const why = target.direct ? 'this file system refuses direct reads' : target.modeReason;
  const dropped = 'they were read through the page cache, which was dropped before';
  return {
    ...(checksum === 'none' ? {} : { checksum: { algorithm: checksum, value: digest?.sum ?? '' } }),
    ...(readback === null ? {} : { verified: 'readback' as const }),
    ...(readback === null || readback.isDirect ? {} : { noDirectReadbackReason: `${why}: ${dropped}` }),
  };
}

function fileBytesOf({ baseOffset, existingBytes }: Target, sizeBytes: number): number {
  return sizeBytes === 0 ? existingBytes : Math.max(existingBytes, baseOffset + sizeBytes);
}

/** Of a copy alone: how it was made. */
function copyResult({
  request: { source },
  io: { rows, reflink, noReflinkReason },
}: WriteState): Pick<WriteResult, 'copied' | 'noReflinkReason' | 'holeBytes'> {
  if (source.kind !== 'file') return {};
  if (reflink !== null) return { copied: 'reflink' };
  return {
    copied: 'rows',
    ...(noReflinkReason === undefined ? {} : { noReflinkReason }),
    ...(source.holes === 'keep' ? { holeBytes: rows?.holeBytes ?? 0 } : {}),
  };
}

/** The clock is no finer, and further digits would only travel. */
const wholeMicroseconds = (ms: number): number => Math.round(ms * 1000) / 1000;
