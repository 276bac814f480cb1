/** What the result of a write that has ended reports, in the form in which it travels and is stored. */
import {
  PHASES,
  shortLatency,
  type ShortWriteResult,
  TIMED_PHASES,
  USUAL_ALIGNMENT,
  type WriteMode,
  type WriteResult,
} from '@penstock/contract';
import type { Target } from '../target/target.ts';
import type { WriteState } from './state.ts';

/** Without what completeResult() of the contract fills in. */
export function resultOf(state: WriteState): ShortWriteResult {
  const { request, thread } = state;
  const { rows, row } = state.io;
  const target = state.files.target!;
  const { resumedFrom } = state.files.trail!;
  const { source } = request;
  const sizeBytes = state.plan.size!;
  const asynchronous = thread.engine.port.name !== 'positional';
  const mode: WriteMode = `${asynchronous ? 'aio' : 'sync'}-${target.bypassesCache ? 'direct' : 'buffered'}`;
  const fallbackReason = [thread.engineReason, target.modeReason].filter((reason) => reason !== undefined).join('; ');
  const durationsMs = durationsOf(state.clock.ms);
  const { total, waiting = 0, paused = 0 } = durationsMs;
  const workingMs = total - waiting - paused;
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
    matrix: matrixOf(state),
    durationsMs,
    bytesPerSecond: workingMs > 0 ? Math.round((sizeBytes / workingMs) * 1000) : 0,
    writes: (rows ?? row)?.writes ?? 0,
    ...unusual(state, target),
    hugePages: thread.arena.hugePages,
    thread: thread.index,
  };
}

function matrixOf({ plan: { shape, rowPlan } }: WriteState): ShortWriteResult['matrix'] {
  const { rows, rowBytes } = shape;
  return rowPlan.ioBytes === rowBytes ? { rows, rowBytes } : { rows, rowBytes, ioBytes: rowPlan.ioBytes };
}

type Times = ShortWriteResult['durationsMs'];

function durationsOf(phaseMs: Float64Array): Times {
  let total = 0;
  for (const ms of phaseMs) total += ms;
  const times: Times = { total: wholeMicroseconds(total) };
  for (const phase of TIMED_PHASES) {
    const ms = wholeMicroseconds(phaseMs[PHASES.indexOf(phase)]!);
    if (ms > 0) times[phase] = ms;
  }
  return times;
}

/** What most results leave out, where it is not as completeResult() fills it in. */
function unusual(state: WriteState, { demands: { memory, offset } }: Target): Partial<ShortWriteResult> {
  const { thread, latencies } = state;
  const { rows, row, readback } = state.io;
  const said: Partial<ShortWriteResult> = {};
  if (memory !== USUAL_ALIGNMENT || offset !== USUAL_ALIGNMENT) said.alignment = { memory, offset };
  const writeLatencyUs = latencies.summary();
  if (writeLatencyUs.count > 0) said.writeLatencyUs = shortLatency(writeLatencyUs);
  const reads = (rows?.reads ?? 0) + (readback?.reads ?? 0);
  if (reads > 0) said.reads = reads;
  const shortWrites = (rows ?? row)?.shortWrites ?? 0;
  if (shortWrites > 0) said.shortWrites = shortWrites;
  const retries = thread.engine.retries - state.retriesBefore;
  if (retries > 0) said.retries = retries;
  const submitCalls = thread.engine.submitCalls - state.submitCallsBefore;
  if (submitCalls > 0) said.submitCalls = submitCalls;
  return said;
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
