/** The line for slots of a pool whose slots are all taken: the next one goes to who waits longest. */

/** A place in the line. */
export interface SlotTurn {
  /** Resolves when a slot is kept for this one; rejects if none will be. */
  readonly granted: Promise<void>;
  /** Gives up the place, or takes the slot that was kept: it is to be used in the same turn of the event loop, or is free. */
  leave(): void;
}

interface Waiting {
  grant: () => void;
  refuse: (error: Error) => void;
}

export class SlotLine {
  readonly #freeSlots: () => number;
  readonly #line: Waiting[] = [];
  /** Slots that are free and granted already. */
  #kept = 0;

  /** @param freeSlots how many slots are free now, those that are kept included */
  constructor(freeSlots: () => number) {
    this.#freeSlots = freeSlots;
  }

  /** null if a slot can be taken in this very turn of the event loop. */
  enter(): SlotTurn | null {
    if (this.#line.length === 0 && this.#freeSlots() > this.#kept) return null;
    let place: Waiting | null = null;
    const granted = new Promise<void>((grant, refuse) => {
      place = { grant, refuse };
      this.#line.push(place);
    });
    let left = false;
    const leave = (): void => {
      if (left) return;
      left = true;
      const index = this.#line.indexOf(place!);
      if (index === -1) this.#kept -= 1;
      else this.#line.splice(index, 1);
      // Who leaves may use the slot in this turn; if not, it goes to the next.
      setImmediate(() => this.serve());
    };
    return { granted, leave };
  }

  /** To be called when a slot is free again. */
  serve(): void {
    while (this.#line.length > 0 && this.#freeSlots() > this.#kept) {
      this.#kept += 1;
      this.#line.shift()!.grant();
    }
  }

  /** Rejects all who wait. */
  refuse(error: Error): void {
    for (const { refuse } of this.#line.splice(0)) {
      this.#kept += 1; // as if it were granted: leave() gives it back
      refuse(error);
    }
  }
}
