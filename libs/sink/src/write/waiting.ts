/**
 * The phase "waiting": for the flush of a source whose holes are kept, for the answer of a server, and in line for row
 * memory. As it ends the write gets its pipeline. The phase comes again after a pause, and when bytes arrive after the row
 * memory was given back.
 */
import type { DigestOrder } from '@penstock/digest';
import type { RowExtent } from '@penstock/matrix';
import type { Intake } from '../intake/intake.ts';
import { PartialRow } from '../intake/partial-row.ts';
import { Arrivals } from '../rows/arrivals.ts';
import { CacheFlush } from '../rows/cache-flush.ts';
import { CopiedFeed } from '../rows/copied.ts';
import { ComputedFeed, type RowFeed } from '../rows/feed.ts';
import { MappedFeed } from '../rows/mapped.ts';
import { Pace } from '../rows/pace.ts';
import { RowPipeline } from '../rows/pipeline.ts';
import { Growth } from '../space/growth.ts';
import { SeenGrowth } from '../space/seen-growth.ts';
import type { Target } from '../target/target.ts';
import { SYNC_ORIGIN } from '../thread/transfer.ts';
import { NOTHING, OPENING, PREPARED, type Step, WRITING, asStep } from './phases.ts';
import { claim } from './publishing.ts';
import { FD_ORIGIN, type WriteState } from './state.ts';
import { completeWriting, prepareCacheFlush } from './writing.ts';

/** Bytes that arrive are read from no file: the word is free for the second descriptor that their last row goes by. */
const FD_PARTIAL = FD_ORIGIN;

/** Joins the line for row memory. */
export function beginWaiting(state: WriteState): Step {
  const { io, files, intake } = state;
  // Before the first bytes arrive, there is nothing to put into rows.
  if (intake !== null && io.rows === null) return NOTHING;
  io.wantedBytes = io.lease?.wantedBytes ?? state.rowBytes;
  // No write waits in line behind one that waits for its source.
  if (files.originFlush?.isDone !== false) state.thread.rowMemory.join(state, io.wantedBytes);
  return NOTHING;
}

export function prepareWaiting(state: WriteState, slot: number): Step {
  const { rows } = state.io;
  const { originFlush } = state.files;
  if (originFlush?.isDone === false) return asStep(originFlush.prepare(slot));
  return rows === null ? takeFirstRows(state) : takeRowsAgain(state, rows, slot);
}

export function completeWaiting(
  state: WriteState,
  slot: number,
  result: number,
  refused: boolean,
  latencyMs: number,
): Step {
  // A flush that was under way when the write had to wait for rows again.
  if (state.thread.slots.purpose[slot] !== SYNC_ORIGIN) {
    return completeWriting(state, slot, result, refused, latencyMs);
  }
  state.files.originFlush!.after(slot, result, refused);
  return state.failed ? NOTHING : beginWaiting(state);
}

/** The row memory that the write stands in line for; null if it is not its turn, and then its progress shows what it waits for. */
function takeTurn(state: WriteState): RowExtent | null {
  const { rowMemory } = state.thread;
  const { wantedBytes } = state.io;
  const extent = rowMemory.take(state, wantedBytes);
  if (extent === null) state.control.waitForRows?.(wantedBytes, rowMemory.usedBytes);
  return extent;
}

/** @returns OPENING once there are rows, or bytes may arrive: next is the space on the disk */
function takeFirstRows(state: WriteState): Step {
  const { intake, io } = state;
  if (intake === null) {
    io.extent = takeTurn(state);
    if (io.extent === null) return NOTHING;
  } else if (state.isFetched && !hasBegun(state, intake)) {
    return NOTHING;
  }
  makePipeline(state, state.files.target!);
  claim(state); // what stands in place is emptied next
  return OPENING;
}

/** After a pause, or when bytes have come again. */
function takeRowsAgain(state: WriteState, rows: RowPipeline, slot: number): Step {
  const { io, thread } = state;
  // The writes that have the rows may be waiting for this flush.
  if (prepareCacheFlush(rows, slot)) return PREPARED;
  if (!rows.exhausted) {
    const extent = takeTurn(state);
    if (extent === null) return asStep(state.inFlight === 0 && io.partial?.prepare(slot) === true);
    useRows(state, rows, extent);
  }
  thread.rowMemory.leave(state); // it is still in line if its producer has ended without a byte
  return WRITING;
}

function useRows(state: WriteState, rows: RowPipeline, extent: RowExtent): void {
  const { io } = state;
  rows.takeAgain(extent);
  io.extent = extent;
  io.lease?.grant(extent);
  if (state.isSmall) state.countSmall();
}

/** If the bytes arrive: takes rows at once if some are free, since there are bytes by now, or soon. */
export function useSpareRows(state: WriteState, rows: RowPipeline): void {
  const { lease } = state.io;
  if (lease === null || rows.exhausted) return;
  const extent = state.thread.rowMemory.takeSpare(lease.wantedBytes);
  if (extent !== null) useRows(state, rows, extent);
}

/** True once the server has answered: then it is known where its bytes begin, and perhaps how many there are. */
function hasBegun(state: WriteState, intake: Intake): boolean {
  const beginning = intake.ring.beginning();
  if (beginning === null) return false;
  const { offset, totalBytes, identity } = beginning;
  const { plan, files } = state;
  const target = files.target!;
  plan.size = totalBytes ?? plan.size;
  plan.isTellable = identity !== null;
  if (plan.size !== null) target.isGrown = false; // all of it is reserved at once
  if (target.lengthening !== null) {
    target.lengthening.fixLength(plan.size);
    target.existingBytes = target.lengthening.fileBytes;
  }
  files.trail!.confirmSource(identity ?? '', offset);
  target.isResumed = offset > 0;
  if (state.request.durability !== 'none') state.bytesDurable = offset;
  return true;
}

function makePipeline(state: WriteState, target: Target): void {
  const { io, plan, thread } = state;
  io.growth = chooseGrowth(state, target);
  const order = digestOf(state);
  io.digest = order === null ? null : thread.digests.open(order, plan.size ?? Number.POSITIVE_INFINITY);
  const rows = new RowPipeline({
    thread,
    target,
    feed: feedOf(state, target),
    span: plan.span,
    writtenBytes: state.files.trail!.resumedFrom,
    growth: io.growth,
    plan: plan.rowPlan,
    extent: io.extent,
    digest: io.digest,
    pace: paceOf(state),
  });
  io.rows = rows;
  if (state.isStream) watchPartialRow(state, target, io.arrivals!, rows);
  if (state.request.durability === 'fdatasync' && !state.isSmall) rows.cache = new CacheFlush(thread, target);
  if (state.isSmall && state.intake === null) state.countSmall();
}

function chooseGrowth({ plan, isStream, thread }: WriteState, target: Target): Growth | SeenGrowth | null {
  const { start, headBytes } = plan.span;
  if (target.appendsOnly) return null;
  if (!target.isGrown) return plan.size === null ? new Growth(target, thread, start) : null;
  // Through the page cache each write extends the file by what it has written, and no more.
  if (!target.direct) return null;
  const { ioBytes: rowBytes, bufferRows: rowCount } = plan.rowPlan;
  return new SeenGrowth(target, start, { headBytes, rowBytes, rowCount, isStream, thread });
}

/** What is to be summed up; null if neither a checksum nor a readback was asked for. */
function digestOf({ isSummedUp, request, plan }: WriteState): DigestOrder | null {
  if (!isSummedUp) return null;
  const { checksum = 'none', verify } = request;
  const { ioBytes: rowBytes, bufferRows: rowCount } = plan.rowPlan;
  const algorithm = checksum === 'none' ? null : checksum;
  return { algorithm, keepsChunks: verify === 'readback', rowCount, rowBytes, position: plan.span.headBytes };
}

function feedOf(state: WriteState, target: Target): RowFeed {
  const { io, plan, intake, thread } = state;
  const { headBytes } = plan.span;
  if (intake !== null) {
    io.arrivals = new Arrivals(intake.ring, plan.rowPlan.bufferRows, io.digest, headBytes, plan.size);
    return io.arrivals;
  }
  const size = plan.size!;
  const { source, origin } = state.files;
  if (origin === null) return new ComputedFeed(source!, thread.arena.bytes, plan.rowPlan, headBytes, size);
  const { mapping } = origin;
  if (mapping !== null) return new MappedFeed(origin, mapping, target, headBytes + size);
  return new CopiedFeed(origin, target, thread.arena.address, headBytes + size, state.keepsHoles);
}

function paceOf({ thread, request, control, offsetAlignment }: WriteState): Pace {
  const { loop, rates, roots } = thread;
  const root = rates.roots[roots.indexOf(request.root)]!;
  return new Pace(loop, { job: control.rate, root, host: rates.host }, offsetAlignment);
}

function watchPartialRow(state: WriteState, target: Target, arrivals: Arrivals, rows: RowPipeline): void {
  const { io, thread, plan } = state;
  const where = { span: plan.span, lease: io.lease!, ring: state.intake!.ring, arrivals };
  const growth = io.growth instanceof SeenGrowth ? io.growth : null;
  const partial = new PartialRow(thread, target, state.request, where, rows, growth);
  const fd = partial.open();
  rows.bufferedFd = fd;
  state.control.recordFd(FD_PARTIAL, fd);
  io.partial = partial;
  thread.rowClock.add(partial);
}
