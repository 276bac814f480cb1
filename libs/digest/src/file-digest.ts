/**
 * The sum of one file, from the writer thread's side: takes rows as they are filled, in any order, hands them over in
 * file order, and knows which of them may be used again. All calls come on the writer thread.
 */
import { strict as assert } from 'node:assert';
import type { ChecksumName } from '@penstock/contract';
import {
  ADD_ROW,
  ADD_ZEROS,
  ALGORITHMS,
  CLOSE,
  COMPARE_ROW,
  type ChunkMismatch,
  END_COMPARISON,
  FINISH,
  OPEN,
  type Report,
} from './orders.ts';
import { ROW_HANDED, ROW_IDLE, ROW_WAITS, RowTable } from './row-table.ts';

/** Zeros hashed by one entry: 10 ms of sha256, so that a hole of a tebibyte lets other files' rows in between. */
const ZEROS_BYTES_MAX = 16_777_216;

/** What carries out orders: the ring to the digest thread, or this thread itself. */
export interface Carrier {
  /** False if there is no room now. */
  push(order: number, stream: number, start: number, length: number, chunk: number, position: number): boolean;
  /** The number of the newest entry, as an Int32 that may wrap. */
  readonly pushed: number;
  isDone(number: number): boolean;
  /** Asks to be woken when the next entry is carried out. The caller must look again afterwards: it may have happened before. */
  awaitProgress(): void;
}

/** What is to be known of a file. */
export interface DigestOrder {
  /** Of the bytes that are added; null if only a comparison is wanted. */
  algorithm: ChecksumName | null;
  /** Keeps a crc32c of each row that is added, for compare(). */
  keepsChunks: boolean;
  /** Buffer rows that may be handed over: their indexes are below this. */
  rowCount: number;
  /** Length of a full row. */
  rowBytes: number;
  /** Where in the file the first byte stands. Default 0. */
  position?: number;
}

/** Bytes of the file from `start` to `end`, added in chunks of a full row from `start` on; the last may be shorter. */
export interface ChunkRun {
  start: number;
  end: number;
  /** The index of the chunk at `start`. */
  firstChunk: number;
}

export class FileDigest {
  /** In hexadecimal digits once finish() was called and all is summed up; '' if no algorithm was named. */
  sum: string | null = null;
  /** The first chunk that was read back as something else. */
  mismatch: ChunkMismatch | null = null;
  /** True once endComparison() was called and all is compared. */
  compared = false;
  /** What was added, in file order, holes left out. */
  readonly runs: ChunkRun[] = [];

  readonly #carrier: Carrier;
  readonly #stream: number;
  readonly #onClose: (stream: number) => void;
  readonly #order: DigestOrder;
  readonly #rows: RowTable;
  /** Rows that wait for their turn, or for room. */
  #waiting = 0;
  /** Holes not yet passed: from and to, in file order. */
  readonly #holes: number[] = [];
  /** The last piece of a hole that was handed over; null if none is under way. */
  #zerosEntry: number | null = null;
  /** All before is handed over. */
  #position: number;
  #chunkCount = 0;
  #opened = false;
  #finishDue = false;
  #finishAsked = false;
  #comparing = false;
  #comparisonEndDue = false;
  #failure: Error | null = null;

  constructor(carrier: Carrier, stream: number, order: DigestOrder, onClose: (stream: number) => void) {
    this.#carrier = carrier;
    this.#stream = stream;
    this.#order = order;
    this.#onClose = onClose;
    this.#position = order.position ?? 0;
    this.#rows = new RowTable(order.rowCount);
  }

  /**
   * Takes a filled row: `length` bytes from `start` of the row memory, which go to `position` of the file. They must not
   * change until isDone(row).
   */
  add(row: number, start: number, length: number, position: number): void {
    assert(!this.#finishDue, 'a row was added to a sum that was finished');
    this.#take(row, start, length, position, 0);
    this.#handOver();
  }

  /** The bytes from `from` to `to` are zeros that no row brings. Holes are added in file order. */
  addHole(from: number, to: number): void {
    if (to > from) this.#holes.push(from, to);
  }

  /** All rows and holes are added: asks for `sum`. */
  finish(): void {
    this.#finishDue = true;
    this.#handOver();
  }

  /** Takes a row that was read back: it must be what was added as chunk `chunk`, at `position`. After finish(). */
  compare(row: number, start: number, length: number, position: number, chunk: number): void {
    this.#comparing = true;
    this.#take(row, start, length, position, chunk);
    this.#handOver();
  }

  /** All rows are read back: asks for `compared`. */
  endComparison(): void {
    this.#comparing = true; // also if there was nothing to compare
    this.#comparisonEndDue = true;
    this.#handOver();
  }

  /** True if the digest needs the row's bytes no more. */
  isDone(row: number): boolean {
    const state = this.#rows.state[row];
    if (state === ROW_IDLE) return true;
    if (state === ROW_WAITS || !this.#carrier.isDone(this.#rows.entry[row]!)) return false;
    this.#rows.state[row] = ROW_IDLE;
    return true;
  }

  /** False once every row that was added is summed up: what is left are holes. */
  get readsRows(): boolean {
    for (let row = 0; row < this.#rows.state.length; row += 1) if (!this.isDone(row)) return true;
    return false;
  }

  /**
   * Hands over what had to wait. To be called whenever the loop turns to the write.
   * @throws Error EDIGESTDIED if the digest thread has ended
   */
  advance(): void {
    if (this.#failure !== null) throw this.#failure;
    if (this.#handOver()) return;
    this.#carrier.awaitProgress();
    this.#handOver();
  }

  /** Asks to be woken when isDone() or advance() may return something else; look again afterwards. */
  awaitProgress(): void {
    this.#carrier.awaitProgress();
  }

  /** The file is done with, or given up. What is still under way is only read, and reported to no file. */
  close(): void {
    this.#onClose(this.#stream);
  }

  /** Takes what the digest reports of this file. */
  receive(report: Report): void {
    if ('sum' in report) this.sum = report.sum;
    else if ('compared' in report) this.compared = true;
    else this.mismatch ??= report.mismatch;
  }

  /** The digest has ended before the file had. */
  die(error: Error): void {
    this.#failure = error;
  }

  #take(row: number, start: number, length: number, position: number, chunk: number): void {
    assert(this.isDone(row), 'a row was handed to the digest that it has already');
    this.#rows.state[row] = ROW_WAITS;
    this.#rows.start[row] = start;
    this.#rows.length[row] = length;
    this.#rows.position[row] = position;
    this.#rows.chunk[row] = chunk;
    this.#waiting += 1;
  }

  /** False if there is more to hand over and no room for it now. */
  #handOver(): boolean {
    if (!this.#opened && !this.#open()) return false;
    if (this.#comparing) return this.#handOverRead();
    for (;;) {
      if (this.#holes[0] === this.#position) {
        if (!this.#passHole()) return false;
        continue;
      }
      const row = this.#waiting === 0 ? -1 : this.#rowAt(this.#position);
      if (row === -1) break;
      if (!this.#handRow(row, ADD_ROW, this.#chunkCount)) return false;
      this.#noteChunk(this.#rows.length[row]!);
    }
    if (!this.#finishDue || this.#finishAsked || this.#waiting > 0 || this.#holes.length > 0) return true;
    this.#finishAsked = this.#push(FINISH, 0, 0, 0, 0);
    return this.#finishAsked;
  }

  #open(): boolean {
    const { algorithm, keepsChunks } = this.#order;
    this.#opened = this.#push(OPEN, 0, ALGORITHMS.indexOf(algorithm), keepsChunks ? 1 : 0, 0);
    return this.#opened;
  }

  #rowAt(position: number): number {
    for (let row = 0; row < this.#rows.state.length; row += 1) {
      if (this.#rows.state[row] === ROW_WAITS && this.#rows.position[row] === position) return row;
    }
    return -1;
  }

  #handRow(row: number, order: number, chunk: number): boolean {
    const pushed = this.#push(order, this.#rows.start[row]!, this.#rows.length[row]!, chunk, this.#rows.position[row]!);
    if (!pushed) return false;
    this.#rows.state[row] = ROW_HANDED;
    this.#rows.entry[row] = this.#carrier.pushed;
    this.#waiting -= 1;
    return true;
  }

  /** The next piece of the hole; crc32c takes any hole at once. */
  #passHole(): boolean {
    if (this.#zerosEntry !== null && !this.#carrier.isDone(this.#zerosEntry)) return false;
    const left = this.#holes[1]! - this.#position;
    const count = this.#order.algorithm === 'sha256' ? Math.min(left, ZEROS_BYTES_MAX) : left;
    if (!this.#push(ADD_ZEROS, 0, 0, 0, count)) return false;
    this.#zerosEntry = this.#carrier.pushed;
    this.#position += count;
    if (count === left) this.#holes.splice(0, 2);
    else this.#holes[0] = this.#position;
    return true;
  }

  /** A chunk of a full row lengthens the run; after a shorter one, or a hole, another begins. */
  #noteChunk(length: number): void {
    const last = this.runs.at(-1);
    const joins =
      last !== undefined && last.end === this.#position && (last.end - last.start) % this.#order.rowBytes === 0;
    const end = this.#position + length;
    if (joins) last.end = end;
    else this.runs.push({ start: this.#position, end, firstChunk: this.#chunkCount });
    this.#chunkCount += 1;
    this.#position = end;
  }

  #handOverRead(): boolean {
    for (let row = 0; this.#waiting > 0 && row < this.#rows.state.length; row += 1) {
      if (this.#rows.state[row] !== ROW_WAITS) continue;
      if (!this.#handRow(row, COMPARE_ROW, this.#rows.chunk[row]!)) return false;
    }
    if (!this.#comparisonEndDue) return true;
    if (!this.#push(END_COMPARISON, 0, 0, 0, 0)) return false;
    this.#comparisonEndDue = false;
    return true;
  }

  #push(order: number, start: number, length: number, chunk: number, position: number): boolean {
    return this.#carrier.push(order, this.#stream, start, length, chunk, position);
  }
}

/** The entry that ends a stream, whichever way. */
export const closeStream = (carrier: Carrier, stream: number): boolean => carrier.push(CLOSE, stream, 0, 0, 0, 0);
