/** Rows whose write or read was refused, with where each stands: held until nothing else of their file is in flight. */
import type { SlotTable } from '../thread/transfer.ts';

interface HeldMove {
  row: number;
  position: number;
  purpose: number;
  address: number;
  offset: number;
  length: number;
  done: number;
}

export class HeldMoves {
  readonly #moves: HeldMove[] = [];

  get isEmpty(): boolean {
    return this.#moves.length === 0;
  }

  /** Takes what `slot` was to move; the slot may be released. */
  hold(slots: SlotTable, slot: number): void {
    this.#moves.push({
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
    const move = this.#moves.shift()!;
    slots.carry(slot, move.row, move.position);
    slots.begin(slot, move.purpose, move.address, move.offset, move.length);
    slots.done[slot] = move.done;
  }
}
