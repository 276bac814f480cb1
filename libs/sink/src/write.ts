/**
 * One write, from its request to its result: a lane of the thread's loop.
 *
 *   opening -> waiting (rows) -> writing -> syncing -> publishing -> done
 *
 * Rows are filled and written in file order; a copy reads each row into place first. The first failure stops the
 * preparing; once the last slot is reaped the partial file is removed and the failure handed on.
 */
import { constants } from 'node:os';
import { performance, type RecordableHistogram } from 'node:perf_hooks';
import {
  IoError,
  type LatencySummary,
  PHASES,
  type Phase,
  RequestError,
  WriteAbortedError,
  type WriteMode,
  type WriteRequest,
  type WriteResult,
  extentsEnd,
  formatBytes,
} from '@penstock/contract';
import { IO_BYTES_MAX, type Lane, native } from '@penstock/aio';
import {
  type JobBlock,
  type MatrixShape,
  type RowPlan,
  STOP_NONE,
  STOP_REASONS,
  chooseMatrix,
  planRows,
} from '@penstock/matrix';
import { ExtentsSource, type Source, createPatternSource } from '@penstock/sources';
import type { DirectorySync, DirectorySyncWaiter } from './directory-syncs.ts';
import { type Origin, assertUnchanged, closeOrigin, openOrigin } from './origin.ts';
import { RowPipeline } from './rows.ts';
import { statFd } from './stat.ts';
import { sweepParts } from './sweep.ts';
import { type AttemptIdentity, type Target, closeTarget, openTarget, reserve, publish, truncateTo } from './target.ts';
import { READ_ROW, SYNC_DIRECTORY, SYNC_FILE, WRITE_ROW, type WriterThread } from './thread.ts';

const { EINVAL } = constants.errno;

const OPENING: number = PHASES.indexOf('opening');
const WAITING: number = PHASES.indexOf('waiting');
const WRITING: number = PHASES.indexOf('writing');
const SYNCING: number = PHASES.indexOf('syncing');
const PUBLISHING: number = PHASES.indexOf('publishing');
const DONE: number = PHASES.indexOf('done');

/** Which words of the job's control block name its descriptors. */
const FD_TARGET = 0;
const FD_DIRECTORY = 1;
const FD_ORIGIN = 2;

/** One attempt at a request. */
export interface WriteOrder extends AttemptIdentity {
  request: WriteRequest;
  /** True where what earlier attempts left beside the target has been removed already. */
  swept?: boolean;
}

/** What a write needs of its job's control block. */
export type WriteControl = Pick<JobBlock, 'publish' | 'recordFd' | 'stop'>;

/**
 * Carries out `order` on `thread`; progress goes to `control`, and its stop flag is obeyed.
 * @throws (rejects with) IoError, RequestError for what only this host can judge, WriteAbortedError when stopped
 */
export function runWrite(thread: WriterThread, order: WriteOrder, control: WriteControl): Promise<WriteResult> {
  return new Promise((resolve, reject) => {
    thread.loop.add(new WriteLane(thread, order, control, resolve, reject));
  });
}

class WriteLane implements Lane, DirectorySyncWaiter {
  finished = false;

  readonly #thread: WriterThread;
  readonly #order: WriteOrder;
  readonly #control: WriteControl;
  readonly #resolve: (result: WriteResult) => void;
  readonly #reject: (error: unknown) => void;

  #phase: number = OPENING;
  #phaseSince: number = performance.now();
  readonly #phaseMs = new Float64Array(PHASES.length);
  #failure: unknown = undefined;
  #failed = false;

  // Known once the files are open.
  #target: Target | null = null;
  #origin: Origin | null = null;
  #source: Source | null = null;
  #rows: RowPipeline | null = null;
  #rowsReturned = false;
  #size = 0;
  #shape: MatrixShape = { rows: 1, rowBytes: 1 };
  #plan: RowPlan = { ioBytes: 1, rowStride: 1, bufferRows: 1 };
  #bytesDurable = 0;
  #inFlight = 0;
  #syncIssued = false;
  /** The directory whose flush is waited for. */
  #directory: DirectorySync | null = null;
  #directoryIdentity = '';
  readonly #submitCallsBefore: number;
  readonly #retriesBefore: number;
  readonly #latency: RecordableHistogram;

  constructor(
    thread: WriterThread,
    order: WriteOrder,
    control: WriteControl,
    resolve: (result: WriteResult) => void,
    reject: (error: unknown) => void,
  ) {
    this.#thread = thread;
    this.#order = order;
    this.#control = control;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#submitCallsBefore = thread.engine.submitCalls;
    this.#retriesBefore = thread.engine.retries;
    this.#latency = thread.borrowHistogram();
  }

  // ------------------------------------------------------------------------------------- the loop's three calls

  prepare(slot: number): boolean {
    if (this.finished || this.#failed) return false;
    if (this.#phase <= WRITING && this.#control.stop !== STOP_NONE) {
      this.fail(new WriteAbortedError(STOP_REASONS[this.#control.stop]!));
      return false;
    }
    if (this.#phase === OPENING) this.#open();
    if (this.#phase === WAITING && !this.#takeRows()) return false;
    if (this.#phase === WRITING) {
      if (!this.#rows!.prepare(slot)) return false;
      this.#inFlight += 1;
      return true;
    }
    if (this.#phase === SYNCING) return this.#prepareFileSync(slot);
    if (this.#phase === PUBLISHING) return this.#prepareDirectorySync(slot);
    return false;
  }

  complete(slot: number, result: number, refused: boolean, latencyMs: number): void {
    this.#inFlight -= 1;
    try {
      const purpose = this.#thread.slots.purpose[slot]!;
      if (purpose === WRITE_ROW) this.#latency.record(Math.max(1, Math.round(latencyMs * 1000)));
      if (purpose === WRITE_ROW || purpose === READ_ROW) this.#afterRow(slot, result, refused);
      else this.#afterSync(slot, result, refused);
    } catch (error) {
      this.fail(error);
    }
    if (this.#failed && this.#inFlight === 0) this.#end();
  }

  fail(error: unknown): void {
    if (!this.#failed) {
      this.#failed = true;
      this.#failure = error;
      this.#rows?.stop();
    }
    if (this.#inFlight === 0) this.#end();
  }

  // ------------------------------------------------------------------------------------------- opening, waiting

  #open(): void {
    const { request } = this.#order;
    const { roots, engine } = this.#thread;
    // Published first: totals are 0 until the source is known.
    this.#publishProgress();
    const { source } = request;
    const root = roots.get(request.root, 'root', true);
    // First of all: what is refused below must not leave an earlier attempt's partial file for ever.
    if (this.#order.again && this.#order.swept !== true) sweepParts(root, request.path, this.#order.jobKey);
    if (source.kind === 'file') {
      this.#origin = openOrigin(roots.get(source.root, 'source.root', false), source.path);
      this.#control.recordFd(FD_ORIGIN, this.#origin.fd);
      this.#size = request.size ?? this.#origin.sizeBytes;
      if (this.#size > this.#origin.sizeBytes) {
        const accepted = `at most the ${this.#origin.sizeBytes} bytes of the source, or leave it out`;
        throw new RequestError({ field: 'size', value: this.#size, accepted });
      }
    } else {
      const inPieces = source.kind === 'extents';
      this.#source = inPieces ? new ExtentsSource(source.extents) : createPatternSource(source.pattern, source.seed);
      this.#size = request.size ?? (inPieces ? extentsEnd(source) : 0);
    }
    this.#target = openTarget(root, request, this.#order, this.#origin?.identity);
    this.#control.recordFd(FD_TARGET, this.#target.fd);
    this.#control.recordFd(FD_DIRECTORY, this.#target.dirFd);
    this.#planRows(request, engine.depth);
    this.#thread.waiting.push(this);
    this.#enter(WAITING);
  }

  #planRows(request: WriteRequest, depth: number): void {
    this.#shape = request.matrix ?? chooseMatrix(this.#size);
    const target = this.#target!.alignment;
    const origin = this.#origin?.alignment ?? { memory: 1, offset: 1 };
    const offsetAlign = Math.max(target.offset, origin.offset); // powers of two: the larger suits both
    const memoryAlign = Math.max(target.memory, origin.memory);
    const budget = this.#thread.arena.sizeBytes;
    const plan = planRows(this.#size, this.#shape, memoryAlign, offsetAlign, depth, budget);
    if (plan === null || plan.ioBytes > IO_BYTES_MAX) {
      throw new RequestError({
        field: 'matrix.rowBytes',
        value: this.#shape.rowBytes,
        accepted: `a row that fits the ${formatBytes(budget)} of row memory that each thread of this host has`,
      });
    }
    this.#plan = plan;
  }

  /** True once the rows are there and writing has begun. */
  #takeRows(): boolean {
    const { waiting, arena } = this.#thread;
    if (waiting[0] !== this) return false;
    const extent = arena.acquire(this.#plan.bufferRows * this.#plan.rowStride);
    if (extent === null) return false;
    waiting.shift();
    const from =
      this.#origin === null ? { source: this.#source!, origin: null } : { source: null, origin: this.#origin };
    this.#rows = new RowPipeline(this.#thread, this.#target!, from, this.#size, this.#plan, extent);
    this.#enter(OPENING); // reserving disk space is part of opening
    reserve(this.#target!, this.#size);
    this.#enter(WRITING);
    if (this.#size === 0) this.#endWriting();
    return true;
  }

  #afterRow(slot: number, result: number, refused: boolean): void {
    const rows = this.#rows!;
    if (rows.complete(slot, result, refused)) {
      this.#inFlight += 1;
      return;
    }
    this.#publishProgress();
    if (!this.#failed && rows.exhausted && this.#inFlight === 0) this.#endWriting();
  }

  // ------------------------------------------------------------------------------------------ syncing, publishing

  /** All is written and reaped: the order from here is truncate, fdatasync, rename, fsync of the directory. */
  #endWriting(): void {
    const target = this.#target!;
    this.#returnRows();
    this.#enter(SYNCING);
    // Nothing is durable before the last truncate is: it comes first.
    if (this.#size % target.alignment.offset !== 0) truncateTo(target, this.#size); // else it ends where the rows did
    if (this.#order.request.durability === 'none') this.#publishFile();
  }

  #prepareFileSync(slot: number): boolean {
    if (this.#syncIssued) return false;
    this.#syncIssued = true;
    this.#thread.slots.purpose[slot] = SYNC_FILE;
    this.#thread.engine.prepFdatasync(slot, this.#target!.fd);
    this.#inFlight += 1;
    return true;
  }

  /** One flush of the directory covers every write of this thread that was renamed in it before. */
  #prepareDirectorySync(slot: number): boolean {
    const fd = this.#target!.dirFd;
    if (this.#directory === null) {
      this.#directoryIdentity = statFd(fd, this.#target!.path).identity;
      this.#directory = this.#thread.directorySyncs.of(this.#directoryIdentity);
      this.#directory.join(this);
    }
    if (!this.#directory.begin()) return false; // another write's flush is under way, or covers this one
    this.#thread.slots.purpose[slot] = SYNC_DIRECTORY;
    this.#thread.engine.prepFsync(slot, fd);
    this.#inFlight += 1;
    return true;
  }

  directorySynced(result: number): void {
    this.#directory = null;
    if (result < 0) {
      this.fail(new IoError({ syscall: 'fsync', errno: result, path: this.#target!.path }));
      return;
    }
    this.#end();
  }

  #afterSync(slot: number, result: number, refused: boolean): void {
    const ofFile = this.#thread.slots.purpose[slot] === SYNC_FILE;
    const target = this.#target!;
    this.#thread.engine.releaseSlot(slot);
    let outcome = result;
    if (refused && result === -EINVAL) {
      // Before Linux 4.18 AIO knows no fsync: the plain call blocks the thread, and is as durable.
      outcome = ofFile ? native.fdatasync(target.fd) : native.fsync(target.dirFd);
    }
    if (!ofFile) {
      this.#directory!.end(outcome); // tells this write too
      this.#thread.directorySyncs.forgetIfIdle(this.#directoryIdentity);
      return;
    }
    // The kernel forgets a failed flush (fsyncgate): it is never repeated, the next attempt writes a fresh file.
    if (outcome < 0) throw new IoError({ syscall: 'fdatasync', errno: outcome, path: target.path });
    this.#bytesDurable = this.#size;
    this.#publishFile();
  }

  #publishFile(): void {
    if (this.#origin !== null) assertUnchanged(this.#origin);
    // The last moment at which a write whose lock was lost can still step back.
    if (this.#control.stop !== STOP_NONE) throw new WriteAbortedError(STOP_REASONS[this.#control.stop]!);
    this.#enter(PUBLISHING);
    publish(this.#target!, this.#order.request, this.#order);
    if (this.#order.request.durability === 'none') this.#end();
  }

  // ------------------------------------------------------------------------------------------------------ the end

  #enter(phase: number): void {
    const now = performance.now();
    this.#phaseMs[this.#phase]! += now - this.#phaseSince;
    this.#phaseSince = now;
    this.#phase = phase;
    this.#publishProgress();
  }

  #publishProgress(): void {
    this.#control.publish(this.#phase, this.#rows?.bytesWritten ?? 0, this.#bytesDurable, this.#size, this.#inFlight);
  }

  #returnRows(): void {
    if (this.#rowsReturned) return;
    this.#rowsReturned = true;
    this.#rows?.release();
  }

  #end(): void {
    if (this.finished) return;
    this.finished = true;
    const { waiting } = this.#thread;
    const place = waiting.indexOf(this);
    if (place !== -1) waiting.splice(place, 1);
    this.#returnRows();
    const target = this.#target;
    // Closed words first: from here the main thread must not close descriptors that may belong to somebody else.
    for (const index of [FD_TARGET, FD_DIRECTORY, FD_ORIGIN]) this.#control.recordFd(index, -1);
    if (this.#origin !== null) closeOrigin(this.#origin);
    if (target !== null) closeTarget(target);
    if (this.#failed || target === null) {
      this.#reject(this.#failure);
    } else {
      this.#enter(DONE);
      this.#resolve(this.#result(target));
    }
    this.#thread.returnHistogram(this.#latency);
  }

  #result(target: Target): WriteResult {
    const { request } = this.#order;
    const { source } = request;
    const { engine, arena, index, syncReason } = this.#thread;
    const asynchronous = engine.port.name !== 'positional';
    const mode: WriteMode = `${asynchronous ? 'aio' : 'sync'}-${target.direct ? 'direct' : 'buffered'}`;
    const fallbackReason = [syncReason, target.modeReason].filter((reason) => reason !== undefined).join('; ');
    const ms = (phase: Phase): number => this.#phaseMs[PHASES.indexOf(phase)]!;
    const durationsMs = {
      waiting: ms('waiting'),
      opening: ms('opening'),
      writing: ms('writing'),
      syncing: ms('syncing'),
      publishing: ms('publishing'),
      total: this.#phaseMs.reduce((sum, duration) => sum + duration, 0),
    };
    const workingMs = durationsMs.total - durationsMs.waiting;
    return {
      path: request.path,
      root: request.root,
      bytes: this.#size,
      mode,
      engine: engine.port.name as WriteResult['engine'],
      ...(fallbackReason === '' ? {} : { fallbackReason }),
      ...(source.kind === 'extents' ? { extentEnds: source.extents.map(({ offset, size }) => offset + size) } : {}),
      alignment: target.alignment,
      matrix: { ...this.#shape, ioBytes: this.#plan.ioBytes },
      durationsMs,
      bytesPerSecond: workingMs > 0 ? (this.#size / workingMs) * 1000 : 0,
      writeLatencyUs: summarize(this.#latency),
      writes: this.#rows?.writes ?? 0,
      reads: this.#rows?.reads ?? 0,
      shortWrites: this.#rows?.shortWrites ?? 0,
      retries: engine.retries - this.#retriesBefore,
      submitCalls: engine.submitCalls - this.#submitCallsBefore,
      hugePages: arena.hugePages,
      thread: index,
    };
  }
}

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
