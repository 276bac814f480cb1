/** What a write that has ended tells of itself. */
import type { RecordableHistogram } from 'node:perf_hooks';
import {
  type CopyWay,
  type LatencySummary,
  PHASES,
  type Phase,
  type WriteMode,
  type WriteRequest,
  type WriteResult,
} from '@penstock/contract';
import type { Readback } from '../verify/readback.ts';
import type { RowPipeline } from '../rows/pipeline.ts';
import type { Target } from '../target/target.ts';
import type { WriterThread } from '../thread/thread.ts';

/** What the lane knows at its end. */
export interface WriteFacts {
  request: WriteRequest;
  thread: WriterThread;
  target: Target;
  sizeBytes: number;
  matrix: WriteResult['matrix'];
  /** null where no row was needed. */
  rows: RowPipeline | null;
  /** In hexadecimal digits; '' where none was asked for. */
  sum: string;
  /** null where none was asked for. */
  readback: Readback | null;
  /** How a copy was made; null for any other write. */
  copied: CopyWay | null;
  noReflinkReason: string | undefined;
  /** Bytes that an earlier attempt had written. */
  resumedFrom: number;
  /** By the index of the phase in PHASES. */
  phaseMs: Float64Array;
  /** Of the writes of rows, in microseconds. */
  latencyUs: RecordableHistogram;
  retries: number;
  submitCalls: number;
}

export function resultOf(facts: WriteFacts): WriteResult {
  const { request, thread, target, sizeBytes, rows, phaseMs } = facts;
  const { source } = request;
  const asynchronous = thread.engine.port.name !== 'positional';
  const mode: WriteMode = `${asynchronous ? 'aio' : 'sync'}-${target.bypassesCache ? 'direct' : 'buffered'}`;
  const fallbackReason = [thread.engineReason, target.modeReason].filter((reason) => reason !== undefined).join('; ');
  const ms = (phase: Phase): number => wholeMicroseconds(phaseMs[PHASES.indexOf(phase)]!);
  const durationsMs = {
    waiting: ms('waiting'),
    opening: ms('opening'),
    writing: ms('writing'),
    syncing: ms('syncing'),
    verifying: ms('verifying'),
    publishing: ms('publishing'),
    paused: ms('paused'),
    total: wholeMicroseconds(phaseMs.reduce((sum, duration) => sum + duration, 0)),
  };
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
    ...(facts.resumedFrom > 0 ? { resumedFrom: facts.resumedFrom } : {}),
    ...(target.notKept.length > 0 ? { notKept: target.notKept } : {}),
    ...checkResult(facts),
    ...copyResult(facts),
    alignment: target.alignment,
    matrix: facts.matrix,
    durationsMs,
    bytesPerSecond: workingMs > 0 ? Math.round((sizeBytes / workingMs) * 1000) : 0,
    writeLatencyUs: summarize(facts.latencyUs),
    writes: rows?.writes ?? 0,
    reads: (rows?.reads ?? 0) + (facts.readback?.reads ?? 0),
    shortWrites: rows?.shortWrites ?? 0,
    retries: facts.retries,
    submitCalls: facts.submitCalls,
    hugePages: thread.arena.hugePages,
    thread: thread.index,
  };
}

function checkResult({
  request: { checksum = 'none' },
  target,
  sum,
  readback,
}: WriteFacts): Pick<WriteResult, 'checksum' | 'verified' | 'noDirectReadbackReason'> {
  const why = target.direct ? 'this file system refuses direct reads' : target.modeReason;
  const dropped = 'they were read through the page cache, which was dropped before';
  return {
    ...(checksum === 'none' ? {} : { checksum: { algorithm: checksum, value: sum } }),
    ...(readback === null ? {} : { verified: 'readback' as const }),
    ...(readback === null || readback.isDirect ? {} : { noDirectReadbackReason: `${why}: ${dropped}` }),
  };
}

function fileBytesOf({ baseOffset, existingBytes }: Target, sizeBytes: number): number {
  return sizeBytes === 0 ? existingBytes : Math.max(existingBytes, baseOffset + sizeBytes);
}

function copyResult({
  request: { source },
  copied,
  noReflinkReason,
  rows,
}: WriteFacts): Pick<WriteResult, 'copied' | 'noReflinkReason' | 'holeBytes'> {
  if (copied === null) return {};
  if (copied === 'reflink') return { copied };
  const keepsHoles = source.kind === 'file' && source.holes === 'keep';
  return {
    copied,
    ...(noReflinkReason === undefined ? {} : { noReflinkReason }),
    ...(keepsHoles ? { holeBytes: rows?.holeBytes ?? 0 } : {}),
  };
}

/** The clock is no finer, and further digits would only travel. */
const wholeMicroseconds = (ms: number): number => Math.round(ms * 1000) / 1000;

function summarize(latency: RecordableHistogram): LatencySummary {
  if (latency.count === 0) return { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };
  return {
    count: latency.count,
    p50: latency.percentile(50),
    p90: latency.percentile(90),
    p99: latency.percentile(99),
    max: latency.max,
  };
}
