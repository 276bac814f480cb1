/**
 * Rows that fill up as bytes arrive by a row ring, from another thread or this one's event loop. A row that the digest
 * still reads is not given back to the ring: it has to keep its bytes.
 */
import type { FileDigest } from '@penstock/digest';
import type { RingConsumer } from '@penstock/matrix';
import { RequestError } from '@penstock/contract';
import { WRITE_ROW } from '../thread/transfer.ts';
import { RowFeed } from './feed.ts';
import type { RowStock } from './free-rows.ts';
import { UndigestedRows } from './undigested-rows.ts';

export class Arrivals extends RowFeed implements RowStock {
  readonly #ring: RingConsumer;
  readonly #headBytes: number;
  readonly #declaredSize: number | null;
  /** The row that peek() named and take() has not taken; -1: none. */
  #peeked = -1;
  /** Rows that slots carry. */
  #usedCount = 0;
  /** null if there is no digest. */
  readonly #undigested: UndigestedRows | null;

  /** @param declaredSize how many bytes are to come; null if that is known at their end only */
  constructor(
    ring: RingConsumer,
    rowCount: number,
    digest: FileDigest | null,
    headBytes: number,
    declaredSize: number | null,
  ) {
    super(headBytes + (declaredSize ?? Number.POSITIVE_INFINITY), null, false);
    this.#headBytes = headBytes;
    this.#declaredSize = declaredSize;
    this.#ring = ring;
    this.#undigested = digest === null ? null : new UndigestedRows(digest, rowCount, (row) => ring.release(row));
  }

  override get fullRows(): RowStock {
    return this;
  }

  override get splitsRows(): boolean {
    return false;
  }

  /** True once the producer has ended and every row of it was taken. */
  override isExhausted(): boolean {
    return this.#peeked === -1 && this.#ring.exhausted;
  }

  /** True if a row is named and not yet taken: the limits hold it back. */
  get holdsRow(): boolean {
    return this.#peeked !== -1;
  }

  /** The length of the row that peek() named last. */
  override lengthAt(): number {
    return this.#ring.takenBytes;
  }

  override endBehind(position: number, length: number): number {
    return this.#declaredSize === null && this.#ring.exhausted ? position + length : this.end;
  }

  override next(_row: number, _rowStart: number, position: number, length: number): number {
    const arrived = position + length - this.#headBytes;
    if (this.#declaredSize === null) {
      if (this.isExhausted()) this.end = position + length;
    } else if (arrived > this.#declaredSize) {
      throw this.#otherSize(`${arrived} or more`); // there is room for no more
    }
    return WRITE_ROW;
  }

  override assertSize(bytes: number): void {
    if (this.#declaredSize !== null && bytes !== this.#declaredSize) throw this.#otherSize(`${bytes}`);
  }

  #otherSize(arrived: string): RequestError {
    const accepted = `what arrives, or leave it out: it was ${arrived} bytes`;
    return new RequestError({ field: 'size', value: this.#declaredSize, accepted });
  }

  /** The next row that is full, or the last one; -1: none, and the ring or the digest wakes the loop. */
  peek(usedMax: number): number {
    this.#undigested?.collect();
    if (this.#usedCount >= usedMax) return -1; // what is in flight wakes the loop
    if (this.#peeked === -1) this.#peeked = this.#ring.take();
    if (this.#peeked === -1) this.#undigested?.collectOrWake();
    return this.#peeked;
  }

  take(): void {
    this.#peeked = -1;
    this.#usedCount += 1;
  }

  /** True if neither a slot nor the digest has a row; the digest wakes the loop if it is the last that does. */
  get isSettled(): boolean {
    this.#undigested?.collectOrWake();
    return this.#usedCount === 0 && this.#undigested?.isEmpty !== false && this.#peeked === -1;
  }

  /** The digest may still read some: they stay the producer's and this write's. */
  get allFree(): boolean {
    return this.#usedCount === 0;
  }

  put(row: number): void {
    this.#usedCount -= 1;
    if (this.#undigested === null) this.#ring.release(row);
    else this.#undigested.put(row);
  }
}
