/** How many jobs a host runs at once, over the two queues that it takes from. */

/** One queue's end of the limit. */
export interface Seat {
  /** Takes a job slot: null if one is free, else what to wait for. */
  enter(): Turn | null;
  /** Gives the slot back. Once for each that was taken. */
  leave(): void;
}

/** A wait for a job slot. */
export interface Turn {
  /** Resolves when the slot is taken. */
  readonly granted: Promise<void>;
  /** Ends the wait; false if the slot was taken already, and must be given back. */
  giveUp(): boolean;
}

/**
 * A number of job slots, shared by a host's own queue and the queue of any host. Jobs of its own queue can be written by
 * no other host: they are always taken. The other queue gets the slots that those leave, and one at least, so that
 * neither ever starves.
 */
export class JobLimit {
  readonly count: number;
  #free: number;
  readonly #line: (() => void)[] = [];
  /** Jobs of the host's own queue, those included that wait for a slot. */
  #own = 0;
  #setLimit: (jobs: number) => void = () => {};

  constructor(count: number) {
    this.count = count;
    this.#free = count;
  }

  /** For the queue of any host. Calls `setLimit` with how many jobs it may take at once, whenever that changes. */
  sharedSeat(setLimit: (jobs: number) => void): Seat {
    this.#setLimit = setLimit;
    return { enter: () => this.#enter(), leave: () => this.#leave() };
  }

  /** For the host's own queue. */
  ownSeat(): Seat {
    return {
      enter: () => {
        this.#countOwn(1);
        const turn = this.#enter();
        if (turn === null) return null;
        return {
          granted: turn.granted,
          giveUp: () => {
            const left = turn.giveUp();
            if (left) this.#countOwn(-1);
            return left;
          },
        };
      },
      leave: () => {
        this.#leave();
        this.#countOwn(-1);
      },
    };
  }

  #countOwn(more: number): void {
    this.#own += more;
    this.#setLimit(Math.max(1, this.count - this.#own));
  }

  #enter(): Turn | null {
    if (this.#free > 0) {
      this.#free -= 1;
      return null;
    }
    let grant: () => void = () => {};
    const granted = new Promise<void>((resolve) => {
      grant = resolve;
    });
    this.#line.push(grant);
    return {
      granted,
      giveUp: () => {
        const place = this.#line.indexOf(grant);
        if (place !== -1) this.#line.splice(place, 1);
        return place !== -1;
      },
    };
  }

  /** The slot goes to the job that has waited longest. */
  #leave(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
