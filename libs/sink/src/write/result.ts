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
import { joinedReasons } from '../target/io-mode.ts';
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
  const durationsMs = durationsOf(state.clock.ms);
  const { total, waiting = 0, paused = 0 } = durationsMs;
  const workingMs = total - waiting - paused;
  const result: ShortWriteResult = {
    path: request.path,
    root: request.root,
    bytes: sizeBytes,
    mode,
    engine: thread.engine.port.name as WriteResult['engine'],
    matrix: matrixOf(state),
    durationsMs,
    bytesPerSecond: workingMs > 0 ? Math.round((sizeBytes / workingMs) * 1000) : 0,
    writes: (rows ?? row)?.writes ?? 0,
    hugePages: thread.arena.hugePages,
    thread: thread.index,
  };
  // Set one by one: most results have none of these, and an object that is spread from parts takes twice the memory.
  const fallbackReason = joinedReasons(thread.engineReason, target.modeReason);
  if (fallbackReason !== undefined) result.fallbackReason = fallbackReason;
  if (!target.isKept) result.durable = false;
  if (source.kind === 'extents') result.extentEnds = source.extents.map(({ offset, size }) => offset + size);
  if (target.keepsRest) {
    result.offset = target.baseOffset;
    result.fileBytes = fileBytesOf(target, sizeBytes);
  }
  if (resumedFrom > 0) result.resumedFrom = resumedFrom;
  if (target.notKept.length > 0) result.notKept = target.notKept;
  addChecks(result, state, target);
  addCopy(result, state);
  addUnusual(result, state, target);
  return result;
}

function matrixOf({ plan: { shape, rowPlan } }: WriteState): ShortWriteResult['matrix'] {
  const { rows, rowBytes } = shape;
  return rowPlan.ioBytes === rowBytes ? { rows, rowBytes } : { rows, rowBytes, ioBytes: rowPlan.ioBytes };
}

type Times = ShortWriteResult['durationsMs'];

const TIMED_INDEXES = TIMED_PHASES.map((phase) => PHASES.indexOf(phase));

function durationsOf(phaseMs: Float64Array): Times {
  let total = 0;
  for (let index = 0; index < phaseMs.length; index += 1) total += phaseMs[index]!;
  const times: Times = { total: wholeMicroseconds(total) };
  for (let index = 0; index < TIMED_INDEXES.length; index += 1) {
    const ms = wholeMicroseconds(phaseMs[TIMED_INDEXES[index]!]!);
    if (ms > 0) times[TIMED_PHASES[index]!] = ms;
  }
  return times;
}

/** What most results leave out, where it is not as completeResult() fills it in. */
function addUnusual(result: ShortWriteResult, state: WriteState, { demands: { memory, offset } }: Target): void {
  const { thread, latencies } = state;
  const { rows, row, readback } = state.io;
  if (memory !== USUAL_ALIGNMENT || offset !== USUAL_ALIGNMENT) result.alignment = { memory, offset };
  const writeLatencyUs = latencies.summary();
  if (writeLatencyUs.count > 0) result.writeLatencyUs = shortLatency(writeLatencyUs);
  const reads = (rows?.reads ?? 0) + (readback?.reads ?? 0);
  if (reads > 0) result.reads = reads;
  const shortWrites = (rows ?? row)?.shortWrites ?? 0;
  if (shortWrites > 0) result.shortWrites = shortWrites;
  const retries = thread.engine.retries - state.retriesBefore;
  if (retries > 0) result.retries = retries;
  const submitCalls = thread.engine.submitCalls - state.submitCallsBefore;
  if (submitCalls > 0) result.submitCalls = submitCalls;
}

function addChecks(
  result: ShortWriteResult,
  { request: { checksum = 'none' }, io: { readback, digest } }: WriteState,
  target: Target,
): void {
  if (checksum !== 'none') result.checksum = { algorithm: checksum, value: digest?.sum ?? '' };
  if (readback === null) return;
  result.verified = 'readback';
  if (readback.isDirect) return;
  const why = target.direct ? 'this file system refuses direct reads' : target.modeReason;
  const dropped = 'they were read through the page cache, which was dropped before';
  result.noDirectReadbackReason = `${why}: ${dropped}`;
}

function fileBytesOf({ baseOffset, existingBytes }: Target, sizeBytes: number): number {
  return sizeBytes === 0 ? existingBytes : Math.max(existingBytes, baseOffset + sizeBytes);
}

/** Of a copy alone: how it was made. */
function addCopy(
  result: ShortWriteResult,
  { request: { source }, io: { rows, reflink, noReflinkReason } }: WriteState,
): void {
  if (source.kind !== 'file') return;
  result.copied = reflink === null ? 'rows' : 'reflink';
  if (reflink !== null) return;
  if (noReflinkReason !== undefined) result.noReflinkReason = noReflinkReason;
  if (source.holes === 'keep') result.holeBytes = rows?.holeBytes ?? 0;
}

/** The clock is no finer, and further digits would only travel. */
const wholeMicroseconds = (ms: number): number => Math.round(ms * 1000) / 1000;
