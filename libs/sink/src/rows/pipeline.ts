/**
 * The rows of one write: filled from the source, read from the origin or full of what has arrived, written, and the
 * residual of a short read or write submitted again. One slot carries one row at a time, from its fill to its last
 * byte; rows go out in file order and come back in any.
 */
import { constants } from 'node:os';
import { IoError, RequestError } from '@penstock/contract';
import { SLOT_COMPLETED } from '@penstock/aio';
import { native } from '@penstock/native';
import type { FileDigest } from '@penstock/digest';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { DirectSource } from '@penstock/sources';
import { Arrivals } from './arrivals.ts';
import type { CacheFlush } from './cache-flush.ts';
import { type Span, bytesBehind } from '../target/edges.ts';
import { becomeBuffered } from '../target/become-buffered.ts';
import { isRefusal } from '../device/direct-refused.ts';
import { FreeRows } from './free-rows.ts';
import { HeldMoves } from './held-moves.ts';
import { RowFlow } from './row-flow.ts';
import type { RowStock } from './row-stock.ts';
import type { RowRoom } from '../space/growth.ts';
import { type Origin, changed, readRefused } from '../origin/origin.ts';
import type { Pace } from './pace.ts';
import { type Alignment, statFd } from '@penstock/disk';
import type { Target } from '../target/target.ts';
import { READ_PREFIX, READ_ROW, WRITE_ROW, type WriterThread } from '../thread/thread.ts';

const { EFAULT, EIO, ENXIO } = constants.errno;

/** Short reads or writes in a row, none of them a whole block, before a row counts as stuck. */
export const STALLS_MAX = 8;

/**
 * What a large write keeps in flight while small files are written on its thread: what they submit waits behind it in
 * the device, several times for each file (its bytes, its flush, the queue's own flushes). Measured with 64 small files
 * at once beside writes of 32 MiB in flight: twice the files, for a fifth of the large writes' throughput.
 */
const IN_FLIGHT_BYTES_BESIDE_SMALL = 4_194_304;

/** Where the bytes come from: computed, or read from a file, whose holes may be passed over, or arriving in the rows. */
export type RowSource =
  | { source: DirectSource; origin: null; arrivals: null }
  | { source: null; origin: Origin; keepsHoles: boolean; arrivals: null }
  | { source: null; origin: null; arrivals: Arrivals };

/**
 * Where the bytes go. Positions of rows count from the first block of the span: the write's own bytes begin at
 * `span.headBytes` and are `size`, of which an earlier attempt has written the first `writtenBytes`.
 */
export interface RowPlace {
  span: Span;
  /** null where only the end of what arrives will tell. */
  size: number | null;
  /** Makes room ahead of the rows; null where all of it is there already. */
  growth: RowRoom | null;
  /** span.headBytes + writtenBytes is a multiple of the offset alignment, unless it is 0, or the whole size. */
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
  readonly #arrivals: Arrivals | null;
  readonly #keepsHoles: boolean;
  readonly #span: Span;
  readonly #growth: RowRoom | null;
  /** What the bytes come to, if it was said beforehand. */
  readonly #declaredSize: number | null;
  /** The position behind the last byte; Infinity while nobody knows. */
  #end: number;
  readonly #plan: RowPlan;
  readonly #pace: Pace;
  readonly #flow: RowFlow;
  /** null while a producer has brought nothing and the rows are others'. */
  #extent: RowExtent | null;
  readonly #stock: RowStock;
  /** What sums up the rows, where a sum or a readback was asked for. */
  readonly #digest: FileDigest | null;
  /** Rows that may be in flight while small files are written beside them. */
  readonly #rowsBesideSmall: number;
  /** By row: 1 where it carries what does not depend on the position. */
  readonly #rowPrepared: Uint8Array;
  /** By row: the position that it carries; Infinity once that is in the file. */
  readonly #rowPosition: Float64Array;
  /** Where the next row goes: everything before is in flight, written or a hole. Never inside a hole that is kept. */
  #nextPosition = 0;
  /** Where what an earlier attempt wrote ends, if it has to be read for the digest; else 0. */
  readonly #prefixEnd: number;
  /** Bytes that an earlier attempt wrote. */
  readonly #writtenBefore: number;
  /** iocbs of the target in flight. */
  #targetInFlight = 0;
  readonly #held: HeldMoves = new HeldMoves();
  /** Where the data around #nextPosition ends: a row goes no further. */
  #dataEnd: number;
  #stopped = false;
  /** Takes writes of any length: the last row goes there without padding, if nothing else is in flight. -1: none. */
  bufferedFd = -1;
  /** What is in the page cache, of a write that may go there and is flushed in the end. */
  cache: CacheFlush | null = null;
  /** Bytes of the next row that went into the file before it was full; what appends only must not write them again. */
  writtenAhead = 0;

  /**
   * @param extent row memory for `plan`, the pipeline's until nothing of it is in flight any more; null: by takeAgain()
   * @param pace asked before each row
   */
  constructor(
    thread: WriterThread,
    target: Target,
    from: RowSource,
    place: RowPlace,
    plan: RowPlan,
    extent: RowExtent | null,
    digest: FileDigest | null,
    pace: Pace,
  ) {
    this.#pace = pace;
    this.#flow = flowOf(thread, target, from.origin);
    this.#thread = thread;
    this.#target = target;
    this.#source = from.source;
    this.#origin = from.origin;
    this.#arrivals = from.arrivals;
    this.#span = place.span;
    this.#growth = place.growth;
    this.#declaredSize = place.size;
    this.#end = place.span.headBytes + (place.size ?? Number.POSITIVE_INFINITY);
    this.#dataEnd = this.#end;
    this.#plan = plan;
    this.#extent = extent;
    this.#digest = digest;
    this.#stock = from.arrivals ?? new FreeRows(plan.bufferRows, digest);
    this.#rowPrepared = new Uint8Array(plan.bufferRows);
    this.#rowPosition = new Float64Array(plan.bufferRows).fill(Number.POSITIVE_INFINITY);
    this.#writtenBefore = place.writtenBytes;
    this.bytesWritten = place.writtenBytes;
    const resumesAt = place.writtenBytes > 0 ? place.span.headBytes + place.writtenBytes : 0;
    // A sum is of all bytes: those of the earlier attempt are read first.
    this.#prefixEnd = digest === null ? 0 : resumesAt;
    if (this.#prefixEnd > 0) this.#dataEnd = this.#prefixEnd;
    else if (resumesAt > 0) this.#nextPosition = resumesAt;
    else if (place.size === 0 && from.arrivals === null) this.#nextPosition = this.#end;
    this.#rowsBesideSmall = Math.max(2, Math.floor(IN_FLIGHT_BYTES_BESIDE_SMALL / plan.ioBytes));
    this.#keepsHoles = from.origin !== null && from.keepsHoles;
    if (this.#keepsHoles && this.#prefixEnd === 0) this.#passHole(from.origin!);
  }

  /** True once every row has been prepared: with nothing in flight, the file is written. */
  get exhausted(): boolean {
    return this.#held.isEmpty && this.#isPrepared;
  }

  get #isPrepared(): boolean {
    return this.#arrivals === null ? this.#nextPosition >= this.#end : this.#arrivals.exhausted;
  }

  /** Once all is written: what the bytes have come to. @throws RequestError where that is less than was declared */
  settle(): number {
    if (this.#arrivals === null) return this.#end - this.#span.headBytes;
    const arrived = Math.max(0, this.#nextPosition - this.#span.headBytes);
    if (this.#declaredSize !== null && arrived !== this.#declaredSize) throw this.#unlike(`${arrived}`);
    return arrived;
  }

  #unlike(arrived: string): RequestError {
    const accepted = `what arrives, or leave it out: it was ${arrived} bytes`;
    return new RequestError({ field: 'size', value: this.#declaredSize, accepted });
  }

  /** Bytes from the start of the write without a gap whose writes are reaped. */
  get contiguousBytes(): number {
    let position = this.#nextPosition;
    for (const carried of this.#rowPosition) if (carried < position) position = carried;
    return Math.max(this.#writtenBefore, position - this.#span.headBytes);
  }

  /** Where the next row goes. */
  get nextPosition(): number {
    return this.#nextPosition;
  }

  /** Prepares no more; what is in flight is only taken back. */
  stop(): void {
    this.#stopped = true;
  }

  /** True if neither the kernel nor the digest has a row. */
  get isDrained(): boolean {
    return this.#stock.allFree;
  }

  /** Goes on with other row memory for the same plan. */
  takeAgain(extent: RowExtent): void {
    this.#extent = extent;
    this.#rowPrepared.fill(0); // it carries whatever its last owner wrote
  }

  /** True while rows are held that direct I/O was refused for: until they are written, no other is begun. */
  get holdsRefused(): boolean {
    return !this.#held.isEmpty;
  }

  /** Once nothing of the file is in flight: goes on through the page cache, with what was held first. @throws IoError */
  prepareRefused(slot: number): boolean {
    if (this.#stopped) return false;
    if (this.#target.direct) {
      if (this.#targetInFlight > 0) return false;
      becomeBuffered(this.#target, this.#thread.refusingDevices);
    }
    const pieceBytes = this.#flow.admit();
    if (pieceBytes === 0) return false;
    const { slots } = this.#thread;
    this.#held.putBack(slots, slot);
    this.#flow.begin(slot, slots.length[slot]!, pieceBytes, false);
    this.#submitRest(slot);
    return true;
  }

  /** Prepares the next row into `slot`; false when all are prepared, every row is in flight, or it is too early. */
  prepare(slot: number): boolean {
    if (this.#stopped || this.exhausted) return false;
    const { slots, smallWrites } = this.#thread;
    const row = this.#stock.peek(smallWrites > 0 ? this.#rowsBesideSmall : this.#plan.bufferRows);
    if (row === -1) return false;
    const pieceBytes = this.#flow.admit();
    if (pieceBytes === 0) return false;
    const position = this.#nextPosition;
    // No longer than a piece, or what is begun would go on for all of it: only what has arrived is as long as it is.
    const rowBytes = Math.min(this.#plan.ioBytes, pieceBytes);
    const wanted = this.#arrivals?.peekedBytes ?? Math.min(rowBytes, this.#dataEnd - position);
    // What has arrived in a row goes as a whole; what is only read back is not limited.
    const length = position < this.#prefixEnd ? wanted : this.#pace.admit(wanted, this.#arrivals === null);
    if (length === 0) return false;
    this.#stock.take();
    this.#nextPosition += length;
    if (this.#arrivals !== null) this.#watchEnd(this.#arrivals);
    slots.row[slot] = row;
    slots.position[slot] = position;
    this.#rowPosition[row] = position;
    if (position < this.#prefixEnd) {
      // It may end inside a block, with the write itself: whole blocks are read, and what is behind it ignored.
      this.#begin(slot, READ_PREFIX, roundUp(length, this.#target.alignment.offset), pieceBytes);
      if (this.#nextPosition === this.#prefixEnd) this.#endPrefix();
    } else if (this.#origin === null) {
      if (this.#source !== null) this.#fill(this.#source, row, length, position);
      this.#beginWrite(slot, row, length, pieceBytes);
    } else if (this.#origin.mapping !== null && length % this.#target.alignment.offset === 0) {
      this.#begin(slot, WRITE_ROW, length, pieceBytes); // from where it stands
    } else {
      const wholeBytes = roundUp(length - this.#headOf(position), this.#origin.alignment.offset);
      this.#begin(slot, READ_ROW, wholeBytes, pieceBytes);
      // At once, not when the next row is wanted: with a hole at its end the file is exhausted now.
      if (this.#nextPosition === this.#dataEnd && !this.exhausted) this.#passHole(this.#origin);
    }
    return true;
  }

  /** After a row has arrived. @throws RequestError where that is more than was declared: room is there for no more */
  #watchEnd(arrivals: Arrivals): void {
    const arrived = this.#nextPosition - this.#span.headBytes;
    if (this.#declaredSize === null) {
      if (arrivals.exhausted) this.#end = this.#nextPosition;
    } else if (arrived > this.#declaredSize) {
      throw this.#unlike(`${arrived} or more`);
    }
  }

  /** From here on new rows are written. */
  #endPrefix(): void {
    this.#dataEnd = this.#end;
    if (this.#keepsHoles && !this.exhausted) this.#passHole(this.#origin!);
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
    this.#digest?.addHole(from, start);
    this.#nextPosition = start;
    this.#dataEnd = end;
  }

  /**
   * Takes the completion of a row's slot. True if the slot was prepared again (a residual, or the write of a row that
   * was read); otherwise it is released.
   * @throws IoError where the row failed; its slot is released
   */
  complete(slot: number, result: number, refused: boolean, latencyMs: number): boolean {
    const purpose = this.#thread.slots.purpose[slot];
    // What goes to the page cache comes back before the disk has it: that is no measure of the disk.
    const isMeasured = !refused && (this.cache?.isUsed !== true || purpose !== WRITE_ROW);
    if (isMeasured) this.#flow.cameBack(slot, result, latencyMs);
    const reading = purpose !== WRITE_ROW;
    if (purpose !== READ_ROW) this.#targetInFlight -= 1;
    if (result < 0) {
      if (!this.#stopped && this.#isRefusedDirect(slot, result)) return this.#goOnBuffered(slot);
      if (result === -EFAULT) this.#assertNotCut(slot);
      const failure = this.#failure(slot, reading ? 'pread' : 'pwrite', result);
      this.#releaseRow(slot);
      throw refused ? new IoError({ ...failure, syscall: 'io_submit' }) : new IoError(failure);
    }
    if (this.#stopped) {
      if (purpose === WRITE_ROW && this.#isWhole(slot, result)) this.#noteWritten(slot);
      this.#releaseRow(slot);
      return false;
    }
    try {
      if (purpose === READ_PREFIX) return this.#afterPrefix(slot, result);
      return reading ? this.#afterRead(slot, result) : this.#afterWrite(slot, result);
    } catch (error) {
      // What it has in flight is counted for all writes to the device.
      if (this.#thread.engine.stateOf(slot) === SLOT_COMPLETED) this.#releaseRow(slot);
      throw error;
    }
  }

  /** True where the slot's file was open for direct I/O as it was submitted, and that is what was refused. */
  #isRefusedDirect(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    if (slots.direct[slot] === 0) return false;
    const { alignment } = slots.purpose[slot] === READ_ROW ? this.#origin! : this.#target;
    const length = slots.length[slot]! - slots.done[slot]!;
    return isRefusal(result, alignment, this.#addressOf(slot), this.#diskOffset(slot), length);
  }

  /** A read of the source is tried again at once; what is the target's waits for all that is in flight there. */
  #goOnBuffered(slot: number): boolean {
    if (this.#thread.slots.purpose[slot] !== READ_ROW) return this.#hold(slot);
    readRefused(this.#origin!, this.#thread.refusingDevices);
    this.#submitRest(slot);
    return true;
  }

  #hold(slot: number): false {
    const { slots, engine } = this.#thread;
    this.#held.hold(slots, slot);
    this.#flow.end(slot);
    engine.releaseSlot(slot);
    return false;
  }

  #fill(source: DirectSource, row: number, length: number, position: number): void {
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

  /** Prepares the write of a row's `length` bytes, padded to what the disk takes where it must be; the file is cut to size later. */
  #beginWrite(slot: number, row: number, length: number, pieceBytes: number): boolean {
    const { arena, slots } = this.#thread;
    const position = slots.position[slot]!;
    const isExact = this.bufferedFd >= 0 && this.#isAlone(position);
    const padded = isExact ? length : roundUp(length, this.#target.alignment.offset);
    const start = this.#rowStart(row);
    const { head } = this.#span;
    if (head !== null && position === 0) arena.bytes.set(head, start);
    // Another write's bytes must not reach the disk, not even until the truncate.
    if (padded > length) this.#pad(start + length, start + padded);
    this.#growth?.reach(position + padded, this.#end, this);
    this.#addToDigest(slot, length);
    return this.#begin(slot, WRITE_ROW, padded, pieceBytes);
  }

  /**
   * True if all before it is written: amid direct writes the page cache could keep, and write back, what stood before
   * them in the page that it shares with them.
   */
  #isAlone(position: number): boolean {
    for (const carried of this.#rowPosition) if (carried < position) return false;
    return true;
  }

  /** Behind the last byte: what stands there in the file, or zeros. */
  #pad(start: number, end: number): void {
    const { bytes } = this.#thread.arena;
    bytes.fill(0, start, end);
    const { fd, path, keepsRest, existingBytes, alignment } = this.#target;
    if (!keepsRest) return;
    bytes.set(bytesBehind(fd, path, this.#span.start + this.#end, existingBytes, alignment.offset), start);
  }

  /** The write's own bytes of the slot's row, of `length` from its start, which keep as they are until they are summed up. */
  #addToDigest(slot: number, length: number): void {
    if (this.#digest === null) return;
    const { slots } = this.#thread;
    const row = slots.row[slot]!;
    const position = slots.position[slot]!;
    const headBytes = this.#headOf(position);
    this.#digest.add(row, this.#rowStart(row) + headBytes, length - headBytes, position + headBytes);
  }

  /**
   * False where the row is held instead, as direct I/O was refused for others.
   * @param pieceBytes what of it may go at once; 0 for the write of a row that was read: as for its read
   */
  #begin(slot: number, purpose: number, length: number, pieceBytes: number): boolean {
    const { slots } = this.#thread;
    if (pieceBytes > 0) this.#flow.begin(slot, length, pieceBytes, purpose === READ_ROW);
    slots.purpose[slot] = purpose;
    slots.length[slot] = length;
    slots.done[slot] = 0;
    slots.stalls[slot] = 0;
    if (purpose === WRITE_ROW) this.#takeAhead(slot);
    if (purpose === WRITE_ROW && !this.#held.isEmpty) return this.#hold(slot);
    this.#submitRest(slot);
    return true;
  }

  /** Of a file that is only appended to, what stands there already of the slot's row. */
  #takeAhead(slot: number): void {
    const { slots } = this.#thread;
    const ahead = Math.min(slots.length[slot]!, this.writtenAhead);
    if (this.#target.appendsOnly && ahead > 0) {
      slots.done[slot] = ahead;
      this.bytesWritten += Math.max(0, ahead - this.#headOf(slots.position[slot]!));
    }
    this.writtenAhead -= ahead; // more than 0 is left behind a row that was cut off for itself
  }

  /** Prepares what is left of the slot's read or write. */
  #submitRest(slot: number): void {
    const { engine, slots } = this.#thread;
    const length = this.#flow.next(slot, slots.length[slot]! - slots.done[slot]!);
    const address = this.#addressOf(slot);
    const offset = this.#diskOffset(slot);
    if (slots.purpose[slot] === READ_ROW) {
      const { fd, direct } = this.#origin!;
      slots.direct[slot] = direct ? 1 : 0;
      engine.prepRead(slot, fd, address, length, offset);
      return;
    }
    const { fd, direct, alignment } = this.#target;
    const isAligned = slots.length[slot]! % alignment.offset === 0;
    this.#targetInFlight += 1;
    slots.direct[slot] = direct && isAligned ? 1 : 0;
    if (slots.purpose[slot] === READ_PREFIX) engine.prepRead(slot, fd, address, length, offset);
    else engine.prepWrite(slot, isAligned ? fd : this.bufferedFd, address, length, offset);
  }

  /** Where what is left of the slot's row stands in memory. */
  #addressOf(slot: number): number {
    const { slots, arena } = this.#thread;
    const done = slots.done[slot]!;
    const position = slots.position[slot]!;
    if (this.#isMapped(slot)) {
      const { mapping, start } = this.#origin!;
      return mapping!.address + start + position + done;
    }
    const headBytes = slots.purpose[slot] === READ_ROW ? this.#headOf(position) : 0;
    return arena.address + this.#rowStart(slots.row[slot]!) + headBytes + done;
  }

  /** Where what is left of it goes in the target, or stands in the source. */
  #diskOffset(slot: number): number {
    const { slots } = this.#thread;
    const start = slots.purpose[slot] === READ_ROW ? this.#origin!.start : 0;
    return start + this.#fileOffset(slot) + slots.done[slot]!;
  }

  /** Where the slot's first byte is written in the target, or read in the source. */
  #fileOffset(slot: number): number {
    const { position, purpose } = this.#thread.slots;
    if (purpose[slot] !== READ_ROW) return this.#span.start + position[slot]!;
    return Math.max(0, position[slot]! - this.#span.headBytes);
  }

  /** True for the write of a row that stands in the origin's mapping: any but one that is padded. */
  #isMapped(slot: number): boolean {
    const { slots } = this.#thread;
    const mapped = this.#origin !== null && this.#origin.mapping !== null && slots.purpose[slot] === WRITE_ROW;
    return mapped && slots.position[slot]! + slots.length[slot]! <= this.#end;
  }

  /** Of a write that the kernel could not read its memory for. @throws IoError where that is because the segment was cut */
  #assertNotCut(slot: number): void {
    if (!this.#isMapped(slot)) return;
    const { slots } = this.#thread;
    const origin = this.#origin!;
    const { sizeBytes } = statFd(origin.fd, origin.path);
    if (sizeBytes >= origin.start + slots.position[slot]! + slots.length[slot]!) return;
    this.#releaseRow(slot);
    throw changed(origin, sizeBytes);
  }

  #isWhole(slot: number, result: number): boolean {
    const { length, done } = this.#thread.slots;
    return result >= length[slot]! - done[slot]!;
  }

  /**
   * The slot's row is in the file. Of a row that failed, or was only read when the write was stopped, this is never
   * said: a checkpoint must not reach beyond it.
   */
  #noteWritten(slot: number): void {
    this.#rowPosition[this.#thread.slots.row[slot]!] = Number.POSITIVE_INFINITY;
  }

  #afterWrite(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    this.writes += 1;
    const position = slots.position[slot]!;
    const before = Math.max(slots.done[slot]!, this.#headOf(position));
    if (!this.#isWhole(slot, result)) {
      if (!this.#flow.isPiece(slot, result)) this.shortWrites += 1;
      this.#goOn(slot, result, this.#target.alignment, 'pwrite');
      const done = slots.done[slot]!;
      this.#rowPosition[slots.row[slot]!] = position + done;
      this.#countWritten(Math.max(done, before) - before);
      return true;
    }
    this.#noteWritten(slot);
    this.#releaseRow(slot);
    this.#countWritten(Math.min(slots.length[slot]!, this.#end - position) - before);
    return false;
  }

  #countWritten(bytes: number): void {
    this.bytesWritten += bytes;
    this.cache?.note(bytes);
  }

  /** A row of what an earlier attempt wrote: it is only summed up. */
  #afterPrefix(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    const wanted = Math.min(slots.length[slot]!, this.#prefixEnd - slots.position[slot]!);
    this.reads += 1;
    if (slots.done[slot]! + result < wanted) {
      this.#goOn(slot, result, this.#target.alignment, 'pread');
      return true;
    }
    this.#addToDigest(slot, wanted);
    this.#noteWritten(slot);
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
      this.#flow.endRead(slot);
      return this.#beginWrite(slot, slots.row[slot]!, headBytes + wanted, 0);
    }
    if (this.#flow.isPiece(slot, result)) {
      this.#goOn(slot, result, origin.alignment, 'pread');
      return true;
    }
    // A short read is the end of the file, or the kernel's whim: only the file knows.
    if (statFd(origin.fd, origin.path).sizeBytes <= origin.start + position + done) {
      this.#releaseRow(slot);
      throw changed(origin, origin.start + position + done);
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
    this.#flow.end(slot);
    this.#stock.put(this.#thread.slots.row[slot]!);
    this.#thread.engine.releaseSlot(slot);
  }

  #rowStart(row: number): number {
    // Beside a mapping the one row in memory is for the padded end of the file.
    if (this.#origin !== null && this.#origin.mapping !== null) return this.#extent!.start;
    return this.#extent!.start + row * this.#plan.rowStride;
  }
}

/** A mapped origin is memory, and waits for no device. */
function flowOf(thread: WriterThread, target: Target, origin: Origin | null): RowFlow {
  const { flows } = thread;
  const read = origin === null || origin.mapping !== null ? null : origin;
  const { offset, memory } = target.alignment;
  const alignBytes = Math.max(offset, memory, read?.alignment.offset ?? 1, read?.alignment.memory ?? 1);
  return new RowFlow(thread, flows.of(target.identity), read === null ? null : flows.of(read.identity), alignBytes);
}

const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;
