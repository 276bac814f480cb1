/** Rows whose write or read was refused, with where each stands: held until nothing else of their file is in flight. */
import type { SlotTable } from '../thread/thread.ts';

interface HeldMove {
  row: number;
  purpose: number;
  position: number;
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
      purpose: slots.purpose[slot]!,
      position: slots.position[slot]!,
      length: slots.length[slot]!,
      done: slots.done[slot]!,
    });
  }

  /** Puts the one that was held first into `slot`. */
  putBack(slots: SlotTable, slot: number): void {
    const move = this.#moves.shift()!;
    slots.row[slot] = move.row;
    slots.purpose[slot] = move.purpose;
    slots.position[slot] = move.position;
    slots.length[slot] = move.length;
    slots.done[slot] = move.done;
    slots.stalls[slot] = 0;
  }
}
