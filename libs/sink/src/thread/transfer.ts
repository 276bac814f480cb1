/**
 * What each slot of a thread does, from its preparation to its last byte: the row that it moves, between which address in
 * memory and which offset of a file, how much of that is done, and what is left after a short read or write.
 */
import type { IoError } from '@penstock/contract';
import type { AioEngine } from '@penstock/aio';
import type { Alignment } from '@penstock/disk';
import { isRefusal } from '../device/direct-refused.ts';

// What a slot's iocb is for.
export const READ_ROW = 0;
export const WRITE_ROW = 1;
export const SYNC_FILE = 2;
export const SYNC_DIRECTORY = 3;
export const SYNC_CHECKPOINT = 4;
export const READ_BACK = 5;
/** Of what an earlier attempt wrote, for a sum of the whole. */
export const READ_PREFIX = 6;
/** Of the source, before its holes are believed. */
export const SYNC_ORIGIN = 7;
/** Of a stream, before its end. */
export const SYNC_PARTIAL = 8;
/** Of the file that this one has replaced. */
export const SYNC_REPLACED = 9;
/** Of what is in the page cache, amid the rows. */
export const SYNC_CACHE = 10;

/** Short reads or writes in a row, none of them a whole block, before a transfer counts as stuck. */
export const STALLS_MAX = 8;

/** What an IoError is made of. */
export type IoFailure = ConstructorParameters<typeof IoError>[0];

/** By slot. A slot belongs to one write at a time, so one table serves all writes of a thread. */
export class SlotTable {
  /** What the slot's iocb is for: READ_ROW and the others above. */
  readonly purpose: Uint8Array;
  /** The row that it carries, and the position of the row's first byte in the write. */
  readonly row: Int32Array;
  readonly position: Float64Array;
  /** The first byte of the transfer in memory and in the file, and its bytes in all, padding included. */
  readonly address: Float64Array;
  readonly offset: Float64Array;
  readonly length: Int32Array;
  /** Bytes of it that earlier submits have moved: more than 0 after a short write or read. */
  readonly done: Int32Array;
  /** Short reads or writes in a row that moved no whole block. */
  readonly stalls: Uint8Array;
  /** 1 if its file was open for direct I/O when the iocb was prepared. */
  readonly direct: Uint8Array;
  /** Of a row: the longest piece of it that goes at once, what counts as in flight of it, and what went last. */
  readonly pieceBytes: Int32Array;
  readonly flowBytes: Int32Array;
  readonly askedBytes: Int32Array;
  /** 1 while it is read from another device than the one it is written to. */
  readonly reads: Uint8Array;

  constructor(depth: number) {
    this.purpose = new Uint8Array(depth);
    this.row = new Int32Array(depth);
    this.position = new Float64Array(depth);
    this.address = new Float64Array(depth);
    this.offset = new Float64Array(depth);
    this.length = new Int32Array(depth);
    this.done = new Int32Array(depth);
    this.stalls = new Uint8Array(depth);
    this.direct = new Uint8Array(depth);
    this.pieceBytes = new Int32Array(depth);
    this.flowBytes = new Int32Array(depth);
    this.askedBytes = new Int32Array(depth);
    this.reads = new Uint8Array(depth);
  }

  /** The slot carries `row`, whose first byte is at `position` of the write, until it is released. */
  carry(slot: number, row: number, position: number): void {
    this.row[slot] = row;
    this.position[slot] = position;
  }

  /** Begins the move of `length` bytes between `address` in memory and `offset` of a file. */
  begin(slot: number, purpose: number, address: number, offset: number, length: number): void {
    this.purpose[slot] = purpose;
    this.address[slot] = address;
    this.offset[slot] = offset;
    this.length[slot] = length;
    this.done[slot] = 0;
    this.stalls[slot] = 0;
  }

  /** Bytes that are not moved yet. */
  rest(slot: number): number {
    return this.length[slot]! - this.done[slot]!;
  }

  /** The offset in the file of the first of them. */
  restOffset(slot: number): number {
    return this.offset[slot]! + this.done[slot]!;
  }

  #restAddress(slot: number): number {
    return this.address[slot]! + this.done[slot]!;
  }

  /** Prepares the read or write of the next `length` of them. */
  prepRest(slot: number, engine: AioEngine, fd: number, direct: boolean, length: number): void {
    this.direct[slot] = direct ? 1 : 0;
    if (this.purpose[slot] === WRITE_ROW) {
      engine.prepWrite(slot, fd, this.#restAddress(slot), length, this.restOffset(slot));
    } else {
      engine.prepRead(slot, fd, this.#restAddress(slot), length, this.restOffset(slot));
    }
  }

  /** True if a completion of `result` bytes moved all that was left. */
  isWhole(slot: number, result: number): boolean {
    return result >= this.rest(slot);
  }

  /**
   * Counts a short read or write of `result` bytes. Direct I/O has to go on at an aligned offset and address: what was
   * moved behind the last one is moved again, with the same bytes.
   * @returns false if it is stuck: it moved no whole block for the STALLS_MAX-th time
   */
  advance(slot: number, result: number, { offset, memory }: Alignment): boolean {
    const progress = result - (result % Math.max(offset, memory));
    const stalls = progress > 0 ? 0 : this.stalls[slot]! + 1;
    this.stalls[slot] = stalls;
    if (stalls === STALLS_MAX) return false;
    this.done[slot]! += progress;
    return true;
  }

  /** True if its file was open for direct I/O when it was submitted, and that is what the file system has refused. */
  isRefusedDirect(slot: number, result: number, alignment: Alignment): boolean {
    if (this.direct[slot] === 0) return false;
    return isRefusal(result, alignment, this.#restAddress(slot), this.restOffset(slot), this.rest(slot));
  }

  /** What failed: the call, the path, and the range that was not moved. */
  failure(slot: number, syscall: string, errno: number, path: string): IoFailure {
    return { syscall, errno, path, offset: this.restOffset(slot), length: this.rest(slot) };
  }
}
