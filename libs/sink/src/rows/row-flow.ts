/**
 * The rows of one write within what may be in flight on its devices: the target's, and the one that it copies from. A row
 * longer than what may go at once is moved piece by piece, one after the other.
 */
import type { AioEngine } from '@penstock/aio';
import type { DeviceFlow } from '../device/device-flow.ts';
import type { WriterThread } from '../thread/thread.ts';
import type { SlotTable } from '../thread/transfer.ts';

export class RowFlow {
  readonly #slots: SlotTable;
  readonly #engine: AioEngine;
  readonly #target: DeviceFlow;
  /** Of what is read first; null if nothing is, or it is on the target's device. */
  readonly #origin: DeviceFlow | null;
  readonly #alignBytes: number;

  /** @param alignBytes what the lengths of pieces are multiples of */
  constructor({ slots, engine }: WriterThread, target: DeviceFlow, origin: DeviceFlow | null, alignBytes: number) {
    this.#slots = slots;
    this.#engine = engine;
    this.#target = target;
    this.#origin = origin === target ? null : origin;
    this.#alignBytes = alignBytes;
  }

  /** The longest piece that may go now; 0: none, before something has come back. */
  admit(): number {
    const piece = this.#target.admit(this.#alignBytes);
    return this.#origin === null || piece === 0 ? piece : Math.min(piece, this.#origin.admit(this.#alignBytes));
  }

  /** A row of `length` bytes begins in `slot`, by pieces of `pieceBytes`; `reads`: from the origin first. */
  begin(slot: number, length: number, pieceBytes: number, reads: boolean): void {
    const slots = this.#slots;
    // The same device reads and writes them.
    const twice = reads && this.#origin === null ? 2 : 1;
    const bytes = Math.min(length, pieceBytes) * twice;
    slots.pieceBytes[slot] = pieceBytes;
    slots.flowBytes[slot] = bytes;
    slots.reads[slot] = reads && this.#origin !== null ? 1 : 0;
    this.#target.begin(bytes); // also while it is read: it is written at once then
    if (slots.reads[slot] === 1) this.#origin!.begin(bytes);
  }

  /** Of the `rest` of the slot's row, what goes next. */
  next(slot: number, rest: number): number {
    return (this.#slots.askedBytes[slot] = Math.min(rest, this.#slots.pieceBytes[slot]!));
  }

  /** True if `result` is all of the piece that went: the row goes on with the next. */
  isPiece(slot: number, result: number): boolean {
    return result === this.#slots.askedBytes[slot];
  }

  /** The slot's iocb has come back. */
  cameBack(slot: number, result: number, latencyMs: number): void {
    const flow = this.#slots.reads[slot] === 1 ? this.#origin! : this.#target;
    flow.cameBack(Math.max(0, result), latencyMs, this.#engine.slotSubmittedAt[slot]! + latencyMs);
  }

  /** The slot's row is read, and will be written. */
  endRead(slot: number): void {
    if (this.#slots.reads[slot] !== 1) return;
    this.#slots.reads[slot] = 0;
    this.#origin!.end(this.#slots.flowBytes[slot]!);
  }

  /** The slot carries no row any more. */
  end(slot: number): void {
    this.endRead(slot);
    this.#target.end(this.#slots.flowBytes[slot]!);
  }
}
