/**
 * What one file system has promised to writes that have not taken it yet.
 *
 * `statfs` reports what is free, the ledger how much of that is promised. A write's bytes are in one of the two: in the
 * ledger until the file system was asked after they had been allocated, from then on in its answer. So each reading
 * begins with a look at what has been taken by now, and only that leaves the ledger when the answer is there.
 *
 * The decision: libs/README.md#reservation-ends-by-statfs.
 */
import { strict as assert } from 'node:assert';

/** Bytes that one write has been promised. */
export interface Reservation {
  readonly bytes: number;
  /** Bytes of it that the file system has given out by now. Asked before each reading. */
  readonly taken: () => number;
  /** What no reading has seen yet: from `bytes` down to 0. */
  counted: number;
  released: boolean;
}

/** What had been taken when a reading began. */
export interface Snapshot {
  /** Each with the bytes that it had not taken. */
  byWrite: readonly (readonly [Reservation, number])[];
  byEnded: number;
}

export class SpaceLedger {
  /** Of all reservations that are held, and of the writes that ended since the last reading began. */
  #promised = 0;
  /** Of the latter alone: their files are there, and no reading has seen them yet. */
  #ended = 0;
  readonly #held = new Set<Reservation>();

  /** Bytes that are promised and not yet missing from the answer of `statfs`. */
  get promisedBytes(): number {
    return this.#promised;
  }

  /** Writes that hold a reservation of which something is still counted. */
  get holders(): number {
    let holders = 0;
    for (const { counted } of this.#held) if (counted > 0) holders += 1;
    return holders;
  }

  reserve(bytes: number, taken: () => number): Reservation {
    assert(Number.isFinite(bytes) && bytes >= 0, `${bytes} bytes cannot be reserved`);
    const reservation = { bytes, taken, counted: bytes, released: false };
    this.#held.add(reservation);
    this.#promised += bytes;
    return reservation;
  }

  /**
   * The write is over, well or badly. Its bytes count until the next reading: the last one may be older than the file
   * that is there now, or than the part of it that a failed attempt left. Without effect the second time.
   */
  release(reservation: Reservation): void {
    if (reservation.released) return;
    reservation.released = true;
    this.#held.delete(reservation);
    this.#ended += reservation.counted;
    reservation.counted = 0;
  }

  /** To be called right before the file system is asked. */
  beginReading(): Snapshot {
    const byWrite: [Reservation, number][] = [];
    for (const reservation of this.#held) {
      const untaken = Math.max(0, reservation.bytes - reservation.taken());
      if (untaken < reservation.counted) byWrite.push([reservation, untaken]);
    }
    return { byWrite, byEnded: this.#ended };
  }

  /** To be called when it has answered, with what beginReading() returned. */
  endReading({ byWrite, byEnded }: Snapshot): void {
    for (const [reservation, untaken] of byWrite) {
      if (reservation.released) continue; // among the ended by now, until the next reading
      this.#promised -= reservation.counted - untaken;
      reservation.counted = untaken;
    }
    this.#ended -= byEnded;
    this.#promised -= byEnded;
  }
}
