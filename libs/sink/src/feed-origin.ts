/** Rows read from the file that is copied, whose holes may be passed over. */
import { constants } from 'node:os';
import { native } from '@penstock/aio';
import type { RowPlan } from '@penstock/matrix';
import { FreeRows, type RowFeed } from './feed.ts';
import type { Origin } from './origin.ts';
import type { Target } from './target.ts';
import type { WriterThread } from './thread.ts';

const { ENXIO } = constants.errno;

export class OriginFeed implements RowFeed {
  readonly size: number;
  readonly origin: Origin;
  readonly quiet = true;
  holeBytes = 0;

  readonly #thread: WriterThread;
  readonly #plan: RowPlan;
  readonly #freeRows: FreeRows;
  readonly #keepsHoles: boolean;
  /** What direct I/O on both files takes. */
  readonly #align: number;
  /** Where the next row goes: everything before is in flight, written or a hole. Never inside a hole that is kept. */
  #nextPosition = 0;
  /** Where the data around #nextPosition ends: a row goes no further. */
  #dataEnd: number;

  constructor(thread: WriterThread, target: Target, origin: Origin, keepsHoles: boolean, size: number, plan: RowPlan) {
    this.#thread = thread;
    this.origin = origin;
    this.size = size;
    this.#plan = plan;
    this.#freeRows = new FreeRows(plan.bufferRows);
    this.#keepsHoles = keepsHoles;
    this.#align = Math.max(origin.alignment.offset, target.alignment.offset);
    this.#dataEnd = size;
    if (keepsHoles) this.#passHole();
  }

  get exhausted(): boolean {
    return this.#nextPosition >= this.size;
  }

  take(slot: number): boolean {
    if (this.exhausted) return false;
    const row = this.#freeRows.take();
    if (row === -1) return false;
    const { slots } = this.#thread;
    const position = this.#nextPosition;
    const length = Math.min(this.#plan.ioBytes, this.#dataEnd - position);
    this.#nextPosition += length;
    slots.row[slot] = row;
    slots.position[slot] = position;
    slots.length[slot] = length;
    // At once, not when the next row is wanted: with a hole at its end the file is exhausted now.
    if (this.#keepsHoles && this.#nextPosition === this.#dataEnd && !this.exhausted) this.#passHole();
    return true;
  }

  /**
   * Moves on to the next data of the origin and finds its end, both widened to what direct I/O takes: two lseeks an
   * extent. What is passed over is not written, and so stays a hole.
   */
  #passHole(): void {
    const { origin, size } = this;
    const from = this.#nextPosition;
    let start = size;
    let end = size;
    const data = native.lseek(origin.fd, from, native.SEEK_DATA);
    if (data < 0) {
      // No data is left; or the file system cannot tell: all the rest is data, and what else is wrong the read will say.
      if (data !== -ENXIO) start = from;
    } else if (data < size) {
      start = data - (data % this.#align);
      const hole = native.lseek(origin.fd, data, native.SEEK_HOLE);
      if (hole > data) end = Math.min(size, Math.ceil(hole / this.#align) * this.#align);
    }
    this.holeBytes += start - from;
    this.#nextPosition = start;
    this.#dataEnd = end;
  }

  release(row: number): void {
    this.#freeRows.release(row);
  }

  settle(): number {
    return this.size;
  }

  close(): void {
    // Nobody else knows of these rows.
  }
}
