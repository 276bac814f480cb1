/**
 * What one write knows of itself: everything that its phases share. One is made for every file, so the groups are few, and
 * each has all of its fields from the beginning.
 */
import { type MatrixShape, WriteAbortedError, type WriteRequest } from '@penstock/contract';
import type { FileDigest } from '@penstock/digest';
import type { Root } from '@penstock/disk';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { DirectSource } from '@penstock/sources';
import type { AppendInquiry } from '../append/inquiry.ts';
import type { Cut } from '../device/freeing.ts';
import type { FlushWaiter } from '../device/flush-groups.ts';
import type { CheckpointTrail } from '../durable/checkpoint-trail.ts';
import type { EndFlush } from '../durable/end-flush.ts';
import type { OriginFlush } from '../durable/origin-flush.ts';
import type { Intake } from '../intake/intake.ts';
import type { PartialRow } from '../intake/partial-row.ts';
import type { RowLease } from '../intake/row-lease.ts';
import type { Origin } from '../origin/origin.ts';
import type { Arrivals } from '../rows/arrivals.ts';
import type { RowPipeline } from '../rows/pipeline.ts';
import type { Growth } from '../space/growth.ts';
import type { Reflink } from '../space/reflink.ts';
import type { OneRow } from '../small/one-row.ts';
import { type Reserving, SMALL_FILE_BYTES_MAX } from '../space/reserve.ts';
import type { SeenGrowth } from '../space/seen-growth.ts';
import { type Span, WHOLE_FILE } from '../target/edges.ts';
import type { Target } from '../target/target.ts';
import { Latencies } from '../thread/latencies.ts';
import type { WriterThread } from '../thread/thread.ts';
import type { Readback } from '../verify/readback.ts';
import type { WriteControl, WriteOrder } from './order.ts';
import { OPENING, PAUSED, PhaseClock, WRITING } from './phases.ts';

/** Which word of the job's control block names the source's descriptor (FD_TARGET and FD_DIRECTORY are the others). */
export const FD_ORIGIN = 2;

/** The lane, for what happens outside the loop's calls. */
export interface LaneEvents extends FlushWaiter {
  fail(error: unknown): void;
}

/** The files of a write, and what is recorded with them. */
class WriteFiles {
  target: Target | null = null;
  /** Which generation of its root the target was opened in. */
  rootGeneration = 0;
  /** The root as it was when the write began: the record of the partial file names it. */
  partRoot: Pick<Root, 'name' | 'path'> | null = null;
  /** True if the partial file of an earlier attempt is this one's now. */
  takenOver = false;
  /** What the queue is asked about other appends. While a question is unanswered, the source alone is open. */
  inquiry: AppendInquiry | null = null;
  /** Computes the bytes; null if they are read or arrive. */
  source: DirectSource | null = null;
  /** What the bytes are read from; null if they are computed or arrive. */
  origin: Origin | null = null;
  /** The origin's flush, if its holes are kept. */
  originFlush: OriginFlush | null = null;
  reserving: Reserving | null = null;
  /** The last cut, while another thread makes it. */
  cut: Cut | null = null;
  trail: CheckpointTrail | null = null;
  endFlush: EndFlush | null = null;
  /** True if permissions or a time were set, which fdatasync does not make durable. */
  attributesSet = false;
  /** True once everything is flushed that has to be before the name is. */
  flushed = false;
}

// Before the rows are decided.
const NO_MATRIX: MatrixShape = { rows: 1, rowBytes: 1 };
const NO_ROWS: RowPlan = { ioBytes: 1, rowStride: 1, bufferRows: 1 };

/** What is to be written, and in what rows. */
class WritePlan {
  /** How many bytes; null while that is unknown. */
  size: number | null = 0;
  span: Span = WHOLE_FILE;
  shape: MatrixShape = NO_MATRIX;
  rowPlan: RowPlan = NO_ROWS;
  /** True if the server identifies the version of its bytes: then a later attempt can go on with them. */
  isTellable = false;
}

/** The bytes under way. */
class WriteIo {
  rows: RowPipeline | null = null;
  /** In its place, for a new file that is one row. */
  row: OneRow | null = null;
  /** The memory of the rows, while the write has some. */
  extent: RowExtent | null = null;
  /** How much row memory the write stands in line for. */
  wantedBytes = 0;
  /** True while the write counts among the small ones of its thread. */
  countedSmall = false;
  /** Makes room ahead of the rows, if the size is unknown, or others see the file while it grows. */
  growth: Growth | SeenGrowth | null = null;
  /** If the bytes arrive: the rows that are full, the row memory while the write has some, and the row that is not full. */
  arrivals: Arrivals | null = null;
  lease: RowLease | null = null;
  partial: PartialRow | null = null;
  /** Sums up what is written; null if neither a checksum nor a readback was asked for. */
  digest: FileDigest | null = null;
  readback: Readback | null = null;
  waitsToReadBack = false;
  /** The copy as a reflink; null if none was asked for, or the file system refused. */
  reflink: Reflink | null = null;
  reflinkDue = false;
  noReflinkReason: string | undefined = undefined;
}

export class WriteState {
  readonly thread: WriterThread;
  readonly order: WriteOrder;
  readonly request: WriteRequest;
  /** When it was handed to the thread, by the thread's count (SharedDirectories). */
  readonly arrival: number;
  readonly control: WriteControl;
  readonly lane: LaneEvents;
  /** Where the bytes arrive; null if they are computed or read. */
  readonly intake: Intake | null;
  readonly files: WriteFiles = new WriteFiles();
  readonly plan: WritePlan = new WritePlan();
  readonly io: WriteIo = new WriteIo();

  readonly clock: PhaseClock = new PhaseClock();
  /** The phase that a pause interrupted. */
  pausedIn: number = OPENING;
  failed = false;
  failure: unknown = undefined;
  /** True if the source failed, not the disk: what is written is valid for the next attempt. */
  sourceFailed = false;
  /** True once the lane has ended: nothing is open, and no progress may be published. */
  finished = false;

  inFlight = 0;
  bytesDurable = 0;
  readonly submitCallsBefore: number;
  readonly retriesBefore: number;
  readonly latencies: Latencies;

  constructor(thread: WriterThread, order: WriteOrder, control: WriteControl, lane: LaneEvents, intake: Intake | null) {
    this.thread = thread;
    this.order = order;
    this.request = order.request;
    if (order.arrival === undefined) thread.arrivals += 1;
    this.arrival = order.arrival ?? thread.arrivals;
    this.control = control;
    this.lane = lane;
    this.intake = intake;
    this.submitCallsBefore = thread.engine.submitCalls;
    this.retriesBefore = thread.engine.retries;
    this.latencies = new Latencies(thread.histograms);
  }

  /** True if the bytes arrive and can be brought again from anywhere. */
  get isFetched(): boolean {
    return this.intake !== null && this.request.source.kind === 'url';
  }

  /** True if the bytes arrive once, and cannot be brought again. */
  get isStream(): boolean {
    return this.intake !== null && this.request.source.kind === 'stream';
  }

  get keepsHoles(): boolean {
    const { source } = this.request;
    return this.files.origin !== null && source.kind === 'file' && source.holes === 'keep';
  }

  /** True if this process has to see the bytes: for a checksum, or for a readback to compare with. */
  get isSummedUp(): boolean {
    const { checksum = 'none', verify = 'none' } = this.request;
    return checksum !== 'none' || verify !== 'none';
  }

  /** False while the size is unknown. */
  get isSmall(): boolean {
    const { size } = this.plan;
    return size !== null && size <= SMALL_FILE_BYTES_MAX;
  }

  /** True up to the last row, also while the write is paused. */
  get mayHaveRows(): boolean {
    const { phase } = this.clock;
    return phase <= WRITING || phase === PAUSED;
  }

  /** For rows that are read and written: powers of two, so the larger suits both. */
  get offsetAlignment(): number {
    const { target, origin } = this.files;
    return Math.max(target!.alignment.offset, origin?.alignment.offset ?? 1);
  }

  /** True while its file is emptied, or it waits for space. */
  get isReserving(): boolean {
    return this.files.reserving?.isDone === false;
  }

  /** Bytes of all rows in memory of this process: of a mapped segment only the padded end needs one. */
  get rowBytes(): number {
    const { origin } = this.files;
    const { rowStride, bufferRows } = this.plan.rowPlan;
    return origin !== null && origin.mapping !== null ? rowStride : bufferRows * rowStride;
  }

  publishProgress(): void {
    const { rows, row, reflink } = this.io;
    const bytesWritten = reflink?.bytesShared ?? (rows ?? row)?.bytesWritten ?? this.files.trail?.resumedFrom ?? 0;
    if (this.request.durability === 'dsync' && rows !== null) this.bytesDurable = rows.contiguousBytes;
    this.control.publish(this.clock.phase, bytesWritten, this.bytesDurable, this.plan.size ?? 0, this.inFlight);
  }

  /** @throws WriteAbortedError if the job's lock has run out by the clock */
  assertHeld(): void {
    if (this.control.lapsed) throw new WriteAbortedError('lost');
  }

  /** Gives the row memory back, if the write has any; nothing of it may be in flight. */
  returnRows(): void {
    const { extent } = this.io;
    this.io.extent = null;
    if (extent === null) return;
    if (this.intake === null) this.thread.rowMemory.release(extent);
    else this.intake.returnRows(extent, this.thread.rowMemory);
  }

  /** The same while the write waits for something else; what arrives has a lease of its own. */
  leaveRows(): void {
    if (this.intake !== null) return;
    this.returnRows();
    this.uncountSmall();
  }

  countSmall(): void {
    this.io.countedSmall = true;
    this.thread.smallWrites += 1;
  }

  uncountSmall(): void {
    if (!this.io.countedSmall) return;
    this.io.countedSmall = false;
    this.thread.smallWrites -= 1;
  }
}
