/** Rows that another thread (or this one's own event loop) fills as bytes arrive: they come by a row ring. */
import { RequestError } from '@penstock/contract';
import type { RingConsumer, RowExtent, RowPlan } from '@penstock/matrix';
import type { RowFeed } from './feed.ts';
import type { WriterThread } from './thread.ts';

export class RingFeed implements RowFeed {
  readonly holeBytes = 0;
  readonly origin = null;

  readonly #thread: WriterThread;
  readonly #ring: RingConsumer;
  readonly #declaredSize: number | null;
  /** Where the next row goes. */
  #nextPosition = 0;

  /** @param declaredSize what the request says, or null: then the end of the bytes says it */
  constructor(thread: WriterThread, ring: RingConsumer, declaredSize: number | null, plan: RowPlan, extent: RowExtent) {
    this.#thread = thread;
    this.#ring = ring;
    this.#declaredSize = declaredSize;
    ring.open({
      thread: thread.index,
      start: extent.start,
      rowStride: plan.rowStride,
      rowBytes: plan.ioBytes,
      rowCount: plan.bufferRows,
      head: 0,
    });
  }

  get size(): number | null {
    return this.#declaredSize ?? (this.#ring.exhausted ? this.#nextPosition : null);
  }

  get exhausted(): boolean {
    return this.#ring.exhausted;
  }

  /** @throws RequestError where more has arrived than was declared */
  take(slot: number): boolean {
    const row = this.#ring.take();
    if (row === -1) return false;
    const { slots } = this.#thread;
    const position = this.#nextPosition;
    const length = this.#ring.takenBytes;
    this.#nextPosition += length;
    // Before any of it is written: what was declared is all that was promised room.
    if (this.#declaredSize !== null && this.#nextPosition > this.#declaredSize) throw this.#unlike('at least ');
    slots.row[slot] = row;
    slots.position[slot] = position;
    slots.length[slot] = length;
    return true;
  }

  release(row: number): void {
    this.#ring.release(row);
  }

  settle(): number {
    if (this.#declaredSize !== null && this.#nextPosition !== this.#declaredSize) throw this.#unlike('');
    return this.#nextPosition;
  }

  #unlike(bound: string): RequestError {
    const accepted = `the ${bound}${this.#nextPosition} bytes that arrived, or leave it out`;
    return new RequestError({ field: 'size', value: this.#declaredSize, accepted });
  }

  close(): void {
    this.#ring.close();
  }

  get quiet(): boolean {
    return this.#ring.quiet;
  }
}
