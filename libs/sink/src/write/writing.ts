/**
 * The phase "writing": rows are filled and written in file order, and amid them checkpoints, flushes of the page cache and
 * the row that is not full yet. If the bytes arrive it lasts until the producer ends, also while there is nothing to write.
 */
import type { RowLease } from '../intake/row-lease.ts';
import type { RowPipeline } from '../rows/pipeline.ts';
import type { OneRow } from '../small/one-row.ts';
import { SYNC_CACHE, SYNC_CHECKPOINT, SYNC_PARTIAL, WRITE_ROW } from '../thread/transfer.ts';
import { NOTHING, PREPARED, SYNCING, type Step, WAITING, asStep } from './phases.ts';
import { shareNext } from './sharing.ts';
import type { WriteState } from './state.ts';

export function prepareWriting(state: WriteState, slot: number): Step {
  const { rows, row, partial, lease } = state.io;
  if (row !== null) return asStep(row.prepare(slot));
  if (rows === null) return shareNext(state);
  if (prepareCacheFlush(rows, slot)) return PREPARED;
  if (rows.holdsRefused) return asStep(rows.prepareRefused(slot));
  if (state.files.trail!.prepare(slot, state.thread, rows)) return PREPARED;
  if (partial?.holdsRows !== true && rows.prepare(slot)) return PREPARED;
  if (partial !== null && state.inFlight === 0 && partial.prepare(slot)) return PREPARED;
  if (lease !== null && !rows.exhausted && needsRows(state, lease)) return WAITING;
  return isOver(state, rows) ? SYNCING : NOTHING; // a producer may end without another row
}

export function completeWriting(
  state: WriteState,
  slot: number,
  result: number,
  refused: boolean,
  latencyMs: number,
): Step {
  const { thread, latencies, io } = state;
  if (io.row !== null) return completeRow(state, io.row, slot, result, refused, latencyMs);
  const rows = io.rows!;
  const purpose = thread.slots.purpose[slot]!;
  if (purpose === SYNC_CHECKPOINT) {
    state.bytesDurable = state.files.trail!.complete(slot, thread, result, refused);
  } else if (purpose === SYNC_CACHE) {
    rows.cache!.after(slot, result, refused, latencyMs);
  } else if (purpose === SYNC_PARTIAL) {
    io.partial!.afterFlush(slot, result, refused);
    state.bytesDurable = Math.max(state.bytesDurable, rows.contiguousBytes);
  } else {
    if (purpose === WRITE_ROW) latencies.record(latencyMs, result);
    if (rows.complete(slot, result, refused, latencyMs)) return PREPARED;
    io.partial?.noteRow();
  }
  return isOver(state, rows) ? SYNCING : NOTHING;
}

/** Of a small file. */
function completeRow(
  { latencies, failed }: WriteState,
  row: OneRow,
  slot: number,
  result: number,
  refused: boolean,
  latencyMs: number,
): Step {
  latencies.record(latencyMs, result);
  if (row.complete(slot, result, refused, latencyMs, failed)) return PREPARED;
  return row.isWritten ? SYNCING : NOTHING;
}

/** True once all is written and reaped. */
const isOver = ({ inFlight }: WriteState, rows: RowPipeline): boolean => inFlight === 0 && rows.exhausted;

/** Prepares the flush of what is in the page cache, if that is due. */
export function prepareCacheFlush({ cache }: RowPipeline, slot: number): boolean {
  if (cache === null || !cache.isDue) return false;
  cache.prepare(slot);
  return true;
}

/**
 * If the bytes arrive, and none can be taken now: gives the row memory back if other writes need it.
 * @returns true if there are bytes, and no rows for them
 */
function needsRows(state: WriteState, lease: RowLease): boolean {
  const { io, thread } = state;
  lease.tend();
  if (state.inFlight === 0 && io.arrivals!.isSettled) {
    const extent = lease.takeBack();
    if (extent !== null) {
      io.extent = null;
      state.uncountSmall();
      thread.rowMemory.release(extent);
      thread.loop.wake(); // a write that waits for it may have been asked before this one in this turn
    }
  }
  return lease.extent === null && state.intake!.ring.wantsRows;
}
