/**
 * The rows of one write: taken from the arena, filled from the source (or read from the origin), written, and the
 * residual of a short read or write submitted again. One slot carries one row at a time, from its fill to its last
 * byte; rows go out in file order and come back in any.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { native } from '@penstock/aio';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { DirectSource } from '@penstock/sources';
import { type Span, bytesBehind } from './edges.ts';
import { type Origin, changed } from './origin.ts';
import type { Pace } from './pace.ts';
import { type Alignment, statFd } from './stat.ts';
import type { Target } from './target.ts';
import { READ_ROW, WRITE_ROW, type WriterThread } from './thread.ts';

const { EIO, ENXIO } = constants.errno;

/** Short reads or writes in a row, none of them a whole block, before a row counts as stuck. */
const STALLS_MAX = 8;

/**
 * What a large write keeps in flight while small files are written on its thread: what they submit waits behind it in
 * the device, several times for each file (its bytes, its flush, the queue's own flushes). Measured with 64 small files
 * at once beside writes of 32 MiB in flight: twice the files, for a fifth of the large writes' throughput.
 */
const IN_FLIGHT_BYTES_BESIDE_SMALL = 4_194_304;

/** Where the bytes come from: computed, or read from a file, whose holes may be passed over. */
export type RowSource = { source: DirectSource; origin: null } | { source: null; origin: Origin; keepsHoles: boolean };

/**
 * Where the bytes go. Positions of rows count from the first block of the span: the write's own bytes begin at
 * `span.headBytes` and are `size`, of which an earlier attempt has written the first `writtenBytes`.
 */
export interface RowPlace {
  span: Span;
  size: number;
  /** span.headBytes + writtenBytes is a multiple of the offset alignment, unless it is 0. */
  writtenBytes: number;
}

export class RowPipeline {
  /** Bytes of the file whose writes are reaped, and of the holes passed over. */
  bytesWritten = 0;
  holeBytes = 0;
  /** Writes and reads reaped so far, and how many of the writes were short. */
  writes = 0;
  reads = 0;
  shortWrites = 0;

  readonly #thread: WriterThread;
  readonly #target: Target;
  readonly #source: DirectSource | null;
  readonly #origin: Origin | null;
  readonly #span: Span;
  /** The position behind the last byte. */
  readonly #end: number;
  readonly #plan: RowPlan;
  readonly #pace: Pace;
  #extent: RowExtent;
  /** Rows that no slot carries, the last one first. */
  readonly #freeRows: Int32Array;
  #freeRowCount: number;
  /** Rows that may be in flight while small files are written beside them. */
  readonly #rowsBesideSmall: number;
  /** By row: 1 where it carries what does not depend on the position. */
  readonly #rowPrepared: Uint8Array;
  /** By row: the position that it carries; Infinity where no slot carries it. */
  readonly #rowPosition: Float64Array;
  /** Where the next row goes: everything before is in flight, written or a hole. Never inside a hole that is kept. */
  #nextPosition = 0;
  /** Where the data around #nextPosition ends: a row goes no further. */
  #dataEnd: number;
  #stopped = false;

  /**
   * @param extent row memory for `plan`, the pipeline's until release()
   * @param pace asked before each row
   */
  constructor(
    thread: WriterThread,
    target: Target,
    from: RowSource,
    place: RowPlace,
    plan: RowPlan,
    extent: RowExtent,
    pace: Pace,
  ) {
    this.#pace = pace;
    this.#thread = thread;
    this.#target = target;
    this.#source = from.source;
    this.#origin = from.origin;
    this.#span = place.span;
    this.#end = place.span.headBytes + place.size;
    this.#dataEnd = this.#end;
    this.#plan = plan;
    this.#extent = extent;
    this.bytesWritten = place.writtenBytes;
    if (place.writtenBytes > 0) this.#nextPosition = place.span.headBytes + place.writtenBytes;
    else if (place.size === 0) this.#nextPosition = this.#end;
    const rows = plan.bufferRows;
    this.#rowPrepared = new Uint8Array(rows);
    this.#rowPosition = new Float64Array(rows).fill(Number.POSITIVE_INFINITY);
    this.#freeRows = Int32Array.from({ length: rows }, (_, index) => rows - 1 - index);
    this.#freeRowCount = rows;
    this.#rowsBesideSmall = Math.max(2, Math.floor(IN_FLIGHT_BYTES_BESIDE_SMALL / plan.ioBytes));
    if (from.origin !== null && from.keepsHoles) this.#passHole(from.origin);
  }

  /** True once every row has been prepared: with nothing in flight, the file is written. */
  get exhausted(): boolean {
    return this.#nextPosition >= this.#end;
  }

  /** Bytes from the start of the write without a gap whose writes are reaped. */
  get contiguousBytes(): number {
    let position = this.#nextPosition;
    for (const carried of this.#rowPosition) if (carried < position) position = carried;
    return Math.max(0, position - this.#span.headBytes);
  }

  /** Prepares no more; what is in flight is only taken back. */
  stop(): void {
    this.#stopped = true;
  }

  /** Gives the row memory back. Nothing may be in flight. */
  release(): void {
    this.#thread.rowMemory.release(this.#extent);
  }

  /** Goes on after release() with other row memory for the same plan. */
  takeAgain(extent: RowExtent): void {
    this.#extent = extent;
    this.#rowPrepared.fill(0); // it carries whatever its last owner wrote
  }

  /** Prepares the next row into `slot`; false when all are prepared, every row is in flight, or it is too early. */
  prepare(slot: number): boolean {
    if (this.#stopped || this.exhausted || this.#freeRowCount === 0) return false;
    const { slots, smallWrites } = this.#thread;
    if (smallWrites > 0 && this.#plan.bufferRows - this.#freeRowCount >= this.#rowsBesideSmall) return false;
    const position = this.#nextPosition;
    const length = this.#pace.admit(Math.min(this.#plan.ioBytes, this.#dataEnd - position));
    if (length === 0) return false;
    this.#freeRowCount -= 1;
    const row = this.#freeRows[this.#freeRowCount]!;
    this.#nextPosition += length;
    slots.row[slot] = row;
    slots.position[slot] = position;
    this.#rowPosition[row] = position;
    if (this.#origin === null) {
      this.#fill(row, length, position);
      this.#beginWrite(slot, row, length);
    } else {
      this.#begin(slot, READ_ROW, roundUp(length - this.#headOf(position), this.#origin.alignment.offset));
      // At once, not when the next row is wanted: with a hole at its end the file is exhausted now.
      if (this.#nextPosition === this.#dataEnd && !this.exhausted) this.#passHole(this.#origin);
    }
    return true;
  }

  /**
   * Moves on to the next data of the origin and finds its end, both widened to what direct I/O takes: two lseeks an
   * extent. What is passed over is not written, and so stays a hole.
   */
  #passHole(origin: Origin): void {
    const align = Math.max(origin.alignment.offset, this.#target.alignment.offset);
    const from = this.#nextPosition;
    let start = this.#end;
    let end = this.#end;
    const data = native.lseek(origin.fd, from, native.SEEK_DATA);
    if (data < 0) {
      // No data is left; or the file system cannot tell: all the rest is data, and what else is wrong the read will say.
      if (data !== -ENXIO) start = from;
    } else if (data < this.#end) {
      start = data - (data % align);
      const hole = native.lseek(origin.fd, data, native.SEEK_HOLE);
      if (hole > data) end = Math.min(this.#end, roundUp(hole, align));
    }
    this.holeBytes += start - from;
    this.bytesWritten += start - from;
    this.#nextPosition = start;
    this.#dataEnd = end;
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

  #fill(row: number, length: number, position: number): void {
    const source = this.#source!;
    const { bytes } = this.#thread.arena;
    const start = this.#rowStart(row);
    const headBytes = this.#headOf(position);
    if (headBytes > 0) {
      source.write(bytes, start + headBytes, length - headBytes, 0);
      return;
    }
    if (this.#rowPrepared[row] === 0) {
      source.prepareRow(bytes, start, this.#plan.ioBytes);
      this.#rowPrepared[row] = 1;
    }
    if (!source.constant) source.fill(bytes, start, length, position - this.#span.headBytes);
  }

  /** Bytes at the start of the row at `position` that are not the write's own: of the first row alone. */
  #headOf(position: number): number {
    return position === 0 ? this.#span.headBytes : 0;
  }

  /** Prepares the write of a row's `length` bytes, padded to what the disk takes; the file is cut to size later. */
  #beginWrite(slot: number, row: number, length: number): void {
    const { bytes } = this.#thread.arena;
    const padded = roundUp(length, this.#target.alignment.offset);
    const start = this.#rowStart(row);
    const { head } = this.#span;
    if (head !== null && this.#thread.slots.position[slot] === 0) bytes.set(head, start);
    // Another write's bytes must not reach the disk, not even until the truncate.
    if (padded > length) this.#pad(start + length, start + padded);
    this.#begin(slot, WRITE_ROW, padded);
  }

  /** Behind the last byte: what stands there in the file, or zeros. */
  #pad(start: number, end: number): void {
    const { bytes } = this.#thread.arena;
    bytes.fill(0, start, end);
    const { fd, path, keepsRest, existingBytes, alignment } = this.#target;
    if (!keepsRest) return;
    bytes.set(bytesBehind(fd, path, this.#span.start + this.#end, existingBytes, alignment.offset), start);
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
    const offset = this.#fileOffset(slot) + done;
    if (slots.purpose[slot] === WRITE_ROW) {
      engine.prepWrite(slot, this.#target.fd, address, length, offset);
    } else {
      engine.prepRead(slot, this.#origin!.fd, address + this.#headOf(slots.position[slot]!), length, offset);
    }
  }

  /** Where in its file the slot's first byte is read or written. */
  #fileOffset(slot: number): number {
    const { position, purpose } = this.#thread.slots;
    if (purpose[slot] === WRITE_ROW) return this.#span.start + position[slot]!;
    return Math.max(0, position[slot]! - this.#span.headBytes);
  }

  #afterWrite(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    this.writes += 1;
    if (result < slots.length[slot]! - slots.done[slot]!) {
      this.shortWrites += 1;
      this.#goOn(slot, result, this.#target.alignment, 'pwrite');
      return true;
    }
    const position = slots.position[slot]!;
    this.bytesWritten += Math.min(slots.length[slot]!, this.#end - position) - this.#headOf(position);
    this.#releaseRow(slot);
    return false;
  }

  #afterRead(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    const origin = this.#origin!;
    const headBytes = this.#headOf(slots.position[slot]!);
    const position = this.#fileOffset(slot);
    const wanted = Math.min(slots.length[slot]!, this.#end - this.#span.headBytes - position);
    const done = slots.done[slot]! + result;
    this.reads += 1;
    if (done >= wanted) {
      this.#beginWrite(slot, slots.row[slot]!, headBytes + wanted);
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
    const { path } = slots.purpose[slot] === READ_ROW ? this.#origin! : this.#target;
    return { syscall, errno, path, offset: this.#fileOffset(slot) + done, length: slots.length[slot]! - done };
  }

  #releaseRow(slot: number): void {
    const row = this.#thread.slots.row[slot]!;
    this.#rowPosition[row] = Number.POSITIVE_INFINITY;
    this.#freeRows[this.#freeRowCount] = row;
    this.#freeRowCount += 1;
    this.#thread.engine.releaseSlot(slot);
  }

  #rowStart(row: number): number {
    return this.#extent.start + row * this.#plan.rowStride;
  }
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;
