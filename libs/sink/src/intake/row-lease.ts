/**
 * The rows into which a producer puts what arrives: had while there are bytes, and given back where others wait for row
 * memory and the producer brings nothing, or has had them for its turn. What it had put into a row that is not full goes
 * into the file up to the last whole block; the few bytes behind that are carried over to its next rows.
 */
import { performance } from 'node:perf_hooks';
import { native } from '@penstock/native';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import type { Intake } from './intake.ts';
import type { WriterThread } from '../thread/thread.ts';

/** A producer that has brought nothing for so long is taken for idle, where others wait. */
const IDLE_MS = 5;
/** So long one that goes on bringing bytes keeps its rows, where others wait. */
const TURN_MS = 100;
/** A copy that was under way as the rows were taken away is looked for again after this time. */
const QUIET_LOOK_MS = 1;

export class RowLease {
  /** null while the write has no rows. */
  extent: RowExtent | null = null;

  readonly #thread: WriterThread;
  readonly #intake: Intake;
  readonly #plan: RowPlan;
  readonly #carry: Uint8Array;
  #carryAddress = 0;
  #leaving = false;
  #sinceMs = 0;
  /** When something came last, and how much there was then. */
  #cameAtMs = 0;
  #seenRows = 0;
  #seenBytes = 0;

  /** @param align what the disk takes: bytes that are carried over are fewer */
  constructor(thread: WriterThread, intake: Intake, plan: RowPlan, align: number) {
    this.#thread = thread;
    this.#intake = intake;
    this.#plan = plan;
    this.#carry = new Uint8Array(new ArrayBuffer(align));
  }

  /** What it is to ask for: all rows of its plan, or what the last bytes need. */
  get wantedBytes(): number {
    const { rowStride, bufferRows } = this.#plan;
    return this.#intake.ring.isFilling ? bufferRows * rowStride : this.#carry.byteLength;
  }

  /** The rows of `extent` are the producer's. */
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

  /** With each look at a write that has rows: takes them from the producer, if it is time. */
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

  /** Where in memory the bytes stand of the row that is not full, those left out that were written with it already. */
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
