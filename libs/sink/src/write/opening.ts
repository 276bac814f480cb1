/**
 * The phase "opening": the source and the target are opened, the place of the bytes in the target and their rows are
 * decided; and, once the write has its rows, space is reserved on the disk.
 */
import { constants } from 'node:os';
import { IO_BYTES_MAX } from '@penstock/aio';
import { IoError, type MatrixShape, RequestError, formatBytes } from '@penstock/contract';
import type { Root } from '@penstock/disk';
import { chooseMatrix, chooseStreamMatrix, planRows } from '@penstock/matrix';
import { AppendInquiry, NO_ANSWERS } from '../append/inquiry.ts';
import { type Checkpoint, requestKey } from '../attempt/checkpoint.ts';
import { hasPart, partName, splitPath } from '../attempt/parts.ts';
import { CheckpointTrail } from '../durable/checkpoint-trail.ts';
import { EndFlush } from '../durable/end-flush.ts';
import { OriginFlush } from '../durable/origin-flush.ts';
import { findFinished, takeOverPart } from '../earlier/take-over.ts';
import type { Intake } from '../intake/intake.ts';
import { RowLease } from '../intake/row-lease.ts';
import { type Origin, readBuffered } from '../origin/origin.ts';
import { mapSegment, rowsStandAligned } from '../origin/segment.ts';
import type { RowPipeline } from '../rows/pipeline.ts';
import { ONE_ROW_BYTES_MAX, OneRow } from '../small/one-row.ts';
import { Reserving, reserveOneRow } from '../space/reserve.ts';
import { openTarget } from '../target/open.ts';
import type { SharedDirectory } from '../target/shared-directory.ts';
import { type Target, spanOf } from '../target/target.ts';
import { openBytes } from '../origin/open-bytes.ts';
import { NOTHING, SYNCING, type Step, WAITING, WRITING } from './phases.ts';
import { claim } from './publishing.ts';
import { planSharing } from './sharing.ts';
import { FD_ORIGIN, type WriteState } from './state.ts';
import { useSpareRows } from './waiting.ts';

const { ENOENT } = constants.errno;

export function prepareOpening(state: WriteState): Step {
  if (state.io.rows !== null) return reserveSpace(state, state.io.rows);
  const { inquiry } = state.files;
  if (inquiry === null) return openAll(state);
  return inquiry.isOpen ? NOTHING : openPlace(state, null); // its answer has come
}

// -------------------------------------------------------------------------------------------------------- the files

function openAll(state: WriteState): Step {
  const { request, order, files, plan, intake } = state;
  // First the progress: totals are 0 until the source is known.
  state.publishProgress();
  const root = state.thread.roots.get(request.root, 'root', true);
  files.partRoot = root;
  recordPart(state, false);
  // Before anything can be refused, or an earlier attempt's partial file would stay for ever.
  if (order.again && order.swept !== true && hasPart(request)) {
    files.takenOver = takeOverPart(root, request.path, order, state.thread.freeing) && request.publish === 'atomic';
  }
  if (intake === null) openSource(state);
  else plan.size = request.size ?? null;
  const finished = finishedBefore(state, root);
  if (finished !== null) plan.size = finished.durableBytes;
  return openPlace(state, finished);
}

/** Records the partial file, so that its host finds it again: before it is made or, if `isLeft`, as it is left to a later attempt. */
export function recordPart({ order, request, files, thread }: WriteState, isLeft: boolean): void {
  const { job, jobKey, attemptToken, partPlace } = order;
  const { partRecords } = thread;
  const root = files.partRoot;
  if (partRecords === null || partPlace === undefined || root === null || !hasPart(request)) return;
  const name = partName(jobKey, attemptToken);
  if (isLeft) partRecords.keep(job, root, request.path, name);
  else partRecords.note(partPlace, job, root, request.path, name);
}

function openSource(state: WriteState): void {
  const { files, thread } = state;
  const { source, origin, size } = openBytes(thread, state.request);
  files.source = source;
  files.origin = origin;
  state.plan.size = size;
  if (origin !== null) state.control.recordFd(FD_ORIGIN, origin.fd);
  if (state.keepsHoles) files.originFlush = new OriginFlush(thread, origin!);
}

/** The checkpoint of the file that an earlier attempt has published, if this one would write the same, and no sum is wanted. */
function finishedBefore(state: WriteState, root: Root): Checkpoint | null {
  const { request, order, files } = state;
  const mayBe = order.again && order.swept !== true && !files.takenOver && request.publish === 'atomic';
  if (!mayBe || state.isSummedUp) return null;
  const finished = findFinished(root, request.path, order.jobKey);
  if (finished === null || finished.request !== requestKey(request)) return null;
  return state.isFetched || finished.source === (files.origin?.version ?? '') ? finished : null;
}

/**
 * Opens the target, and decides what goes where in it. NOTHING while the queue is asked about other appends.
 * @param finished the checkpoint of a file that an earlier attempt has published
 */
function openPlace(state: WriteState, finished: Checkpoint | null): Step {
  const { request, files, thread, intake } = state;
  const root = thread.roots.get(request.root, 'root', true);
  files.rootGeneration = root.generation;
  try {
    files.target = openTargetIn(root, state, finished !== null);
  } catch (error) {
    files.inquiry ??= inquiryOf(state);
    files.inquiry.take(error); // throws what is no question
    return NOTHING;
  }
  const { target, origin } = files;
  files.endFlush = new EndFlush(thread, target);
  place(state, target);
  if (finished !== null) return SYNCING;
  planMatrix(state, target, request.matrix ?? matrixFor(state, root.matrix));
  if (origin !== null && request.source.kind === 'shm') mapRows(state, origin, target);
  if (intake !== null) letBegin(state, target, intake);
  if (planSharing(state, target) || takeOneRow(state, target)) return WRITING;
  return WAITING;
}

/**
 * For a new file of one row whose bytes are computed, and which nothing holds back: takes the memory of that row and reserves
 * its space, so that it need not wait.
 */
function takeOneRow(state: WriteState, target: Target): boolean {
  const { control, files, io, plan, request, thread } = state;
  const { source } = files;
  const size = plan.size!;
  // What goes through the page cache is flushed on the way by a pipeline, unless it is small.
  const isOneRow = size > 0 && size <= plan.rowPlan.ioBytes && size <= ONE_ROW_BYTES_MAX;
  if (!state.isSmall && !target.bypassesCache) return false;
  if (source === null || request.publish !== 'atomic' || !isOneRow) return false;
  if (state.isSummedUp || control.paused || target.checkpoint !== null || isPaced(state)) return false;
  if (isWorthCheckpoints(state, target)) return false;
  io.row = OneRow.take(thread, target, source, size, plan.rowPlan);
  if (io.row === null) return false;
  io.extent = io.row.extent;
  if (state.isSmall) state.countSmall();
  claim(state);
  if (reserveOneRow(target, size)) return true;
  io.row = null; // it waits for the space like any other
  state.returnRows();
  state.uncountSmall();
  return false;
}

const isPaced = ({ control, request, thread: { rates, roots } }: WriteState): boolean =>
  control.rate.bytesPerSecond > 0 ||
  rates.host.bytesPerSecond > 0 ||
  rates.roots[roots.indexOf(request.root)]!.bytesPerSecond > 0;

function openTargetIn(root: Root, state: WriteState, isPublished: boolean): Target {
  const directory = sharedDirectory(root, state);
  try {
    return openTargetBy(directory, root, state, isPublished);
  } catch (error) {
    if (directory === null) throw error;
    directory.release();
    // It was removed meanwhile: it is made again.
    if (!(error instanceof IoError) || error.errno !== -ENOENT) throw error;
    state.thread.directories.forget(directory);
  }
  return openTargetBy(null, root, state, isPublished);
}

/** The directory of a file that may be one row, which it shares with others; null for any other file. */
function sharedDirectory(root: Root, { request, plan, intake, thread, arrival }: WriteState): SharedDirectory | null {
  const mayBeOneRow = intake === null && plan.size! <= ONE_ROW_BYTES_MAX;
  if (!mayBeOneRow || request.publish !== 'atomic') return null;
  return thread.directories.open(root, splitPath(request.path).directory, arrival, thread.arrivals);
}

function openTargetBy(directory: SharedDirectory | null, root: Root, state: WriteState, isPublished: boolean): Target {
  const { files, plan, control } = state;
  return openTarget(root, state.request, {
    directory,
    identity: state.order,
    takenOver: files.takenOver,
    isPublished,
    originIdentity: files.origin?.identity,
    size: plan.size,
    answers: files.inquiry?.answers ?? NO_ANSWERS,
    grows: state.intake !== null && (state.isStream || plan.size === null),
    refusingDevices: state.thread.refusingDevices,
    freeing: state.thread.freeing,
    recordFd: (index, fd) => control.recordFd(index, fd),
  });
}

function inquiryOf({ thread: { askQueue, loop }, lane }: WriteState): AppendInquiry {
  return new AppendInquiry(
    askQueue,
    () => loop.wake(),
    (error) => lane.fail(error),
  );
}

// ------------------------------------------------------------------------------------------------ place and rows

/** Decides where in the target the write begins, and from which of its bytes an earlier attempt is continued. */
function place(state: WriteState, target: Target): void {
  const { files, plan, request } = state;
  const { origin } = files;
  // In a file that only grows no block can be written again, so rows begin at any byte of the source.
  if (target.appendsOnly && origin !== null) readBuffered(origin);
  plan.span = spanOf(target, state.offsetAlignment);
  if (plan.span.headBytes > 0 && origin !== null) readBuffered(origin);
  // Whether a server still has the bytes of the checkpoint is known by its answer.
  const source = state.isFetched ? target.checkpoint?.source : origin?.version;
  files.trail = new CheckpointTrail(target, request, state.order.jobKey, source ?? '', {
    size: state.intake === null ? plan.size! : resumableBytes(state),
    headBytes: plan.span.headBytes,
    align: state.offsetAlignment,
  });
  target.isResumed = files.trail.resumedFrom > 0;
  if (request.durability !== 'none') state.bytesDurable = files.trail.resumedFrom;
}

/** If the bytes arrive: how many of them, written by an earlier attempt, need not be written again. */
function resumableBytes({ isFetched, isSummedUp, plan }: WriteState): number {
  // A sum covers all bytes, and the rows into which the earlier ones would have to be read are the producer's.
  return isFetched && !isSummedUp ? (plan.size ?? Number.POSITIVE_INFINITY) : 0;
}

/** @throws RequestError if no row of the matrix fits the row memory of a thread */
function planMatrix(state: WriteState, target: Target, shape: MatrixShape): void {
  const { plan, thread } = state;
  plan.shape = shape;
  const memoryAlign = Math.max(target.alignment.memory, state.files.origin?.alignment.memory ?? 1);
  const depth = target.appendsOnly ? 1 : thread.engine.depth; // each row begins at the end of the row before
  const budget = thread.rowMemory.bytesMax;
  const bytes = plan.span.headBytes + (plan.size ?? Number.POSITIVE_INFINITY);
  const rowPlan = planRows(bytes, shape, memoryAlign, state.offsetAlignment, depth, budget);
  if (rowPlan === null || rowPlan.ioBytes > IO_BYTES_MAX) {
    throw new RequestError({
      field: 'matrix.rowBytes',
      value: shape.rowBytes,
      accepted: `a row that fits the ${formatBytes(budget)} of row memory that each thread of this host has`,
    });
  }
  plan.rowPlan = rowPlan;
}

function matrixFor({ plan, intake }: WriteState, preferred: MatrixShape | undefined): MatrixShape {
  return intake === null ? chooseMatrix(plan.size!, preferred) : chooseStreamMatrix(plan.size, preferred);
}

/** Maps a segment if its rows can be written from where they are. It stays mapped while anything is in flight. */
function mapRows({ plan, control, isSummedUp }: WriteState, segment: Origin, target: Target): void {
  const standsAligned = plan.span.headBytes === 0 && rowsStandAligned(segment, target.alignment);
  // Summed up or compared, the bytes would be touched by this process: they are copied first.
  if (plan.size === 0 || isSummedUp || !standsAligned) return;
  control.recordMapping(mapSegment(segment, segment.start + plan.size!));
}

/** Lets the producer begin. The write gets rows once there are bytes; until then other writes have them. */
function letBegin(
  { files, io, plan, thread, offsetAlignment: align }: WriteState,
  target: Target,
  intake: Intake,
): void {
  const { resumedFrom } = files.trail!;
  const identity = resumedFrom > 0 ? target.checkpoint!.source : null;
  io.lease = new RowLease(thread, intake, plan.rowPlan, align);
  const startAt = { offset: resumedFrom, identity };
  intake.ring.begin({ thread: thread.index, head: plan.span.headBytes, align, startAt });
}

// -------------------------------------------------------------------------------------------------------- the space

/**
 * Reserves space for all bytes, if their number is known, so that no row extends the file. NOTHING while blocks are freed:
 * other writes have the rows meanwhile, and it stands in line for them again.
 */
function reserveSpace(state: WriteState, rows: RowPipeline): Step {
  const { files, plan } = state;
  const target = files.target!;
  if (files.reserving === null) {
    const size = plan.size ?? 0;
    const dataBytes = state.keepsHoles ? Math.min(size, files.origin!.allocatedBytes) : null;
    files.reserving = new Reserving(target, size, dataBytes, state.thread);
  }
  if (!files.reserving.advance()) {
    state.leaveRows();
    return NOTHING;
  }
  if (isWorthCheckpoints(state, target)) files.trail!.begin(state.thread.checkpoints);
  useSpareRows(state, rows);
  if (rows.exhausted) return SYNCING; // at once for an empty file, or one that is all hole
  return state.intake === null && state.io.extent === null ? WAITING : WRITING;
}

/** False for a bulk's files, for what is soon written again, and for bytes that cannot be brought again from a checkpoint on. */
function isWorthCheckpoints({ intake, order, plan, request, thread }: WriteState, target: Target): boolean {
  if (order.swept !== undefined || plan.size === null || plan.size <= thread.checkpoints.bytes) return false;
  const canBeContinued = intake === null || plan.isTellable;
  const isFoundAgain = request.mode !== 'append' || target.lengthening?.isRecorded === true;
  return canBeContinued && isFoundAgain;
}
