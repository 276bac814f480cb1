/**
 * One write, from its request to its result: a lane of the thread's loop.
 *
 *   opening -> waiting (rows) -> writing -> syncing -> publishing -> done
 *
 * Rows are filled and written in file order; a copy reads each row into place first, unless it becomes a reflink: then
 * it waits for no rows, and blocks are shared while it is "writing". The first failure stops the preparing; once the
 * last slot is reaped the partial file is removed and the failure handed on.
 */
import { constants } from 'node:os';
import { performance, type RecordableHistogram } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';
import {
  IoError,
  PHASES,
  RequestError,
  WriteAbortedError,
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
import type { FlushGroup, FlushWaiter } from './flush-groups.ts';
import { type Origin, assertUnchanged, closeOrigin, openOrigin } from './origin.ts';
import { Reflink, refusalReason } from './reflink.ts';
import { resultOf } from './result.ts';
import { RowPipeline } from './rows.ts';
import { sweepParts } from './sweep.ts';
import {
  type AttemptIdentity,
  SMALL_FILE_BYTES_MAX,
  type Target,
  closeTarget,
  openTarget,
  publish,
  reserve,
  reserveSparse,
  truncateTo,
} from './target.ts';
import { assertSupported } from './unsupported.ts';
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
export type WriteControl = Pick<JobBlock, 'publish' | 'recordFd' | 'stop' | 'lapsed'> &
  Partial<Pick<JobBlock, 'waitForRows'>>;

/**
 * Carries out `order` on `thread`; progress goes to `control`, and its stop flag is obeyed.
 * @throws (rejects with) IoError, RequestError for what only this host can judge, WriteAbortedError when stopped
 */
export function runWrite(thread: WriterThread, order: WriteOrder, control: WriteControl): Promise<WriteResult> {
  return new Promise((resolve, reject) => {
    thread.loop.add(new WriteLane(thread, order, control, resolve, reject));
  });
}

class WriteLane implements Lane, FlushWaiter {
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
  /** The copy as a reflink, unless none was asked for or the file system refused. */
  #reflink: Reflink | null = null;
  #reflinkDue = false;
  #noReflinkReason: string | undefined;
  #rows: RowPipeline | null = null;
  #rowsReturned = false;
  /** Counted among the thread's small writes. */
  #countedSmall = false;
  #size = 0;
  #shape: MatrixShape = { rows: 1, rowBytes: 1 };
  #plan: RowPlan = { ioBytes: 1, rowStride: 1, bufferRows: 1 };
  #bytesDurable = 0;
  #inFlight = 0;
  #syncIssued = false;
  /** Whose flush is waited for. */
  #flushGroup: FlushGroup | null = null;
  /** The directory of the flush that this write submitted. */
  #flushingDirFd = -1;
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
    if (this.#reflinkDue) this.#shareNext();
    if (this.#phase === WAITING && !this.#takeRows()) return false;
    if (this.#phase === WRITING) {
      if (this.#rows === null || !this.#rows.prepare(slot)) return false;
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
    assertSupported(request);
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
    } else if (source.kind === 'extents') {
      this.#source = new ExtentsSource(source.extents);
      this.#size = request.size ?? extentsEnd(source);
    } else if (source.kind === 'pattern') {
      this.#source = createPatternSource(source.pattern, source.seed);
      this.#size = request.size ?? 0;
    }
    this.#target = openTarget(root, request, this.#order, this.#origin?.identity);
    this.#control.recordFd(FD_TARGET, this.#target.fd);
    this.#control.recordFd(FD_DIRECTORY, this.#target.dirFd);
    this.#planRows(request.matrix ?? chooseMatrix(this.#size, root.matrix), engine.depth);
    if (source.kind === 'file' && source.reflink !== 'never' && this.#size > 0) {
      this.#reflink = new Reflink(this.#target, this.#origin!, this.#size);
      this.#reflinkDue = true;
      this.#enter(WRITING);
    } else {
      this.#waitForRows();
    }
  }

  #waitForRows(): void {
    this.#thread.rowMemory.join(this, this.#rowBytes);
    this.#enter(WAITING);
  }

  #planRows(shape: MatrixShape, depth: number): void {
    this.#shape = shape;
    const target = this.#target!.alignment;
    const origin = this.#origin?.alignment ?? { memory: 1, offset: 1 };
    const offsetAlign = Math.max(target.offset, origin.offset); // powers of two: the larger suits both
    const memoryAlign = Math.max(target.memory, origin.memory);
    const budget = this.#thread.rowMemory.bytesMax;
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

  /** Shares one piece a breath of the event loop: the thread's other writes come between, and a stop is seen. */
  #shareNext(): void {
    this.#reflinkDue = false;
    this.#assertHeld(); // in place the first piece replaces what stands there
    const reflink = this.#reflink!;
    const refusal = reflink.shareNext();
    if (refusal < 0) {
      this.#refuseReflink(refusal);
    } else if (reflink.complete) {
      this.#endWriting();
    } else {
      this.#publishProgress();
      setImmediate(() => {
        this.#reflinkDue = !this.finished;
        if (this.#reflinkDue) this.#thread.loop.wake();
      });
    }
  }

  /** Rows take over, unless the request would rather have nothing. */
  #refuseReflink(errno: number): void {
    const { source } = this.#order.request;
    const reason = refusalReason(errno);
    if (source.kind === 'file' && source.reflink === 'always') {
      const hint = `No reflink: ${reason}. With reflink "auto" the bytes are copied where that is so.`;
      throw new IoError({ syscall: 'ioctl', errno, path: this.#target!.path, hint });
    }
    this.#reflink = null;
    this.#noReflinkReason = reason;
    this.#waitForRows();
  }

  /** True once the rows are there and writing has begun. */
  #takeRows(): boolean {
    const { rowMemory } = this.#thread;
    const extent = rowMemory.take(this, this.#rowBytes);
    if (extent === null) {
      this.#control.waitForRows?.(this.#rowBytes, rowMemory.usedBytes);
      return false;
    }
    const origin = this.#origin;
    const keepsHoles = this.#keepsHoles;
    const from = origin === null ? { source: this.#source!, origin } : { source: null, origin, keepsHoles };
    this.#rows = new RowPipeline(this.#thread, this.#target!, from, this.#size, this.#plan, extent);
    if (this.#size <= SMALL_FILE_BYTES_MAX) this.#countSmall();
    this.#assertHeld(); // what stands in place is emptied next
    this.#enter(OPENING); // reserving disk space is part of opening
    if (keepsHoles) reserveSparse(this.#target!, this.#size, Math.min(this.#size, origin!.allocatedBytes));
    else reserve(this.#target!, this.#size);
    this.#enter(WRITING);
    if (this.#rows.exhausted) this.#endWriting(); // an empty file, or one that is all hole
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
    const padded = this.#reflink === null && this.#size % target.alignment.offset !== 0;
    if (padded) truncateTo(target, this.#size); // else it ends where the rows did
    const covered = target.flushedTogether && this.#size <= SMALL_FILE_BYTES_MAX;
    if (this.#order.request.durability === 'none' || covered) this.#publishFile();
  }

  #prepareFileSync(slot: number): boolean {
    if (this.#syncIssued) return false;
    this.#syncIssued = true;
    this.#thread.slots.purpose[slot] = SYNC_FILE;
    this.#thread.engine.prepFdatasync(slot, this.#target!.fd);
    this.#inFlight += 1;
    return true;
  }

  /** One flush covers every write of this thread that was renamed in the same group before. */
  #prepareDirectorySync(slot: number): boolean {
    const newestDirFd = this.#flushGroup!.begin();
    if (newestDirFd === -1) return false; // another write's flush is under way, or covers this one
    this.#thread.slots.purpose[slot] = SYNC_DIRECTORY;
    this.#thread.engine.prepFsync(slot, newestDirFd);
    this.#flushingDirFd = newestDirFd;
    this.#inFlight += 1;
    return true;
  }

  flushed(result: number): void {
    this.#flushGroup = null;
    if (result < 0) {
      this.fail(new IoError({ syscall: 'fsync', errno: result, path: this.#target!.path }));
      return;
    }
    this.#bytesDurable = this.#size;
    this.#end();
  }

  #afterSync(slot: number, result: number, refused: boolean): void {
    const ofFile = this.#thread.slots.purpose[slot] === SYNC_FILE;
    const target = this.#target!;
    this.#thread.engine.releaseSlot(slot);
    let outcome = result;
    if (refused && result === -EINVAL) {
      // Before Linux 4.18 AIO knows no fsync: the plain call blocks the thread, and is as durable.
      outcome = ofFile ? native.fdatasync(target.fd) : native.fsync(this.#flushingDirFd);
    }
    if (!ofFile) {
      this.#flushGroup!.end(outcome); // tells this write too
      this.#thread.flushGroups.forgetIfIdle(target.flushGroup);
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
    this.#assertHeld();
    this.#enter(PUBLISHING);
    const target = this.#target!;
    publish(target, this.#order.request, this.#order);
    if (this.#order.request.durability === 'none') {
      this.#end();
      return;
    }
    // At once: the group flushes the directory that was renamed in last.
    this.#flushGroup = this.#thread.flushGroups.of(target.flushGroup);
    this.#flushGroup.join(this, target.dirFd);
  }

  #assertHeld(): void {
    if (this.#control.lapsed) throw new WriteAbortedError('lost');
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
    const bytesWritten = this.#reflink?.bytesShared ?? this.#rows?.bytesWritten ?? 0;
    this.#control.publish(this.#phase, bytesWritten, this.#bytesDurable, this.#size, this.#inFlight);
  }

  /** Of all its rows. */
  get #rowBytes(): number {
    return this.#plan.bufferRows * this.#plan.rowStride;
  }

  get #keepsHoles(): boolean {
    const { source } = this.#order.request;
    return source.kind === 'file' && source.holes === 'keep';
  }

  #returnRows(): void {
    if (this.#rowsReturned) return;
    this.#rowsReturned = true;
    this.#rows?.release();
  }

  #countSmall(): void {
    this.#countedSmall = true;
    this.#thread.smallWrites += 1;
  }

  #uncountSmall(): void {
    if (!this.#countedSmall) return;
    this.#countedSmall = false;
    this.#thread.smallWrites -= 1;
  }

  #end(): void {
    if (this.finished) return;
    this.finished = true;
    this.#uncountSmall();
    this.#thread.rowMemory.leave(this);
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
    const { engine } = this.#thread;
    return resultOf({
      request: this.#order.request,
      thread: this.#thread,
      target,
      sizeBytes: this.#size,
      matrix: { ...this.#shape, ioBytes: this.#plan.ioBytes },
      rows: this.#rows,
      copied: this.#origin === null ? null : this.#reflink === null ? 'rows' : 'reflink',
      noReflinkReason: this.#noReflinkReason,
      phaseMs: this.#phaseMs,
      latencyUs: this.#latency,
      retries: engine.retries - this.#retriesBefore,
      submitCalls: engine.submitCalls - this.#submitCallsBefore,
    });
  }
}
