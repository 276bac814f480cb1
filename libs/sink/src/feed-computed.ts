/** Rows filled from a source that is computable at any position. */
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { Source } from '@penstock/sources';
import { FreeRows, type RowFeed } from './feed.ts';
import type { WriterThread } from './thread.ts';

export class ComputedFeed implements RowFeed {
  readonly size: number;
  readonly holeBytes = 0;
  readonly origin = null;
  readonly quiet = true;

  readonly #thread: WriterThread;
  readonly #source: Source;
  readonly #plan: RowPlan;
  readonly #extent: RowExtent;
  readonly #freeRows: FreeRows;
  /** Rows that carry what does not depend on the position: the first ones, for rows are first used in order. */
  #preparedRows = 0;
  /** Where the next row goes: everything before is in flight or written. */
  #nextPosition = 0;

  constructor(thread: WriterThread, source: Source, size: number, plan: RowPlan, extent: RowExtent) {
    this.#thread = thread;
    this.#source = source;
    this.size = size;
    this.#plan = plan;
    this.#extent = extent;
    this.#freeRows = new FreeRows(plan.bufferRows);
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
    const length = Math.min(this.#plan.ioBytes, this.size - position);
    this.#nextPosition += length;
    slots.row[slot] = row;
    slots.position[slot] = position;
    slots.length[slot] = length;
    this.#fill(row, length, position);
    return true;
  }

  #fill(row: number, length: number, position: number): void {
    const source = this.#source;
    const { bytes } = this.#thread.arena;
    const start = this.#extent.start + row * this.#plan.rowStride;
    if (row >= this.#preparedRows) {
      source.prepareRow(bytes, start, this.#plan.ioBytes);
      this.#preparedRows = row + 1;
    }
    if (!source.constant) source.fill(bytes, start, length, position);
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
