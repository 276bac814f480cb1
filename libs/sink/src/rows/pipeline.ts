/**
 * The rows of one write: taken from its feed, read if they have to be, written, and the residual of a short read or write
 * submitted again. One slot carries one row at a time, from its fill to its last byte; rows go out in file order and come
 * back in any.
 */
import { SLOT_COMPLETED } from '@penstock/aio';
import { roundUp } from '@penstock/native';
import type { FileDigest } from '@penstock/digest';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { Span } from '../target/edges.ts';
import { becomeBuffered } from '../target/become-buffered.ts';
import type { RowRoom } from '../space/growth.ts';
import { assertReaches } from '../origin/origin.ts';
import type { Target } from '../target/target.ts';
import type { WriterThread } from '../thread/thread.ts';
import { READ_PREFIX, READ_ROW, WRITE_ROW } from '../thread/transfer.ts';
import type { CacheFlush } from './cache-flush.ts';
import type { RowFeed } from './feed.ts';
import { FreeRows, type RowStock } from './free-rows.ts';
import type { Pace } from './pace.ts';
import { PrefixFeed } from './prefix.ts';
import { RowBytes } from './row-bytes.ts';
import { RowTransfers } from './row-transfers.ts';

/**
 * What a large write keeps in flight while small files are written on its thread: what they submit waits behind it in
 * the device, several times for each file (its bytes, its flush, the queue's own flushes). Measured with 64 small files
 * at once beside writes of 32 MiB in flight: twice the files, for a fifth of the large writes' throughput.
 */
const IN_FLIGHT_BYTES_BESIDE_SMALL = 4_194_304;

/** What the rows of a write are made of. */
export interface RowPipelineParts {
  thread: WriterThread;
  target: Target;
  feed: RowFeed;
  /** Positions count from its first block: the write's own bytes begin at `span.headBytes`. */
  span: Span;
  /**
   * How many of those an earlier attempt has written. span.headBytes + writtenBytes is a multiple of the offset alignment,
   * unless writtenBytes is 0, or all of them.
   */
  writtenBytes: number;
  /** Makes room ahead of the rows; null if all of it is there already. */
  growth: RowRoom | null;
  plan: RowPlan;
  /** Row memory for `plan`, the pipeline's until nothing of it is in flight any more; null: by takeAgain(). */
  extent: RowExtent | null;
  /** Sums up the rows; null if neither a sum nor a readback was asked for. */
  digest: FileDigest | null;
  /** Asked before each row. */
  pace: Pace;
}

export class RowPipeline {
  /** Bytes of the file whose writes are reaped, and of the holes passed over. */
  bytesWritten: number;
  holeBytes = 0;
  /** Writes and reads reaped so far, and how many of the writes were short. */
  writes = 0;
  reads = 0;
  shortWrites = 0;
  /** What is in the page cache, of a write that may go there and is flushed in the end. */
  cache: CacheFlush | null = null;
  /** Bytes of the next row that went into the file before it was full; what appends only must not write them again. */
  writtenAhead = 0;

  readonly #thread: WriterThread;
  readonly #target: Target;
  readonly #feed: RowFeed;
  /** What an earlier attempt wrote, if it has to be read for the digest. */
  readonly #prefix: PrefixFeed | null;
  readonly #span: Span;
  readonly #growth: RowRoom | null;
  readonly #plan: RowPlan;
  readonly #pace: Pace;
  readonly #transfers: RowTransfers;
  readonly #bytes: RowBytes;
  readonly #stock: RowStock;
  readonly #digest: FileDigest | null;
  /** Rows that may be in flight while small files are written beside them. */
  readonly #rowsBesideSmall: number;
  /** By row: the position that it carries; Infinity once that is in the file. */
  readonly #rowPosition: Float64Array;
  /** Where the next row goes: everything before is in flight, written or a hole. Never inside a hole that is kept. */
  #nextPosition = 0;
  /** Bytes that an earlier attempt wrote. */
  readonly #writtenBefore: number;
  #stopped = false;

  constructor({ thread, target, feed, span, writtenBytes, growth, plan, extent, digest, pace }: RowPipelineParts) {
    this.#thread = thread;
    this.#target = target;
    this.#feed = feed;
    this.#span = span;
    this.#growth = growth;
    this.#plan = plan;
    this.#pace = pace;
    this.#transfers = new RowTransfers(thread, target, feed.origin);
    // Of a mapping only the padded end is read into a row of the arena.
    const rowStride = feed.origin === null || feed.origin.mapping === null ? plan.rowStride : 0;
    this.#bytes = new RowBytes(thread.arena, target, span, rowStride, digest, extent);
    this.#stock = feed.fullRows ?? new FreeRows(plan.bufferRows, digest);
    this.#digest = digest;
    this.#rowsBesideSmall = Math.max(2, Math.floor(IN_FLIGHT_BYTES_BESIDE_SMALL / plan.ioBytes));
    this.#rowPosition = new Float64Array(plan.bufferRows).fill(Number.POSITIVE_INFINITY);
    this.#writtenBefore = writtenBytes;
    this.bytesWritten = writtenBytes;
    // The first row begins with the span's first block, and carries its head; of no bytes there is none.
    const isEmpty = feed.end === span.headBytes && feed.fullRows === null;
    const start = writtenBytes > 0 || isEmpty ? span.headBytes + writtenBytes : 0;
    // A sum is of all bytes: those of the earlier attempt are read first.
    this.#prefix = digest !== null && writtenBytes > 0 ? new PrefixFeed(start) : null;
    if (this.#prefix !== null) return;
    this.#nextPosition = start;
    this.#passHole();
  }

  /** True once every row has been prepared: with nothing in flight, the file is written. */
  get exhausted(): boolean {
    return !this.#transfers.areHeld && this.#feed.isExhausted(this.#nextPosition);
  }

  /** Once all is written: what the bytes have come to. @throws RequestError if that is less than was declared */
  settle(): number {
    const bytes = Math.max(0, this.#nextPosition - this.#span.headBytes);
    this.#feed.assertSize(bytes);
    return bytes;
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

  /** Takes writes of any length: the last row goes there without padding, if nothing else is in flight. -1: none. */
  set bufferedFd(fd: number) {
    this.#transfers.bufferedFd = fd;
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
    this.#bytes.moveTo(extent);
    this.#feed.forgetRows();
  }

  /** True while rows are held that direct I/O was refused for: until they are written, no other is begun. */
  get holdsRefused(): boolean {
    return this.#transfers.areHeld;
  }

  /** Once nothing of the file is in flight: goes on through the page cache, with what was held first. @throws IoError */
  prepareRefused(slot: number): boolean {
    if (this.#stopped) return false;
    if (this.#target.direct) {
      if (this.#transfers.targetInFlight > 0) return false;
      becomeBuffered(this.#target, this.#thread.refusingDevices);
    }
    return this.#transfers.submitHeld(slot);
  }

  /** Prepares the next row into `slot`; false when all are prepared, every row is in flight, or it is too early. */
  prepare(slot: number): boolean {
    if (this.#stopped || this.exhausted) return false;
    const { slots, smallWrites } = this.#thread;
    const row = this.#stock.peek(smallWrites > 0 ? this.#rowsBesideSmall : this.#plan.bufferRows);
    if (row === -1) return false;
    const pieceBytes = this.#transfers.admit();
    if (pieceBytes === 0) return false;
    const position = this.#nextPosition;
    const feed = this.#prefix !== null && position < this.#prefix.end ? this.#prefix : this.#feed;
    // No longer than a piece, or what is begun would go on for all of it: only what has arrived is as long as it is.
    const wanted = feed.lengthAt(position, Math.min(this.#plan.ioBytes, pieceBytes));
    // Readers would see a file that ends in zeros for as long as a limit holds the row back.
    if (this.#growth !== null && feed.isPaced && !this.#pace.isOpen()) return false;
    const reached = position + this.#paddedLength(position, wanted);
    // What has arrived is taken once it has its space: until then it stands where it is.
    if (this.#growth?.reach(reached, feed.endBehind(position, wanted), this) === false) return false;
    const length = feed.isPaced ? this.#pace.admit(wanted, feed.splitsRows) : wanted;
    if (length === 0) return false;
    this.#stock.take();
    this.#nextPosition = position + length;
    this.#rowPosition[row] = position;
    slots.carry(slot, row, position);
    const purpose = feed.next(row, this.#bytes.startOf(row), position, length);
    if (purpose === WRITE_ROW && feed.movesBytes) this.#thread.loop.filled(length);
    if (purpose === WRITE_ROW) this.#beginWrite(slot, length, pieceBytes);
    else if (purpose === READ_ROW) this.#beginRead(slot, length, pieceBytes);
    else this.#beginPrefix(slot, length, pieceBytes);
    // At once, not when the next row is wanted: with a hole at its end the file is exhausted now.
    if (this.#nextPosition === feed.dataEnd) this.#passHole();
    return true;
  }

  /** Passes over a hole that the next position is in. */
  #passHole(): void {
    if (this.exhausted) return;
    const from = this.#nextPosition;
    const start = this.#feed.seek(from);
    if (start === from) return;
    this.holeBytes += start - from;
    this.bytesWritten += start - from;
    this.#digest?.addHole(from, start);
    this.#nextPosition = start;
  }

  /** Reads the `length` bytes of the slot's row from the source, in whole blocks. */
  #beginRead(slot: number, length: number, pieceBytes: number): void {
    const { slots } = this.#thread;
    const { alignment } = this.#feed.origin!;
    const position = slots.position[slot]!;
    const headBytes = this.#bytes.headOf(position);
    const address = this.#bytes.addressOf(slots.row[slot]!) + headBytes;
    const wholeBytes = roundUp(length - headBytes, alignment.offset);
    this.#transfers.begin(slot, READ_ROW, address, this.#sourceOffset(position), wholeBytes, pieceBytes);
    this.#transfers.submit(slot);
  }

  /**
   * Reads back `length` bytes of an earlier attempt. They may end inside a block, with the write itself: whole blocks are
   * read, and what is behind them ignored.
   */
  #beginPrefix(slot: number, length: number, pieceBytes: number): void {
    const { row, position } = this.#thread.slots;
    const address = this.#bytes.addressOf(row[slot]!);
    const offset = this.#span.start + position[slot]!;
    const wholeBytes = roundUp(length, this.#target.alignment.offset);
    this.#transfers.begin(slot, READ_PREFIX, address, offset, wholeBytes, pieceBytes);
    this.#transfers.submit(slot);
  }

  /**
   * Writes the `length` bytes of the slot's row, padded to what the disk takes unless they may go unpadded; the file is cut
   * to size later.
   * @param pieceBytes what of it may go at once; 0 for a row that was read: as for its read
   * @returns false if the row is held instead, as direct I/O was refused for others
   */
  #beginWrite(slot: number, length: number, pieceBytes: number): boolean {
    const { slots } = this.#thread;
    const row = slots.row[slot]!;
    const position = slots.position[slot]!;
    const { end } = this.#feed;
    const padded = this.#paddedLength(position, length);
    this.#bytes.fillEdges(row, position, length, padded, end);
    this.#bytes.addToDigest(row, position, length);
    const address = this.#feed.addressOf(this.#bytes.addressOf(row), position, padded);
    this.#transfers.begin(slot, WRITE_ROW, address, this.#span.start + position, padded, pieceBytes);
    this.#takeAhead(slot);
    if (this.#transfers.areHeld) return this.#transfers.hold(slot);
    this.#transfers.submit(slot);
    return true;
  }

  /**
   * The length that is written for `length` bytes. Without padding only if all before it is written: amid direct writes the
   * page cache could keep, and write back, what stood before them in the page that it shares with them.
   */
  #paddedLength(position: number, length: number): number {
    let isExact = this.#transfers.bufferedFd >= 0;
    if (isExact) for (const carried of this.#rowPosition) if (carried < position) isExact = false;
    return isExact ? length : roundUp(length, this.#target.alignment.offset);
  }

  /** Of a file that is only appended to, what stands there already of the slot's row. */
  #takeAhead(slot: number): void {
    const { slots } = this.#thread;
    const ahead = Math.min(slots.length[slot]!, this.writtenAhead);
    if (this.#target.appendsOnly && ahead > 0) {
      slots.done[slot] = ahead;
      this.bytesWritten += Math.max(0, ahead - this.#bytes.headOf(slots.position[slot]!));
    }
    this.writtenAhead -= ahead; // more than 0 is left behind a row that was cut off for itself
  }

  /**
   * Takes the completion of a row's slot.
   * @returns true if the slot was prepared again, for a residual or the write of a row that was read; else it is released
   * @throws IoError if the row failed; its slot is released
   */
  complete(slot: number, result: number, refused: boolean, latencyMs: number): boolean {
    const { engine, slots } = this.#thread;
    const purpose = slots.purpose[slot];
    // What goes to the page cache comes back before the disk has it: that is no measure of the disk.
    const isMeasured = !refused && (this.cache?.isUsed !== true || purpose !== WRITE_ROW);
    this.#transfers.cameBack(slot, result, latencyMs, isMeasured);
    if (result < 0) {
      if (!this.#stopped && this.#transfers.isRefusedDirect(slot, result)) return this.#transfers.takeRefusal(slot);
      const isWrite = purpose === WRITE_ROW;
      const cause = isWrite ? this.#feed.causeOf(result, slots.position[slot]!, slots.length[slot]!) : null;
      const error = cause ?? this.#transfers.errorOf(slot, result, refused);
      this.#releaseRow(slot);
      throw error;
    }
    if (this.#stopped) {
      if (purpose === WRITE_ROW && slots.isWhole(slot, result)) this.#noteWritten(slot);
      this.#releaseRow(slot);
      return false;
    }
    try {
      if (purpose === WRITE_ROW) return this.#afterWrite(slot, result);
      return purpose === READ_ROW ? this.#afterRead(slot, result) : this.#afterPrefix(slot, result);
    } catch (error) {
      // What it has in flight is counted for all writes to the device.
      if (engine.stateOf(slot) === SLOT_COMPLETED) this.#releaseRow(slot);
      throw error;
    }
  }

  #afterWrite(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    this.writes += 1;
    const position = slots.position[slot]!;
    const before = Math.max(slots.done[slot]!, this.#bytes.headOf(position));
    if (!slots.isWhole(slot, result)) {
      if (!this.#transfers.isPiece(slot, result)) this.shortWrites += 1;
      this.#transfers.continueShort(slot, result);
      const done = slots.done[slot]!;
      this.#rowPosition[slots.row[slot]!] = position + done;
      this.#countWritten(Math.max(done, before) - before);
      return true;
    }
    this.#noteWritten(slot);
    this.#releaseRow(slot);
    this.#countWritten(Math.min(slots.length[slot]!, this.#feed.end - position) - before);
    return false;
  }

  #countWritten(bytes: number): void {
    this.bytesWritten += bytes;
    this.cache?.note(bytes);
  }

  /** A row of what an earlier attempt wrote: it is only summed up. */
  #afterPrefix(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    const wanted = Math.min(slots.length[slot]!, this.#prefix!.end - slots.position[slot]!);
    this.reads += 1;
    if (slots.done[slot]! + result < wanted) {
      this.#transfers.continueShort(slot, result);
      return true;
    }
    this.#bytes.addToDigest(slots.row[slot]!, slots.position[slot]!, wanted);
    this.#noteWritten(slot);
    this.#releaseRow(slot);
    return false;
  }

  /** A row of the source is written at once, unless the read was short. @throws IoError if the source has been cut */
  #afterRead(slot: number, result: number): boolean {
    const { slots } = this.#thread;
    const origin = this.#feed.origin!;
    const position = slots.position[slot]!;
    const headBytes = this.#bytes.headOf(position);
    const wanted = Math.min(slots.length[slot]!, this.#feed.end - position - headBytes);
    this.reads += 1;
    if (slots.done[slot]! + result >= wanted) {
      this.#transfers.endRead(slot);
      return this.#beginWrite(slot, headBytes + wanted, 0);
    }
    if (!this.#transfers.isPiece(slot, result)) assertReaches(origin, slots.restOffset(slot) + result);
    this.#transfers.continueShort(slot, result);
    return true;
  }

  /**
   * The slot's row is in the file. Of a row that failed, or was only read when the write was stopped, this is never
   * said: a checkpoint must not reach beyond it.
   */
  #noteWritten(slot: number): void {
    this.#rowPosition[this.#thread.slots.row[slot]!] = Number.POSITIVE_INFINITY;
  }

  #releaseRow(slot: number): void {
    this.#stock.put(this.#thread.slots.row[slot]!);
    this.#transfers.release(slot);
  }

  /** The file offset in the source of the first byte of the row at `position`. */
  #sourceOffset(position: number): number {
    return this.#feed.origin!.start + Math.max(0, position - this.#span.headBytes);
  }
}
