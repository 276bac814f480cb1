/**
 * One write, from its request to its result: a lane of the thread's loop.
 *
 *   opening -> waiting (rows) -> writing -> syncing -> verifying (if asked for) -> publishing -> done
 *
 * Rows are filled and written in file order. A copy reads each row into place first, unless it becomes a reflink: then
 * it waits for no rows, and blocks are shared while it is "writing". Where bytes arrive by a ring it is "writing" until
 * the producer ends, also while there is nothing to write. The first failure stops the preparing; once the
 * last slot is reaped the partial file is removed and the failure handed on.
 */
import type { RecordableHistogram } from 'node:perf_hooks';
import { setImmediate } from 'node:timers';
import {
  IoError,
  RequestError,
  WriteAbortedError,
  toWire,
  type WriteRequest,
  type WriteResult,
  changesInPlace,
  formatBytes,
} from '@penstock/contract';
import { IO_BYTES_MAX, type Lane } from '@penstock/aio';
import { native } from '@penstock/native';
import type { DigestOrder, FileDigest } from '@penstock/digest';
import {
  type MatrixShape,
  type RowExtent,
  type RowPlan,
  STOP_CANCEL,
  STOP_LOST,
  STOP_NONE,
  STOP_REASONS,
  chooseMatrix,
  chooseStreamMatrix,
  planRows,
} from '@penstock/matrix';
import type { DirectSource } from '@penstock/sources';
import { AppendInquiry, NO_ANSWERS } from '../append/inquiry.ts';
import { applyAttributes, closeInPlace } from '../target/attributes.ts';
import { CacheFlush } from '../rows/cache-flush.ts';
import { type Checkpoint, requestKey } from '../attempt/checkpoint.ts';
import { CheckpointTrail } from '../durable/checkpoint-trail.ts';
import { type Span, WHOLE_FILE } from '../target/edges.ts';
import { EndFlush } from '../durable/end-flush.ts';
import { assertExpected } from '../target/expected-sum.ts';
import type { FlushWaiter } from '../device/flush-groups.ts';
import { Growth, type RowRoom } from '../space/growth.ts';
import type { Arrivals } from '../rows/arrivals.ts';
import { Intake } from '../intake/intake.ts';
import { forgetAppends } from '../append/lengthening.ts';
import { openBytes } from '../thread/opening.ts';
import { type Origin, assertUnchanged, closeOrigin, readBuffered } from '../origin/origin.ts';
import { OriginFlush } from '../durable/origin-flush.ts';
import { Pace } from '../rows/pace.ts';
import { PartialRow } from '../intake/partial-row.ts';
import { hasPart, partName } from '../attempt/parts.ts';
import type { WriteControl, WriteOrder } from './order.ts';
import { DONE, OPENING, PAUSED, PUBLISHING, PhaseClock, SYNCING, VERIFYING, WAITING, WRITING } from './phases.ts';
import { Reflink, refusalReason } from '../space/reflink.ts';
import { Readback } from '../verify/readback.ts';
import { resultOf } from './result.ts';
import { RowLease } from '../intake/row-lease.ts';
import { SMALL_FILE_BYTES_MAX, cutPadding, reserve, reserveSparse } from '../space/reserve.ts';
import { CopiedFeed } from '../rows/copied.ts';
import { ComputedFeed, type RowFeed } from '../rows/feed.ts';
import { MappedFeed } from '../rows/mapped.ts';
import { RowPipeline } from '../rows/pipeline.ts';
import { SeenGrowth } from '../space/seen-growth.ts';
import { mapSegment, rowsStandAligned } from '../origin/segment.ts';
import { sweepLengthening, sweepParts } from '../earlier/sweep.ts';
import { findFinished, takeOverPart } from '../earlier/take-over.ts';
import type { Root } from '@penstock/disk';
import { FD_DIRECTORY, FD_TARGET, openTarget } from '../target/open.ts';
import { publish } from '../target/publish.ts';
import { type Target, closeTarget, spanOf } from '../target/target.ts';
import { leaveUnfinished } from '../space/unfinished.ts';
import type { WriterThread } from '../thread/thread.ts';
import {
  READ_BACK,
  READ_PREFIX,
  READ_ROW,
  SYNC_CACHE,
  SYNC_CHECKPOINT,
  SYNC_FILE,
  SYNC_ORIGIN,
  SYNC_PARTIAL,
  SYNC_REPLACED,
  WRITE_ROW,
} from '../thread/transfer.ts';

/** Which word of the job's control block names the source's descriptor. */
const FD_ORIGIN = 2;
/** What arrives has no file that it is read from. */
const FD_PARTIAL = FD_ORIGIN;
/** What a stopped write has written of at least this much is left to the next attempt. */
const KEPT_BYTES_MIN = 8_388_608;

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

  readonly #clock = new PhaseClock();
  /** The phase that a pause interrupted. */
  #pausedIn: number = OPENING;
  #failure: unknown = undefined;
  #failed = false;
  /** It failed because its bytes broke off. */
  #brokeOff = false;

  // Known once the files are open.
  #target: Target | null = null;
  #origin: Origin | null = null;
  #source: DirectSource | null = null;
  /** Of a copy that keeps holes. */
  #originFlush: OriginFlush | null = null;
  /** Where bytes arrive; null for a write whose bytes are computed or read. */
  readonly #intake: Intake | null;
  /** The copy as a reflink, unless none was asked for or the file system refused. */
  #reflink: Reflink | null = null;
  #reflinkDue = false;
  #noReflinkReason: string | undefined;
  #rows: RowPipeline | null = null;
  /** Counted among the thread's small writes. */
  #countedSmall = false;
  /** null while only the end of the bytes will tell. */
  #size: number | null = 0;
  /** Of a write whose size nobody knows, and of what arrives in a file that others see. */
  #growth: Growth | SeenGrowth | null = null;
  /** Of a stream: the row that fills up. */
  #partial: PartialRow | null = null;
  #span: Span = WHOLE_FILE;
  /** What the queue is asked of other appends; while it is, the write waits with nothing open but its source. */
  #inquiry: AppendInquiry | null = null;
  /** As it was opened at the beginning, for its name and path alone. */
  #partRoot: Pick<Root, 'name' | 'path'> | null = null;
  /** An earlier attempt's part is this one's now. */
  #takenOver = false;
  /** Which opening of the root the target is in. */
  #rootOpening = 0;
  #trail: CheckpointTrail | null = null;
  /** What arrives can be told from other bytes of its source, and so gone on with. */
  #isTellable = false;
  /** Permissions or a time were set, which fdatasync does not make durable. */
  #attributesSet = false;
  #shape: MatrixShape = { rows: 1, rowBytes: 1 };
  #plan: RowPlan = { ioBytes: 1, rowStride: 1, bufferRows: 1 };
  #bytesDurable = 0;
  #inFlight = 0;
  #endFlush: EndFlush | null = null;
  /** All that is to be flushed before the name is. */
  #flushed = false;
  /** Sums up what is written; null where no checksum and no readback was asked for. */
  #digest: FileDigest | null = null;
  #rowExtent: RowExtent | null = null;
  /** Of what arrives: when it has rows. */
  #lease: RowLease | null = null;
  #arrivals: Arrivals | null = null;
  /** So much row memory it stands in line for. */
  #wantedBytes = 0;
  #readback: Readback | null = null;
  #waitsToReadBack = false;
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
    const { ring, request } = order;
    this.#intake =
      ring === undefined
        ? null
        : new Intake(ring, thread.loop, thread.stopClock, request.path, (error) => this.#breakOff(error));
  }

  /** What brings the bytes has failed, and not the disk: what is written is right. */
  #breakOff(error: unknown): void {
    this.#brokeOff = !this.#failed && toWire(error).retryable;
    this.fail(error);
  }

  get #phase(): number {
    return this.#clock.phase;
  }

  // ------------------------------------------------------------------------------------- the loop's three calls

  prepare(slot: number): boolean {
    if (this.finished || this.#failed) return false;
    if ((this.#phase < PUBLISHING || this.#phase === PAUSED) && this.#isStopped) return false;
    this.#digest?.advance();
    if (this.#rows?.holdsRefused === true)
      return this.#flushesCache(slot) || this.#took(this.#rows.prepareRefused(slot));
    if (this.#waitsPaused()) return false;
    if (this.#phase === OPENING && this.#inquiry?.isOpen !== true) this.#open();
    if (this.#reflinkDue) this.#shareNext();
    if (this.#phase === WAITING && this.#originFlush?.isDone === false)
      return this.#took(this.#originFlush.prepare(slot));
    // Also while it waits for rows: those who have them may be waiting for this flush.
    if ((this.#phase === WAITING || this.#phase === WRITING) && this.#flushesCache(slot)) return true;
    if (this.#phase === WAITING && !this.#takeRows())
      return this.#inFlight === 0 && this.#took(this.#partial?.prepare(slot) === true);
    if (this.#phase === WRITING) {
      if (this.#rows === null) return false;
      if (this.#trail!.isDue(this.#rows.bytesWritten) && this.#beginCheckpoint(slot)) return true;
      if (this.#partial?.holdsRows !== true && this.#took(this.#rows.prepare(slot))) return true;
      if (this.#inFlight === 0 && this.#partial !== null && this.#took(this.#partial.prepare(slot))) return true;
      if (this.#lease !== null && !this.#rows.exhausted) this.#tendLease(this.#lease);
      // The end of what arrives may bring no row of its own.
      if (!this.#rows.exhausted || this.#inFlight > 0) return false;
      this.#endWriting();
    }
    if (this.#phase === SYNCING && !this.#flushed)
      return this.#took(this.#endFlush!.prepareFile(slot, this.#attributesSet || this.#isLengthened));
    if (this.#phase === SYNCING) this.#judgeSum();
    if (this.#phase === VERIFYING) {
      if (this.#took(this.#readback!.prepare(slot))) return true;
      if (this.#readback!.passed) this.#publishFile();
    }
    if (this.#phase === PUBLISHING) return this.#took(this.#endFlush!.prepareName(slot));
    return false;
  }

  /** Prepares the flush of what is in the page cache, if that is due; false if not. */
  #flushesCache(slot: number): boolean {
    const cache = this.#rows?.cache ?? null;
    if (cache === null || !cache.isDue) return false;
    cache.prepare(slot);
    return this.#took(true);
  }

  #took(prepared: boolean): boolean {
    if (prepared) this.#inFlight += 1;
    return prepared;
  }

  /** Asked before each row: with its lock a write loses the right to submit another. */
  get #isStopped(): boolean {
    const stop = this.#control.lapsed ? STOP_LOST : this.#control.stop;
    if (stop === STOP_NONE) return false;
    if (stop === STOP_CANCEL) this.#sweepEarlier();
    this.fail(new WriteAbortedError(STOP_REASONS[stop]!));
    return true;
  }

  complete(slot: number, result: number, refused: boolean, latencyMs: number): void {
    this.#inFlight -= 1;
    try {
      const purpose = this.#thread.slots.purpose[slot]!;
      if (purpose === WRITE_ROW) this.#latency.record(Math.max(1, Math.round(latencyMs * 1000)));
      if (purpose === WRITE_ROW || purpose === READ_ROW || purpose === READ_PREFIX)
        this.#afterRow(slot, result, refused, latencyMs);
      else if (purpose === READ_BACK) this.#afterReadback(slot, result, refused, latencyMs);
      else if (purpose === SYNC_CHECKPOINT) this.#afterCheckpoint(slot, result, refused);
      else if (purpose === SYNC_CACHE) this.#afterCacheFlush(slot, result, refused, latencyMs);
      else if (purpose === SYNC_PARTIAL) this.#afterPartialFlush(slot, result, refused);
      else if (purpose === SYNC_FILE) this.#afterFileSync(slot, result, refused);
      else if (purpose === SYNC_REPLACED) this.#afterReplaced(slot, result, refused);
      else if (purpose === SYNC_ORIGIN) this.#afterOriginFlush(slot, result, refused);
      else this.#endFlush!.afterDirectory(slot, result); // tells this write too
    } catch (error) {
      this.fail(error);
    }
    if (this.#failed && this.#inFlight === 0) this.#end();
  }

  mayGoOn(): boolean {
    if (!this.#mayHaveRows || !this.#control.lapsed) return true;
    this.fail(new WriteAbortedError('lost'));
    return false;
  }

  fail(error: unknown): void {
    if (!this.#failed) {
      this.#failed = true;
      this.#failure = error;
      this.#rows?.stop();
      this.#readback?.stop();
    }
    if (this.#inFlight === 0) this.#end();
  }

  // --------------------------------------------------------------------------------------------- told from outside

  /** No other attempt will come to remove what an earlier one, of a host that died, has left. */
  #sweepEarlier(): void {
    const { request, again, swept, jobKey } = this.#order;
    const root = this.#thread.roots.find(request.root);
    if (this.#target !== null || !again || root?.writable !== true) return;
    if (swept !== true && hasPart(request)) sweepParts(root, request.path, this.#order);
    if (changesInPlace(request)) sweepLengthening(root, request.path, jobKey);
  }

  /** True while the write is paused, or drains to be: up to its last row, and then without row memory. */
  #waitsPaused(): boolean {
    const { paused } = this.#control;
    if (this.#phase === PAUSED) {
      if (!paused) this.#endPause();
      return paused;
    }
    if (!paused || this.#phase > WRITING) return false;
    if (this.#inFlight > 0 || this.#rows?.isDrained === false) return true;
    this.#pausedIn = this.#phase;
    this.#rows?.cache?.forget();
    this.#thread.rowMemory.leave(this);
    if (this.#intake === null) {
      this.#returnRows();
      this.#uncountSmall();
    }
    this.#enter(PAUSED);
    return true;
  }

  #endPause(): void {
    // Of what arrives the lease knows whether it needs rows.
    if (this.#intake !== null && this.#rows !== null) this.#enter(WRITING);
    else if (this.#intake === null && (this.#pausedIn === WAITING || this.#rows !== null)) this.#waitForRows();
    else this.#enter(this.#pausedIn);
  }

  // ------------------------------------------------------------------------------------------- opening, waiting

  #open(): void {
    if (this.#inquiry === null) this.#begin();
    else this.#openTarget(null); // its answer has come
  }

  #begin(): void {
    const { request } = this.#order;
    const { roots } = this.#thread;
    // Published first: totals are 0 until the source is known.
    this.#publishProgress();
    const root = roots.get(request.root, 'root', true);
    this.#partRoot = root;
    this.#recordPart(false);
    // First of all: what is refused below must not leave an earlier attempt's partial file for ever.
    if (this.#order.again && this.#order.swept !== true && hasPart(request)) {
      this.#takenOver = takeOverPart(root, request.path, this.#order) && request.publish === 'atomic';
    }
    if (this.#intake === null) this.#openBytes(request);
    else this.#size = request.size ?? null;
    const finished = this.#findFinished(root);
    if (finished !== null) this.#size = finished.durableBytes;
    this.#openTarget(finished);
  }

  /** Before it is made, or once it is left for a later attempt: so that its host finds it again. */
  #recordPart(isLeft: boolean): void {
    const { request, job, jobKey, attemptToken, partPlace } = this.#order;
    const { partRecords } = this.#thread;
    const root = this.#partRoot;
    if (partRecords === null || partPlace === undefined || root === null) return;
    if (!hasPart(request)) return;
    const name = partName(jobKey, attemptToken);
    if (isLeft) partRecords.keep(job, root, request.path, name);
    else partRecords.note(partPlace, job, root, request.path, name);
  }

  /** @param finished what an earlier attempt has published */
  #openTarget(finished: Checkpoint | null): void {
    const { request } = this.#order;
    const { roots, engine, refusingDevices } = this.#thread;
    const { source } = request;
    const root = roots.get(request.root, 'root', true);
    this.#rootOpening = root.generation;
    try {
      this.#target = openTarget(root, request, {
        identity: this.#order,
        takenOver: this.#takenOver,
        isPublished: finished !== null,
        originIdentity: this.#origin?.identity,
        size: this.#size,
        answers: this.#inquiry?.answers ?? NO_ANSWERS,
        grows: this.#intake !== null && (this.#isStream || this.#size === null),
        refusingDevices,
        recordFd: (index, fd) => this.#control.recordFd(index, fd),
      });
    } catch (error) {
      this.#inquiry ??= this.#openInquiry();
      this.#inquiry.take(error);
      return;
    }
    this.#endFlush = new EndFlush(this.#thread, this.#target);
    this.#place();
    if (finished !== null) {
      this.#enter(WRITING);
      this.#endWriting();
      return;
    }
    const depth = this.#target.appendsOnly ? 1 : engine.depth; // a row goes where the one before has ended
    this.#planRows(request.matrix ?? this.#chooseMatrix(root.matrix), depth);
    if (this.#origin !== null && source.kind === 'shm') this.#mapSegment();
    const copies = this.#origin !== null && source.kind === 'file';
    const reflink = copies && source.reflink !== 'never' && this.#size! > 0 && !this.#target.appendsOnly;
    if (reflink && this.#digestOf(request) !== null) {
      this.#noReflinkReason = 'a checksum or a readback was asked for, and a reflink passes no byte';
      this.#waitForRows();
    } else if (reflink) {
      this.#reflink = new Reflink(this.#target, this.#origin!, this.#size!);
      this.#reflinkDue = true;
      this.#enter(WRITING);
    } else if (this.#intake === null) {
      this.#waitForRows();
    } else {
      this.#letBegin(this.#intake);
    }
  }

  #openInquiry(): AppendInquiry {
    const { loop, askQueue } = this.#thread;
    return new AppendInquiry(
      askQueue,
      () => loop.wake(),
      (error) => this.fail(error),
    );
  }

  /** What an earlier attempt has published, if that is what this one would write, and no sum of it is wanted. */
  #findFinished(root: Root): Checkpoint | null {
    const { request, jobKey, again, swept } = this.#order;
    const { checksum = 'none', verify = 'none', publish: published } = request;
    const wanted = again && swept !== true && !this.#takenOver && published === 'atomic';
    if (!wanted || checksum !== 'none' || verify !== 'none') return null;
    const finished = findFinished(root, request.path, jobKey);
    if (finished === null || finished.request !== requestKey(request)) return null;
    return this.#isFetched || finished.source === (this.#origin?.version ?? '') ? finished : null;
  }

  #openBytes(request: WriteRequest): void {
    const { source, origin, size } = openBytes(this.#thread, request);
    this.#source = source;
    this.#origin = origin;
    this.#size = size;
    if (origin !== null) this.#control.recordFd(FD_ORIGIN, origin.fd);
    if (this.#keepsHoles) this.#originFlush = new OriginFlush(this.#thread, origin!);
  }

  /** Maps a segment whose rows can be written from where they stand; it goes when nothing is in flight any more. */
  #mapSegment(): void {
    const { checksum = 'none', verify = 'none' } = this.#order.request;
    const segment = this.#origin!;
    // Summed up or compared, the bytes would be touched by this process: they are copied first.
    const onlyWritten = checksum === 'none' && verify === 'none';
    const standsAligned = this.#span.headBytes === 0 && rowsStandAligned(segment, this.#target!.alignment);
    if (this.#size === 0 || !onlyWritten || !standsAligned) return;
    this.#control.recordMapping(mapSegment(segment, segment.start + this.#size!));
  }

  /** Where in its file the write goes on, and from which of its bytes. */
  #place(): void {
    const target = this.#target!;
    // No block can be written again together with what stands in it.
    if (target.appendsOnly && this.#origin !== null) readBuffered(this.#origin);
    this.#span = spanOf(target, this.#offsetAlignment);
    if (this.#span.headBytes > 0 && this.#origin !== null) readBuffered(this.#origin);
    const { request, jobKey } = this.#order;
    // Whether a server still has the bytes of the checkpoint is known by its answer.
    const source = this.#isFetched ? target.checkpoint?.source : this.#origin?.version;
    this.#trail = new CheckpointTrail(target, request, jobKey, source ?? '', {
      size: this.#intake === null ? this.#size! : this.#resumableBytes,
      headBytes: this.#span.headBytes,
      align: this.#offsetAlignment,
    });
    target.isResumed = this.#trail.resumedFrom > 0;
    if (request.durability !== 'none') this.#bytesDurable = this.#trail.resumedFrom;
  }

  /** True where the bytes arrive and can be brought again from anywhere. */
  get #isFetched(): boolean {
    return this.#intake !== null && this.#order.request.source.kind === 'url';
  }

  /** True where the bytes arrive once, and nobody can bring them again. */
  get #isStream(): boolean {
    return this.#intake !== null && this.#order.request.source.kind === 'stream';
  }

  /** Of what arrives, how much an earlier attempt may have written that is not written again. */
  get #resumableBytes(): number {
    const { checksum = 'none', verify = 'none' } = this.#order.request;
    // A sum is of all bytes, and those of the earlier attempt would have to be read into rows that are the producer's.
    const unread = checksum === 'none' && verify === 'none';
    return this.#isFetched && unread ? (this.#size ?? Number.POSITIVE_INFINITY) : 0;
  }

  /** True once the server has answered: then it is known from where on its bytes come, and how many there are. */
  #hasBegun(intake: Intake): boolean {
    const beginning = intake.beginning();
    if (beginning === null) return false;
    const { offset, totalBytes, identity } = beginning;
    const target = this.#target!;
    this.#size = totalBytes ?? this.#size;
    this.#isTellable = identity !== null;
    this.#settleLengthening(target);
    this.#trail!.confirmSource(identity ?? '', offset);
    target.isResumed = offset > 0;
    if (this.#order.request.durability !== 'none') this.#bytesDurable = offset;
    return true;
  }

  /** For rows that are read and written: powers of two, the larger suits both. */
  get #offsetAlignment(): number {
    return Math.max(this.#target!.alignment.offset, this.#origin?.alignment.offset ?? 1);
  }

  /** Its size is known now, or that only the end of its bytes will tell. */
  #settleLengthening(target: Target): void {
    if (this.#size !== null) target.isGrown = false; // all of it is reserved at once
    if (target.lengthening === null) return;
    target.lengthening.fixLength(this.#size);
    target.existingBytes = target.lengthening.fileBytes;
  }

  #waitForRows(): void {
    // Nobody waits in line behind a write that waits for its source.
    this.#wantedBytes = this.#lease?.wantedBytes ?? this.#rowBytes;
    if (this.#originFlush?.isDone !== false) this.#thread.rowMemory.join(this, this.#wantedBytes);
    this.#enter(WAITING);
  }

  #afterOriginFlush(slot: number, result: number, refused: boolean): void {
    this.#originFlush!.after(slot, result, refused);
    if (!this.#failed) this.#waitForRows();
  }

  #chooseMatrix(preferred: MatrixShape | undefined): MatrixShape {
    return this.#intake === null ? chooseMatrix(this.#size!, preferred) : chooseStreamMatrix(this.#size, preferred);
  }

  #planRows(shape: MatrixShape, depth: number): void {
    this.#shape = shape;
    const offsetAlign = this.#offsetAlignment;
    const memoryAlign = Math.max(this.#target!.alignment.memory, this.#origin?.alignment.memory ?? 1);
    const budget = this.#thread.rowMemory.bytesMax;
    const bytes = this.#span.headBytes + (this.#size ?? Number.POSITIVE_INFINITY);
    const plan = planRows(bytes, this.#shape, memoryAlign, offsetAlign, depth, budget);
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
    this.#claim(); // in place the first piece replaces what stands there
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

  /** True once writing has begun, or goes on: what arrives may have no rows yet. */
  #takeRows(): boolean {
    if (this.#rows !== null) return this.#takeRowsAgain(this.#rows);
    if (this.#intake === null) {
      this.#rowExtent = this.#takeTurn();
      if (this.#rowExtent === null) return false;
    } else if (this.#isFetched && !this.#hasBegun(this.#intake)) {
      return false;
    }
    const size = this.#size;
    const target = this.#target!;
    this.#growth = this.#chooseGrowth(target);
    const wanted = this.#digestOf(this.#order.request);
    this.#digest = wanted === null ? null : this.#thread.digests.open(wanted, size ?? Number.POSITIVE_INFINITY);
    this.#rows = new RowPipeline({
      thread: this.#thread,
      target,
      feed: this.#rowFeed(target),
      span: this.#span,
      writtenBytes: this.#trail!.resumedFrom,
      growth: this.#growth,
      plan: this.#plan,
      extent: this.#rowExtent,
      digest: this.#digest,
      pace: this.#pace(),
    });
    if (this.#isStream) this.#watchPartialRow(this.#arrivals!, this.#rows);
    if (this.#order.request.durability === 'fdatasync' && !this.#isSmall)
      this.#rows.cache = new CacheFlush(this.#thread, target);
    if (this.#isSmall && this.#intake === null) this.#countSmall();
    this.#claim(); // what stands in place is emptied next
    this.#enter(OPENING); // reserving disk space is part of opening
    if (this.#keepsHoles) reserveSparse(target, size!, Math.min(size!, this.#origin!.allocatedBytes));
    else reserve(target, size ?? 0);
    const { checkpoints } = this.#thread;
    // Not of a bulk's files, nor of what is soon written again, nor of bytes that nobody can bring again from there on.
    const worthIt = (this.#intake === null || this.#isTellable) && size !== null && size > checkpoints.bytes;
    const isFoundAgain = this.#order.request.mode !== 'append' || target.lengthening?.isRecorded === true;
    if (this.#order.swept === undefined && worthIt && isFoundAgain) this.#trail!.begin(checkpoints);
    this.#enter(WRITING);
    // At once, where there are some: it has bytes by now, or soon.
    if (this.#lease !== null) this.#takeSpareRows(this.#lease);
    if (this.#rows.exhausted) this.#endWriting(); // an empty file, or one that is all hole
    return true;
  }

  /** The rows that it stands in line for; null while they are not there, and then its progress says what it waits for. */
  #takeTurn(): RowExtent | null {
    const { rowMemory } = this.#thread;
    const extent = rowMemory.take(this, this.#wantedBytes);
    if (extent === null) this.#control.waitForRows?.(this.#wantedBytes, rowMemory.usedBytes);
    return extent;
  }

  /** After a pause, or once bytes have come again. */
  #takeRowsAgain(rows: RowPipeline): boolean {
    if (!rows.exhausted) {
      const extent = this.#takeTurn();
      if (extent === null) return false;
      this.#goOnWith(rows, extent);
    }
    this.#thread.rowMemory.leave(this); // of no effect but where what was to arrive has ended without a byte
    this.#enter(WRITING);
    return true;
  }

  #goOnWith(rows: RowPipeline, extent: RowExtent): void {
    rows.takeAgain(extent);
    this.#rowExtent = extent;
    this.#lease?.grant(extent);
    if (this.#isSmall) this.#countSmall();
  }

  #takeSpareRows(lease: RowLease): void {
    const extent = this.#rows!.exhausted ? null : this.#thread.rowMemory.takeSpare(lease.wantedBytes);
    if (extent !== null) this.#goOnWith(this.#rows!, extent);
  }

  /** Of what arrives, with nothing to take now: gives its rows back where others need them, and asks for some with bytes. */
  #tendLease(lease: RowLease): void {
    lease.tend();
    if (this.#inFlight === 0 && this.#arrivals!.isSettled) {
      const extent = lease.takeBack();
      if (extent !== null) {
        this.#rowExtent = null;
        this.#uncountSmall();
        this.#thread.rowMemory.release(extent);
        this.#thread.loop.wake(); // whoever waits for them may have been asked before this write in this turn
      }
    }
    if (lease.extent !== null || !this.#intake!.ring.wantsRows) return;
    this.#waitForRows();
    this.#thread.loop.wake();
  }

  #pace(): Pace {
    const { loop, rates, roots } = this.#thread;
    const root = rates.roots[roots.indexOf(this.#order.request.root)]!;
    return new Pace(loop, { job: this.#control.rate, root, host: rates.host }, this.#offsetAlignment);
  }

  #chooseGrowth(target: Target): (RowRoom & (Growth | SeenGrowth)) | null {
    const { bufferRows: rowCount, ioBytes: rowBytes } = this.#plan;
    const { start, headBytes } = this.#span;
    if (target.appendsOnly) return null;
    if (!target.isGrown) return this.#size === null ? new Growth(target, start) : null;
    // Through the page cache each write extends the file by what it has written, and no more.
    return target.direct
      ? new SeenGrowth(target, start, { headBytes, rowBytes, rowCount, isStream: this.#isStream })
      : null;
  }

  #watchPartialRow(arrivals: Arrivals, rows: RowPipeline): void {
    const { ring } = this.#intake!;
    const where = { span: this.#span, lease: this.#lease!, ring, arrivals };
    const growth = this.#growth instanceof SeenGrowth ? this.#growth : null;
    const partial = new PartialRow(this.#thread, this.#target!, this.#order.request, where, rows, growth);
    const fd = partial.open();
    rows.bufferedFd = fd;
    this.#control.recordFd(FD_PARTIAL, fd);
    this.#partial = partial;
    this.#thread.rowClock.add(partial);
  }

  #rowFeed(target: Target): RowFeed {
    const { headBytes } = this.#span;
    if (this.#intake !== null) {
      this.#arrivals = this.#intake.arrivals(this.#plan.bufferRows, this.#digest, headBytes, this.#size);
      return this.#arrivals;
    }
    const size = this.#size!;
    const origin = this.#origin;
    if (origin === null) return new ComputedFeed(this.#source!, this.#thread.arena.bytes, this.#plan, headBytes, size);
    const { mapping } = origin;
    if (mapping !== null) return new MappedFeed(origin, mapping, target, headBytes + size);
    return new CopiedFeed(origin, target, headBytes + size, this.#keepsHoles);
  }

  /** Has the producer begin: rows come with its bytes, and until then they are others'. */
  #letBegin(intake: Intake): void {
    const { resumedFrom } = this.#trail!;
    const identity = resumedFrom > 0 ? this.#target!.checkpoint!.source : null;
    const startAt = { offset: resumedFrom, identity };
    const align = this.#offsetAlignment;
    this.#lease = new RowLease(this.#thread, intake, this.#plan, align);
    intake.begin({ thread: this.#thread.index, head: this.#span.headBytes, align, startAt });
    this.#enter(WAITING);
  }

  /** What is to be summed up; null where neither a checksum nor a readback was asked for. */
  #digestOf({ checksum = 'none', verify }: WriteRequest): DigestOrder | null {
    const keepsChunks = verify === 'readback';
    if (checksum === 'none' && !keepsChunks) return null;
    const algorithm = checksum === 'none' ? null : checksum;
    const { bufferRows: rowCount, ioBytes: rowBytes } = this.#plan;
    return { algorithm, keepsChunks, rowCount, rowBytes, position: this.#span.headBytes };
  }

  // ------------------------------------------------------------------------------------------------- checkpoints

  /** Flushes what has been written without a gap; true if that took the slot. Rows go on meanwhile. */
  #beginCheckpoint(slot: number): boolean {
    const rows = this.#rows!;
    this.#trail!.restart(rows.bytesWritten);
    const bytes = rows.contiguousBytes;
    if (bytes === 0) return false;
    const { durability } = this.#order.request;
    if (durability !== 'fdatasync') {
      // Each write was durable by itself, or nothing has to be: a killed process loses neither.
      this.#recordCheckpoint(bytes);
      return false;
    }
    this.#trail!.prepareFlush(slot, this.#thread, bytes);
    return this.#took(true);
  }

  #afterCheckpoint(slot: number, result: number, refused: boolean): void {
    this.#recordCheckpoint(this.#trail!.afterFlush(slot, this.#thread, result, refused));
    this.#endIfAllIsWritten();
  }

  #afterCacheFlush(slot: number, result: number, refused: boolean, latencyMs: number): void {
    this.#rows!.cache!.after(slot, result, refused, latencyMs);
    this.#endIfAllIsWritten();
  }

  #recordCheckpoint(bytes: number): void {
    const { durability } = this.#order.request;
    if (durability !== 'none') this.#bytesDurable = bytes;
    this.#trail!.record(bytes);
    this.#publishProgress();
  }

  /** True up to the last row, also while it is paused. */
  get #mayHaveRows(): boolean {
    return this.#phase <= WRITING || this.#phase === PAUSED;
  }

  /**
   * A host that shuts down leaves the file to the next attempt, and all that it has written in it; so does a write whose
   * bytes broke off, if there is one. One whose lock ran out by the clock leaves it as it was recorded last: the job is
   * taken up again, and may have been already.
   */
  #keepForNextAttempt(): boolean {
    const target = this.#target;
    const reason = this.#failure instanceof WriteAbortedError ? this.#failure.reason : null;
    if (reason === 'lost' && this.#control.lapsed) return this.#trail?.isRecorded === true;
    const willRetry = reason === 'shutdown' || (this.#brokeOff && this.#order.willRetry === true);
    if (!willRetry || target === null || this.#trail?.isKept !== true || !this.#mayHaveRows) return false;
    const bytes = this.#rows?.contiguousBytes ?? 0;
    const least = Math.min(this.#thread.checkpoints.bytes, KEPT_BYTES_MIN);
    if (bytes < least) return false; // soon written again, and no file is left to wait for it
    // Otherwise each write was durable by itself, or nothing has to be: a flush could take as long as the cache is large.
    const isFlushed = this.#order.request.durability !== 'fdatasync';
    if (bytes > this.#bytesDurable && (isFlushed || native.fdatasync(target.fd) === 0)) this.#recordCheckpoint(bytes);
    return this.#trail.isRecorded;
  }

  // -------------------------------------------------------------------------------------------------------- rows

  #afterRow(slot: number, result: number, refused: boolean, latencyMs: number): void {
    const rows = this.#rows!;
    if (rows.complete(slot, result, refused, latencyMs)) {
      this.#inFlight += 1;
      this.#publishProgress();
      return;
    }
    this.#partial?.noteRow();
    this.#publishProgress();
    this.#endIfAllIsWritten();
  }

  #afterPartialFlush(slot: number, result: number, refused: boolean): void {
    this.#partial!.afterFlush(slot, result, refused);
    if (this.#rows!.contiguousBytes > this.#bytesDurable) this.#bytesDurable = this.#rows!.contiguousBytes;
    this.#publishProgress();
    this.#endIfAllIsWritten();
  }

  #endIfAllIsWritten(): void {
    if (!this.#failed && this.#rows!.exhausted && this.#inFlight === 0) this.#endWriting();
  }

  // ------------------------------------------------------------------------------- syncing, verifying, publishing

  /** All is written and reaped: the order from here is truncate, fdatasync, rename, fsync of the directory. */
  #endWriting(): void {
    const target = this.#target!;
    if (this.#rows !== null) this.#size = this.#rows.settle();
    this.#thread.rowMemory.leave(this); // the end of what arrives may have come while it stood in line
    if (this.#digest === null) this.#returnRows();
    else this.#digest.finish(); // it may still read them
    this.#enter(SYNCING);
    // Nothing is durable before the last truncate is: it comes first.
    if (this.#growth instanceof SeenGrowth) {
      this.#growth.fixEnd(target.baseOffset + this.#size!, this.#order.request.durability !== 'none');
      this.#intake!.ring.tellStands();
    } else if (this.#reflink === null && !target.isPublished) {
      cutPadding(target, this.#size!, this.#growth !== null); // else it ends where the blocks do
    }
    target.lengthening?.finish(this.#size!);
    this.#attributesSet =
      !target.isPublished && applyAttributes(target, this.#order.request, this.#origin, this.#isSmall);
    const covered = target.flushedTogether && this.#isSmall;
    // Bytes that are in the page cache alone must reach the disk to be read back from it.
    const readFromCache = this.#order.request.verify === 'readback' && !target.direct;
    const hasFreed = target.forgetsFreed && this.#growth !== null; // the space ahead that it did not need
    const needsNone = this.#order.request.durability === 'none' && !hasFreed;
    if ((needsNone || covered) && !readFromCache) this.#afterFlush();
  }

  /** The bytes are where they go: what is to be known of them comes before their name. */
  #afterFlush(): void {
    this.#flushed = true;
    if (this.#digest === null) this.#publishFile();
  }

  /** Once the sum is known: compares it with what the request expects, and goes on. */
  #judgeSum(): void {
    const { request } = this.#order;
    const { verify } = request;
    const target = this.#target!;
    const sum = this.#digest!.sum;
    if (sum === null) {
      // The digest wakes the loop. A hole may take it hours: others can have the rows.
      if (this.#rowExtent !== null && verify !== 'readback' && !this.#digest!.readsRows) {
        this.#returnRows();
        this.#thread.loop.wake();
      }
      return;
    }
    assertExpected(request, target, { sum, size: this.#size!, resumed: this.#trail!.resumedFrom > 0 });
    if (verify !== 'readback') {
      this.#publishFile();
      return;
    }
    if (!this.#hasReadbackRows()) return;
    const dropped = native.dropPageCache(target.fd); // of a file that is direct there is nothing in it
    if (dropped < 0) throw new IoError({ syscall: 'posix_fadvise', errno: dropped, path: target.path });
    this.#readback = new Readback(this.#thread, target, this.#span.start, this.#plan, this.#rowExtent!, this.#digest!);
    this.#enter(VERIFYING);
  }

  /** True once it has all rows of its plan: of what arrived there may be none at the end, or one. */
  #hasReadbackRows(): boolean {
    if (this.#rowExtent !== null && this.#rowExtent.sizeBytes >= this.#rowBytes) return true;
    const { rowMemory } = this.#thread;
    if (!this.#waitsToReadBack) {
      this.#waitsToReadBack = true;
      this.#returnRows();
      rowMemory.join(this, this.#rowBytes);
    }
    this.#rowExtent = rowMemory.take(this, this.#rowBytes);
    return this.#rowExtent !== null;
  }

  #afterReadback(slot: number, result: number, refused: boolean, latencyMs: number): void {
    if (this.#readback!.complete(slot, result, refused, latencyMs)) this.#inFlight += 1;
    this.#publishProgress();
  }

  flushed(result: number): void {
    if (result < 0) {
      this.fail(new IoError({ syscall: 'fsync', errno: result, path: this.#target!.path }));
      return;
    }
    if (this.#order.request.durability !== 'none') this.#bytesDurable = this.#size!;
    this.#endFlush!.nameIsFlushed = true;
    // The loop asks this lane in its next turn.
    if (!this.#endFlush!.replacedIsDue) this.#end();
  }

  #afterReplaced(slot: number, result: number, refused: boolean): void {
    this.#endFlush!.afterReplaced(slot, result, refused);
    this.#end();
  }

  #afterFileSync(slot: number, result: number, refused: boolean): void {
    this.#rows?.cache?.forget();
    this.#endFlush!.afterFile(slot, result, refused);
    this.#bytesDurable = this.#size!;
    this.#afterFlush();
  }

  #publishFile(): void {
    this.#returnRows();
    if (this.#origin !== null) assertUnchanged(this.#origin);
    // The last moment at which a write whose lock was lost can still step back.
    if (this.#control.stop !== STOP_NONE) throw new WriteAbortedError(STOP_REASONS[this.#control.stop]!);
    this.#assertHeld();
    const target = this.#target!;
    this.#thread.roots.assertUnmoved(this.#order.request.root, this.#rootOpening);
    this.#trail!.finish(this.#size!);
    this.#enter(PUBLISHING);
    publish(target, this.#order.request, this.#order);
    this.#endFlush!.notePublished(this.#order.again);
    if (target.replaced.fd >= 0) this.#recordReplaced(target.replaced.fd);
    if (this.#order.request.durability === 'none' && !this.#endFlush!.replacedIsDue) {
      this.#end();
      return;
    }
    this.#endFlush!.join(this);
  }

  /** The source is read no more: its word of the job's block becomes that of the file that was replaced. */
  #recordReplaced(fd: number): void {
    this.#control.recordFd(FD_ORIGIN, -1);
    this.#control.recordMapping(null);
    if (this.#origin !== null) closeOrigin(this.#origin);
    this.#origin = null;
    this.#control.recordFd(FD_ORIGIN, fd);
  }

  /** Its record says that it is done, and must not say less after a power loss than the queue does. */
  get #isLengthened(): boolean {
    return this.#target!.lengthening?.isRecorded === true;
  }

  /** The last moment to step back: from here on what stands in place is this write's. */
  #claim(): void {
    this.#assertHeld();
    const { fd, keepsRest } = this.#target!;
    if (!keepsRest && this.#order.request.publish === 'in-place') forgetAppends(fd);
    this.#trail!.removeStale();
    closeInPlace(this.#target!, this.#order.request, this.#origin);
  }

  #assertHeld(): void {
    if (this.#control.lapsed) throw new WriteAbortedError('lost');
  }

  // ------------------------------------------------------------------------------------------------------ the end

  #enter(phase: number): void {
    this.#clock.enter(phase);
    this.#publishProgress();
  }

  #publishProgress(): void {
    const bytesWritten = this.#reflink?.bytesShared ?? this.#rows?.bytesWritten ?? this.#trail?.resumedFrom ?? 0;
    if (this.#order.request.durability === 'dsync' && this.#rows !== null)
      this.#bytesDurable = this.#rows.contiguousBytes;
    this.#control.publish(this.#phase, bytesWritten, this.#bytesDurable, this.#size ?? 0, this.#inFlight);
  }

  /** Of all its rows in memory of this process: of a mapped segment only the padded end needs one. */
  get #rowBytes(): number {
    if (this.#origin !== null && this.#origin.mapping !== null) return this.#plan.rowStride;
    return this.#plan.bufferRows * this.#plan.rowStride;
  }

  get #keepsHoles(): boolean {
    const { source } = this.#order.request;
    return this.#origin !== null && source.kind === 'file' && source.holes === 'keep';
  }

  /** As far as is known: a stream is not before its end. */
  get #isSmall(): boolean {
    return this.#size !== null && this.#size <= SMALL_FILE_BYTES_MAX;
  }

  #returnRows(): void {
    const extent = this.#rowExtent;
    this.#rowExtent = null;
    if (extent === null) return;
    if (this.#intake === null) this.#thread.rowMemory.release(extent);
    else this.#intake.returnRows(extent, this.#thread.rowMemory);
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
    this.#digest?.close();
    this.#rows?.cache?.forget();
    this.#returnRows(); // a digest that was given up only reads what is left of them
    this.#intake?.close();
    if (this.#partial !== null) this.#thread.rowClock.remove(this.#partial);
    const target = this.#target;
    // Closed words first: from here the main thread must not close descriptors that may belong to somebody else.
    for (const index of [FD_TARGET, FD_DIRECTORY, FD_ORIGIN]) this.#control.recordFd(index, -1);
    this.#control.recordMapping(null);
    if (this.#failed) this.#leaveFailed();
    this.#partial?.close();
    if (this.#origin !== null) closeOrigin(this.#origin);
    this.#endFlush?.close();
    if (target !== null) closeTarget(target);
    this.#intake?.ring.tellStands();
    if (this.#failed || target === null) {
      this.#reject(this.#failure);
    } else {
      this.#enter(DONE);
      this.#resolve(this.#result(target));
    }
    this.#thread.returnHistogram(this.#latency);
  }

  /** What becomes of a file that was not finished. Nothing is in flight. */
  #leaveFailed(): void {
    const target = this.#target;
    if (target === null) {
      const { request } = this.#order;
      const root = this.#takenOver ? this.#thread.roots.find(request.root) : undefined;
      if (root !== undefined) sweepParts(root, request.path, this.#order);
    } else if (this.#keepForNextAttempt()) {
      if (target.unpublishedName !== null) this.#recordPart(true);
      target.unpublishedName = null;
    } else {
      const { mode } = this.#order.request;
      const bytes = this.#rows?.contiguousBytes;
      const end = bytes === undefined ? null : Math.max(target.baseOffset + bytes, this.#partial?.writtenEnd ?? 0);
      const keeps = this.#intake?.ring.keepsWritten === true && target.isSeen && this.#rows !== null;
      if (keeps) target.unpublishedName = null; // also of a file that this write has made
      const takesBack = mode === 'append' && !keeps;
      leaveUnfinished(target, takesBack, end, this.#growth instanceof SeenGrowth ? this.#growth : null);
    }
  }

  #result(target: Target): WriteResult {
    const { engine } = this.#thread;
    return resultOf({
      request: this.#order.request,
      thread: this.#thread,
      target,
      sizeBytes: this.#size!,
      matrix: { ...this.#shape, ioBytes: this.#plan.ioBytes },
      rows: this.#rows,
      sum: this.#digest?.sum ?? '',
      readback: this.#readback,
      copied: this.#order.request.source.kind !== 'file' ? null : this.#reflink === null ? 'rows' : 'reflink',
      noReflinkReason: this.#noReflinkReason,
      resumedFrom: this.#trail!.resumedFrom,
      phaseMs: this.#clock.ms,
      latencyUs: this.#latency,
      retries: engine.retries - this.#retriesBefore,
      submitCalls: engine.submitCalls - this.#submitCallsBefore,
    });
  }
}
