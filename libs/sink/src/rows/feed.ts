/** Where a pipeline gets the bytes of its rows: a feed for each kind of source, of which this file has the computed one. */
import type { RowPlan } from '@penstock/matrix';
import type { DirectSource } from '@penstock/sources';
import type { IoError } from '@penstock/contract';
import type { Origin } from '../origin/origin.ts';
import { WRITE_ROW } from '../thread/transfer.ts';
import type { RowStock } from './free-rows.ts';

/** A position counts from the first block of the write's span, `headBytes` before the first of its own bytes. */
export abstract class RowFeed {
  /** The position behind the last byte; Infinity until the end of what arrives is known. */
  end: number;
  /** Where the data around the next row ends: the row goes no further. */
  dataEnd: number;
  /** What rows are read from; null if they are not read. */
  readonly origin: Origin | null;
  /** True if next() moves the bytes of a row that it returns WRITE_ROW for. */
  readonly movesBytes: boolean;

  constructor(end: number, origin: Origin | null, movesBytes: boolean) {
    this.end = end;
    this.dataEnd = end;
    this.origin = origin;
    this.movesBytes = movesBytes;
  }

  /** What hands out rows that are full already; null if the bytes go into any free row. */
  get fullRows(): RowStock | null {
    return null;
  }

  /** False if a row is as long as what has arrived in it. */
  get splitsRows(): boolean {
    return true;
  }

  /** False for rows that are not written, which no limit holds back. */
  get isPaced(): boolean {
    return true;
  }

  /** True once every row was taken; `position` is that of the next one. */
  isExhausted(position: number): boolean {
    return position >= this.end;
  }

  /** The length of the row at `position`, of which `bytesMax` may go. */
  lengthAt(position: number, bytesMax: number): number {
    return Math.min(bytesMax, this.dataEnd - position);
  }

  /** Where the bytes end, as far as that is known if the next row is one of `length` bytes at `position`. */
  endBehind(_position: number, _length: number): number {
    return this.end;
  }

  /**
   * Puts the `length` bytes at `position` into `row`, which begins at `rowStart` of the arena, or leaves that to a read.
   * @returns the purpose of the slot's next iocb: WRITE_ROW, READ_ROW or READ_PREFIX
   * @throws RequestError if more arrives than was declared
   */
  abstract next(row: number, rowStart: number, position: number, length: number): number;

  /** Moves on to the next data from `position` on, and returns where it begins: what lies before is a hole. */
  seek(position: number): number {
    return position;
  }

  /** Other row memory takes the place of the rows so far. */
  forgetRows(): void {}

  /** The address that `length` bytes at `position` are written from; `rowAddress` is that of their row. */
  addressOf(rowAddress: number, _position: number, _length: number): number {
    return rowAddress;
  }

  /** The change of the source for which the write of a row failed; null if it failed for another reason. */
  causeOf(_errno: number, _position: number, _length: number): IoError | null {
    return null;
  }

  /** All is written. @throws RequestError if the `bytes` are fewer than were declared */
  assertSize(_bytes: number): void {}
}

/** Bytes that are computed when their row is taken. */
export class ComputedFeed extends RowFeed {
  readonly #source: DirectSource;
  readonly #arena: Uint8Array;
  readonly #rowBytes: number;
  readonly #headBytes: number;
  /** By row: 1 once it carries what does not depend on the position. */
  readonly #prepared: Uint8Array;

  constructor(source: DirectSource, arena: Uint8Array, plan: RowPlan, headBytes: number, size: number) {
    super(headBytes + size, null, !source.constant);
    this.#source = source;
    this.#arena = arena;
    this.#rowBytes = plan.ioBytes;
    this.#headBytes = headBytes;
    this.#prepared = new Uint8Array(plan.bufferRows);
  }

  override next(row: number, rowStart: number, position: number, length: number): number {
    const source = this.#source;
    if (position === 0 && this.#headBytes > 0) {
      source.write(this.#arena, rowStart + this.#headBytes, length - this.#headBytes, 0);
      return WRITE_ROW;
    }
    if (this.#prepared[row] === 0) {
      source.prepareRow(this.#arena, rowStart, this.#rowBytes);
      this.#prepared[row] = 1;
    }
    if (!source.constant) source.fill(this.#arena, rowStart, length, position - this.#headBytes);
    return WRITE_ROW;
  }

  override forgetRows(): void {
    this.#prepared.fill(0); // they carry whatever their last owner wrote
  }
}
