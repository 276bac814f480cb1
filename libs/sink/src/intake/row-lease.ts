/**
 * The lease of the rows into which a producer puts what arrives. A write has it while bytes come. If other writes wait for
 * row memory it ends, once the producer is idle or has had its turn. What the producer had put into a row that is not full
 * goes into the file up to the last whole block; the few bytes behind that are carried over to its next rows.
 */
import { performance } from 'node:perf_hooks';
import { native } from '@penstock/native';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { Intake } from './intake.ts';
import type { WriterThread } from '../thread/thread.ts';

/** A producer that has brought nothing for this time is idle. */
const IDLE_MS = 5;
/** How long one that goes on bringing bytes keeps its rows while other writes wait. */
const TURN_MS = 100;
/** If the producer is still copying as its rows are taken away, it is looked at again after this time. */
const QUIET_LOOK_MS = 1;

export class RowLease {
  /** null while the write has no rows. */
  extent: RowExtent | null = null;

  readonly #thread: WriterThread;
  readonly #intake: Intake;
  readonly #plan: RowPlan;
  /** The bytes that are carried over, and its address once it is asked for. */
  readonly #carry: Uint8Array;
  #carryAddress = 0;
  /** The rows were withdrawn from the producer, who may still be copying into one. */
  #leaving = false;
  /** When the rows were granted. */
  #sinceMs = 0;
  /** When something came last, and how much there was then. */
  #cameAtMs = 0;
  #seenRows = 0;
  #seenBytes = 0;

  /** @param align the offset alignment: the bytes that are carried over are fewer */
  constructor(thread: WriterThread, intake: Intake, plan: RowPlan, align: number) {
    this.#thread = thread;
    this.#intake = intake;
    this.#plan = plan;
    this.#carry = new Uint8Array(new ArrayBuffer(align));
  }

  /** How much row memory the write asks for: all rows of its plan, or what the last bytes need. */
  get wantedBytes(): number {
    const { rowStride, bufferRows } = this.#plan;
    return this.#intake.ring.isFilling ? bufferRows * rowStride : this.#carry.byteLength;
  }

  /** Gives the rows of `extent` to the producer, with the bytes that were carried over in the first. */
  grant(extent: RowExtent): void {
    const { ring } = this.#intake;
    const { rowStride, ioBytes: rowBytes, bufferRows } = this.#plan;
    const carried = ring.carriedBytes;
    if (carried > 0) this.#thread.arena.bytes.set(this.#carry.subarray(0, carried), extent.start);
    this.extent = extent;
    this.#leaving = false;
    this.#sinceMs = performance.now();
    this.#cameAtMs = this.#sinceMs;
    this.#seenRows = ring.filledCount;
    this.#seenBytes = carried;
    const rowCount = Math.max(1, Math.min(bufferRows, Math.floor(extent.sizeBytes / rowStride)));
    ring.grant({ start: extent.start, rowStride, rowBytes, rowCount });
  }

  /** Asked at every turn of the loop that has no row to prepare: takes the rows from the producer, if it is time. */
  tend(): void {
    const { ring } = this.#intake;
    const { rowMemory, loop } = this.#thread;
    if (this.extent === null || this.#leaving || !ring.isFilling || !rowMemory.isShortOf(this.extent.sizeBytes)) return;
    const now = performance.now();
    this.#noteArrivals(now);
    // One that was given rows because it asked for them has its turn to use them.
    const isIdle = !ring.isAsked && now - this.#cameAtMs >= IDLE_MS;
    if (!isIdle && now - this.#sinceMs < TURN_MS) {
      loop.wakeAt(Math.min(this.#sinceMs + TURN_MS, ring.isAsked ? Infinity : this.#cameAtMs + IDLE_MS));
      return;
    }
    this.#leaving = true;
    ring.withdraw();
  }

  #noteArrivals(now: number): void {
    const { ring } = this.#intake;
    const { filledCount: rows, carriedBytes: bytes } = ring;
    if (rows === this.#seenRows && bytes === this.#seenBytes) return;
    this.#seenRows = rows;
    this.#seenBytes = bytes;
    this.#cameAtMs = now;
  }

  /** With nothing of the write in flight: the rows, once the producer has left them; else null. */
  takeBack(): RowExtent | null {
    const { ring } = this.#intake;
    const { arena, loop } = this.#thread;
    if (!this.#leaving || this.extent === null) return null;
    if (!ring.isEmptied) {
      loop.wakeAt(performance.now() + QUIET_LOOK_MS);
      return null;
    }
    const { extent } = this;
    const carried = ring.carriedBytes;
    const start = this.#rowStart(extent);
    if (carried > 0) this.#carry.set(arena.bytes.subarray(start, start + carried));
    ring.leaveRows();
    this.extent = null;
    this.#leaving = false;
    return extent;
  }

  /** The address of the bytes of the row that is not full, without those that were cut off as a row of their own. */
  get partialAddress(): number {
    if (this.extent !== null) return this.#thread.arena.address + this.#rowStart(this.extent);
    this.#carryAddress ||= native.addressOf(this.#carry);
    return this.#carryAddress;
  }

  #rowStart(extent: RowExtent): number {
    const { ring } = this.#intake;
    return extent.start + ring.partialRow * this.#plan.rowStride + ring.cutBytes;
  }
}
