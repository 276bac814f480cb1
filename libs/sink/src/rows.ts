/**
 * The rows of one write: taken from what brings bytes into them (feed.ts), read first where they come from a file,
 * written, and the residual of a short read or write submitted again. One slot carries one row at a time, from its
 * taking to its last byte; rows go out in file order and come back in any.
 */
import { constants } from 'node:os';
import { setTimeout } from 'node:timers';
import { IoError } from '@penstock/contract';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { RowFeed } from './feed.ts';
import type { Growth } from './growth.ts';
import { changed } from './origin.ts';
import { type Alignment, statFd } from './stat.ts';
import type { Target } from './target.ts';
import { READ_ROW, WRITE_ROW, type WriterThread } from './thread.ts';

const { EIO } = constants.errno;

/** Short reads or writes in a row, none of them a whole block, before a row counts as stuck. */
const STALLS_MAX = 8;

/**
 * What a large write keeps in flight while small files are written on its thread: what they submit waits behind it in
 * the device, several times for each file (its bytes, its flush, the queue's own flushes). Measured with 64 small files
 * at once beside writes of 32 MiB in flight: twice the files, for a fifth of the large writes' throughput.
 */
const IN_FLIGHT_BYTES_BESIDE_SMALL = 4_194_304;

/** A producer on another thread is let finish the copy it has begun, before its row may be another write's. */
const QUIET_LOOK_MS = 5;

export class RowPipeline {
  /** Writes and reads reaped so far, and how many of the writes were short. */
  writes = 0;
  reads = 0;
  shortWrites = 0;

  readonly #thread: WriterThread;
  readonly #target: Target;
  readonly #feed: RowFeed;
  /** null where the file has all its space already. */
  readonly #growth: Growth | null;
  readonly #plan: RowPlan;
  readonly #extent: RowExtent;
  /** Rows that a slot carries. */
  #rowsInUse = 0;
  /** Rows that may be in flight while small files are written beside them. */
  readonly #rowsBesideSmall: number;
  /** Bytes of the file whose writes are reaped. */
  #bytesReaped = 0;
  #stopped = false;

  /** @param extent row memory for `plan`, the pipeline's until release() */
  constructor(
    thread: WriterThread,
    target: Target,
    feed: RowFeed,
    growth: Growth | null,
    plan: RowPlan,
    extent: RowExtent,
  ) {
    this.#thread = thread;
    this.#target = target;
    this.#feed = feed;
    this.#growth = growth;
    this.#plan = plan;
    this.#extent = extent;
    this.#rowsBesideSmall = Math.max(2, Math.floor(IN_FLIGHT_BYTES_BESIDE_SMALL / plan.ioBytes));
  }

  /** Bytes of the file whose writes are reaped, and of the holes passed over. */
  get bytesWritten(): number {
    return this.#bytesReaped + this.#feed.holeBytes;
  }

  get holeBytes(): number {
    return this.#feed.holeBytes;
  }

  /** True once every row has been prepared: with nothing in flight, the file is written. */
  get exhausted(): boolean {
    return this.#feed.exhausted;
  }

  /** Once all is written: the size that the file has come to. @throws RequestError where another was declared */
  settle(): number {
    return this.#feed.settle();
  }

  /** Prepares no more; what is in flight is only taken back. */
  stop(): void {
    this.#stopped = true;
  }

  /** Gives the row memory back. Nothing may be in flight. */
  release(): void {
    this.#feed.close();
    this.#releaseOnceQuiet();
  }

  #releaseOnceQuiet(): void {
    if (this.#feed.quiet) {
      this.#thread.rowMemory.release(this.#extent);
      return;
    }
    setTimeout(() => {
      this.#releaseOnceQuiet();
      this.#thread.loop.wake(); // another write may have waited for these rows
    }, QUIET_LOOK_MS);
  }

  /** Prepares the next row into `slot`; false when there is none now, or none any more. */
  prepare(slot: number): boolean {
    if (this.#stopped) return false;
    const { slots, smallWrites } = this.#thread;
    if (smallWrites > 0 && this.#rowsInUse >= this.#rowsBesideSmall) return false;
    if (!this.#feed.take(slot)) return false;
    this.#rowsInUse += 1;
    const { origin } = this.#feed;
    const length = slots.length[slot]!;
    if (origin === null) this.#beginWrite(slot, length);
    else this.#begin(slot, READ_ROW, roundUp(length, origin.alignment.offset));
    return true;
  }

  /**
   * Takes the completion of a row's slot. True if the slot was prepared again (a residual, or the write of a row that
   * was read); otherwise it is released.
   * @throws IoError where the row failed; its slot is released
   */
  complete(slot: number, result: number, refused: boolean): boolean {
    const reading = this.#thread.slots.purpose[slot] === READ_ROW;
    if (result < 0) {
      const failure = this.#failure(slot, reading ? 'pread' : 'pwrite', result);
      this.#releaseRow(slot);
      throw refused ? new IoError({ ...failure, syscall: 'io_submit' }) : new IoError(failure);
    }
    if (this.#stopped) {
      this.#releaseRow(slot);
      return false;
    }
    return reading ? this.#afterRead(slot, result) : this.#afterWrite(slot, result);
  }

  /** Prepares the write of a row's `length` bytes, padded to what the disk takes; the file is cut to size later. */
  #beginWrite(slot: number, length: number): void {
    const { arena, slots } = this.#thread;
    const padded = roundUp(length, this.#target.alignment.offset);
    if (padded > length) {
      // Another write's bytes must not reach the disk, not even until the truncate.
      const start = this.#rowStart(slots.row[slot]!);
      arena.bytes.fill(0, start + length, start + padded);
    }
    this.#growth?.reach(slots.position[slot]! + padded, this.#feed.size);
    this.#begin(slot, WRITE_ROW, padded);
  }

  #begin(slot: number, purpose: number, length: number): void {
    const { slots } = this.#thread;
    slots.purpose[slot] = purpose;
    slots.length[slot] = length;
    slots.done[slot] = 0;
    slots.stalls[slot] = 0;
    this.#submitRest(slot);
  }

  /** Prepares what is left of the slot's read or write. */
  #submitRest(slot: number): void {
    const { engine, slots, arena } = this.#thread;
    const done = slots.done[slot]!;
    const address = arena.address + this.#rowStart(slots.row[slot]!) + done;
    const length = slots.length[slot]! - done;
    const offset = slots.position[slot]! + done;
    if (slots.purpose[slot] === WRITE_ROW) engine.prepWrite(slot, this.#target.fd, address, length, offset);
    else engine.prepRead(slot, this.#feed.origin!.fd, address, length, offset);
  }

  #afterWrite(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    this.writes += 1;
    if (result < slots.length[slot]! - slots.done[slot]!) {
      this.shortWrites += 1;
      this.#goOn(slot, result, this.#target.alignment, 'pwrite');
      return true;
    }
    // Only the last row is padded, and when that was taken the size was known.
    const size = this.#feed.size ?? Number.POSITIVE_INFINITY;
    this.#bytesReaped += Math.min(slots.length[slot]!, size - slots.position[slot]!);
    this.#releaseRow(slot);
    return false;
  }

  #afterRead(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    const origin = this.#feed.origin!;
    const position = slots.position[slot]!;
    const wanted = Math.min(slots.length[slot]!, this.#feed.size! - position);
    const done = slots.done[slot]! + result;
    this.reads += 1;
    if (done >= wanted) {
      this.#beginWrite(slot, wanted);
      return true;
    }
    // A short read is the end of the file, or the kernel's whim: only the file knows.
    if (statFd(origin.fd, origin.path).sizeBytes <= position + done) {
      this.#releaseRow(slot);
      throw changed(origin, position + done);
    }
    this.#goOn(slot, result, origin.alignment, 'pread');
    return true;
  }

  /** After a short read or write of `result` bytes: submits the residual, from the last aligned offset. */
  #goOn(slot: number, result: number, alignment: Alignment, syscall: string): void {
    const { slots } = this.#thread;
    // Direct I/O must go on at an aligned offset and address: a ragged end is moved again, with the same bytes.
    const progress = result - (result % Math.max(alignment.offset, alignment.memory));
    slots.stalls[slot] = progress > 0 ? 0 : slots.stalls[slot]! + 1;
    if (slots.stalls[slot] === STALLS_MAX) {
      const failure = this.#failure(slot, syscall, -EIO);
      this.#releaseRow(slot);
      const hint = `The kernel moved ${result} of ${failure.length} bytes, ${STALLS_MAX} times, and gave no reason.`;
      throw new IoError({ ...failure, hint });
    }
    slots.done[slot]! += progress;
    this.#submitRest(slot);
  }

  /** What failed in the slot: call, path, and the range that was not moved. */
  #failure(slot: number, syscall: string, errno: number): ConstructorParameters<typeof IoError>[0] {
    const { slots } = this.#thread;
    const done = slots.done[slot]!;
    const { path } = slots.purpose[slot] === READ_ROW ? this.#feed.origin! : this.#target;
    return { syscall, errno, path, offset: slots.position[slot]! + done, length: slots.length[slot]! - done };
  }

  #releaseRow(slot: number): void {
    this.#feed.release(this.#thread.slots.row[slot]!);
    this.#rowsInUse -= 1;
    this.#thread.engine.releaseSlot(slot);
  }

  #rowStart(row: number): number {
    return this.#extent.start + row * this.#plan.rowStride;
  }
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;
