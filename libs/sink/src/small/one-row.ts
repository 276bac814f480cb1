/**
 * The bytes of a file of up to 1 MiB whose bytes are computed: one row, filled and submitted as soon as the file is open. It
 * does what a RowPipeline does for many (rows/pipeline.ts), by the same transfers, and makes none of what those need.
 */
import type { DirectSource } from '@penstock/sources';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import { roundUp } from '@penstock/native';
import { RowTransfers } from '../rows/row-transfers.ts';
import type { Target } from '../target/target.ts';
import { becomeBuffered } from '../target/become-buffered.ts';
import type { WriterThread } from '../thread/thread.ts';
import { WRITE_ROW } from '../thread/transfer.ts';

/** The largest file of one row: an iocb of it is admitted on any device that is not slow. */
export const ONE_ROW_BYTES_MAX = 1_048_576;

/** The row, from its bytes to their completion. */
export class OneRow {
  readonly #thread: WriterThread;
  readonly #target: Target;
  readonly #source: DirectSource;
  readonly #sizeBytes: number;
  readonly #rowBytes: number;
  readonly #transfers: RowTransfers;
  readonly extent: RowExtent;
  #isBegun = false;
  /** Bytes of the file that are written. */
  bytesWritten = 0;
  writes = 0;
  shortWrites = 0;

  private constructor(
    thread: WriterThread,
    target: Target,
    source: DirectSource,
    sizeBytes: number,
    rowBytes: number,
    transfers: RowTransfers,
    extent: RowExtent,
  ) {
    this.#thread = thread;
    this.#target = target;
    this.#source = source;
    this.#sizeBytes = sizeBytes;
    this.#rowBytes = rowBytes;
    this.#transfers = transfers;
    this.extent = extent;
  }

  /** With row memory, which is free at once; null if the write has to stand in line for it, or its device takes no more now. */
  static take(
    thread: WriterThread,
    target: Target,
    source: DirectSource,
    sizeBytes: number,
    plan: RowPlan,
  ): OneRow | null {
    const transfers = new RowTransfers(thread, target, null);
    if (transfers.admit() < plan.ioBytes) return null;
    const extent = thread.rowMemory.takeSpare(plan.rowStride);
    return extent === null ? null : new OneRow(thread, target, source, sizeBytes, plan.ioBytes, transfers, extent);
  }

  /** Prepares the row in `slot`, or what is left of it if it was refused; false if it is under way. @throws IoError */
  prepare(slot: number): boolean {
    if (this.#transfers.areHeld) {
      if (this.#target.direct) becomeBuffered(this.#target, this.#thread.refusingDevices);
      return this.#transfers.submitHeld(slot);
    }
    if (this.#isBegun) return false;
    this.#isBegun = true;
    const { arena, slots } = this.#thread;
    const { start } = this.extent;
    const size = this.#sizeBytes;
    const padded = roundUp(size, this.#target.alignment.offset);
    this.#source.prepareRow(arena.bytes, start, this.#rowBytes);
    if (!this.#source.constant) this.#source.fill(arena.bytes, start, size, 0);
    this.#thread.loop.filled(size);
    // Another write's bytes must not reach the disk, not even until the truncate.
    if (padded > size) arena.bytes.fill(0, start + size, start + padded);
    slots.carry(slot, 0, 0);
    this.#transfers.begin(slot, WRITE_ROW, arena.address + start, 0, padded, padded);
    this.#transfers.submit(slot);
    return true;
  }

  /**
   * Takes the completion of its slot.
   * @param failed true if the write has failed meanwhile: nothing is prepared any more
   * @returns true if the slot was prepared again; else it is released
   * @throws IoError if the row failed; its slot is released
   */
  complete(slot: number, result: number, refused: boolean, latencyMs: number, failed: boolean): boolean {
    const { slots } = this.#thread;
    const transfers = this.#transfers;
    transfers.cameBack(slot, result, latencyMs, !refused);
    if (result < 0) {
      if (!failed && transfers.isRefusedDirect(slot, result)) return transfers.takeRefusal(slot);
      const error = transfers.errorOf(slot, result, refused);
      transfers.release(slot);
      throw error;
    }
    this.writes += 1;
    if (!slots.isWhole(slot, result)) {
      this.shortWrites += 1;
      if (failed) transfers.release(slot);
      else this.#goOn(slot, result);
      return !failed;
    }
    this.bytesWritten = this.#sizeBytes;
    transfers.release(slot);
    return false;
  }

  #goOn(slot: number, result: number): void {
    try {
      this.#transfers.continueShort(slot, result);
    } catch (error) {
      this.#transfers.release(slot);
      throw error;
    }
  }

  /** True once all of it is written. */
  get isWritten(): boolean {
    return this.bytesWritten === this.#sizeBytes;
  }
}
