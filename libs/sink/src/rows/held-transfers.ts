/** Reads and writes of rows for which direct I/O was refused: held until nothing else of their file is in flight. */
import type { SlotTable } from '../thread/transfer.ts';

interface HeldTransfer {
  row: number;
  position: number;
  purpose: number;
  address: number;
  offset: number;
  length: number;
  done: number;
}

export class HeldTransfers {
  readonly #transfers: HeldTransfer[] = [];

  get isEmpty(): boolean {
    return this.#transfers.length === 0;
  }

  /** Takes what `slot` was to move; the slot may be released. */
  hold(slots: SlotTable, slot: number): void {
    this.#transfers.push({
      row: slots.row[slot]!,
      position: slots.position[slot]!,
      purpose: slots.purpose[slot]!,
      address: slots.address[slot]!,
      offset: slots.offset[slot]!,
      length: slots.length[slot]!,
      done: slots.done[slot]!,
    });
  }

  /** Puts the one that was held first into `slot`. */
  putBack(slots: SlotTable, slot: number): void {
    const held = this.#transfers.shift()!;
    slots.carry(slot, held.row, held.position);
    slots.begin(slot, held.purpose, held.address, held.offset, held.length);
    slots.done[slot] = held.done;
  }
}
