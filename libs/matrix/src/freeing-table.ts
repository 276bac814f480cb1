/**
 * What writer threads leave to another thread to be freed: open files whose blocks go with their last descriptor, and files
 * to be cut. Word by word in INTERNALS.md.
 */
import { strict as assert } from 'node:assert';

/** Slots of one writer thread: how many files it may leave to be freed. */
export const FREEING_SLOTS = 16;

const SLOT_WORDS = 8;
// Stored by the writer thread whose slot it is, except STATE from ORDERED on, and RESULT (the thread that frees).
const STATE = 0;
const FD = 1;
const DEVICE = 2;
const RESULT = 3;
const BYTES = 2; // counted in doubles, so words 4 and 5
const END = 3; // words 6 and 7

/** Behind the slots: orders carried out, modulo 2^32 (the thread that frees). */
const COUNT_WORDS = 2;

const FREE = 0;
const ORDERED = 1;
const UNDER_WAY = 2;

/** Instead of where to cut a file: it is only closed. */
export const TO_CLOSE = -1;

/** An open file that is to be freed. The descriptor belongs to the table from the order on. */
export interface FreeingOrder {
  fd: number;
  /** Names its file system. */
  device: number;
  /** How much may become free. */
  bytes: number;
  /** The offset at which it is cut first, or TO_CLOSE. */
  end: number;
}

/** The shared words: made by the main thread, handed to its writer threads and to the one that frees. */
export class FreeingTable {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #slots: number;
  /** Where the last order was taken: the search for the next begins behind it, so that none waits for ever. */
  #last = 0;

  /** @param threads thread slots @param buffer of the table that the main thread made for as many */
  constructor(threads: number, buffer?: SharedArrayBuffer) {
    this.#slots = threads * FREEING_SLOTS;
    const bytes = (this.#slots * SLOT_WORDS + COUNT_WORDS) * 4;
    this.buffer = buffer ?? new SharedArrayBuffer(bytes);
    assert(this.buffer.byteLength === bytes, 'a FreeingTable was made over another shape');
    this.#words = new Int32Array(this.buffer);
    this.#doubles = new Float64Array(this.buffer);
  }

  /**
   * Writer thread: orders a file to be freed; the slot, or -1 if all of this thread's are taken.
   * @param isKept true of a slot whose result is still to be looked at
   */
  order(thread: number, { fd, device, bytes, end }: FreeingOrder, isKept: (slot: number) => boolean): number {
    for (let slot = thread * FREEING_SLOTS; slot < (thread + 1) * FREEING_SLOTS; slot += 1) {
      const at = slot * SLOT_WORDS;
      if (Atomics.load(this.#words, at + STATE) !== FREE || isKept(slot)) continue;
      this.#words[at + FD] = fd;
      this.#words[at + DEVICE] = device;
      this.#doubles[at / 2 + BYTES] = bytes;
      this.#doubles[at / 2 + END] = end;
      Atomics.store(this.#words, at + STATE, ORDERED); // last: it makes the others visible
      return slot;
    }
    return -1;
  }

  /** Writer thread: the result of the order in `slot`, 0 or -errno; null while it is not carried out. */
  resultOf(slot: number): number | null {
    const at = slot * SLOT_WORDS;
    return Atomics.load(this.#words, at + STATE) === FREE ? this.#words[at + RESULT]! : null;
  }

  /** Bytes that are not free yet; of the file system `device` alone if it is named. */
  bytesLeft(device?: number): number {
    let bytes = 0;
    for (let slot = 0; slot < this.#slots; slot += 1) {
      const at = slot * SLOT_WORDS;
      if (Atomics.load(this.#words, at + STATE) === FREE) continue;
      if (device === undefined || this.#words[at + DEVICE] === device) bytes += this.#doubles[at / 2 + BYTES]!;
    }
    return bytes;
  }

  /** What is not free yet. */
  get left(): { files: number; bytes: number } {
    let files = 0;
    for (let slot = 0; slot < this.#slots; slot += 1)
      if (Atomics.load(this.#words, slot * SLOT_WORDS + STATE) !== FREE) files += 1;
    return { files, bytes: this.bytesLeft() };
  }

  /** Orders carried out so far, modulo 2^32: it changes before the order's bytes no longer count as left. */
  get freedCount(): number {
    return Atomics.load(this.#words, this.#slots * SLOT_WORDS);
  }

  /** True while anything is not carried out. */
  get isBusy(): boolean {
    for (let slot = 0; slot < this.#slots; slot += 1)
      if (Atomics.load(this.#words, slot * SLOT_WORDS + STATE) !== FREE) return true;
    return false;
  }

  /**
   * The thread that frees: takes an order, one that a write waits for (a cut) before others; -1 if there is none. One that was
   * asked to end may still be at work as the next begins: each order is taken by one of them, for what is closed twice may be
   * another file by then.
   */
  take(): number {
    for (;;) {
      const slot = this.#nextOrdered();
      if (slot === -1) return -1;
      this.#last = slot;
      const at = slot * SLOT_WORDS + STATE;
      if (Atomics.compareExchange(this.#words, at, ORDERED, UNDER_WAY) === ORDERED) return slot;
    }
  }

  #nextOrdered(): number {
    let found = -1;
    for (let index = 1; index <= this.#slots; index += 1) {
      const slot = (this.#last + index) % this.#slots;
      if (Atomics.load(this.#words, slot * SLOT_WORDS + STATE) !== ORDERED) continue;
      if (this.orderIn(slot).end !== TO_CLOSE) return slot;
      if (found === -1) found = slot;
    }
    return found;
  }

  orderIn(slot: number): FreeingOrder {
    const at = slot * SLOT_WORDS;
    return {
      fd: this.#words[at + FD]!,
      device: this.#words[at + DEVICE]!,
      bytes: this.#doubles[at / 2 + BYTES]!,
      end: this.#doubles[at / 2 + END]!,
    };
  }

  /** The thread that frees: the order is carried out and its descriptor closed. */
  finish(slot: number, result: number): void {
    this.#words[slot * SLOT_WORDS + RESULT] = result;
    Atomics.add(this.#words, this.#slots * SLOT_WORDS, 1);
    Atomics.store(this.#words, slot * SLOT_WORDS + STATE, FREE); // last: who sees nothing left sees that it was freed
  }
}
