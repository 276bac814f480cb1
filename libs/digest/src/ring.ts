/**
 * The ring between a writer thread and its digest thread: entries in shared memory, pushed by the one and carried out
 * by the other, in order. Word by word in INTERNALS.md, with the argument why no wake-up is lost.
 */

// Int32 words of the head, each on two cache lines of its own: one thread writes it, the other reads it.
const PUSHED = 0; // entries pushed so far, modulo 2^32; writer thread
const DONE = 32; // entries carried out so far, modulo 2^32; digest thread
const WAITS = 64; // 1: the writer thread wants to be woken; it sets, the digest thread takes back
const HEAD_BYTES = 384;

// An entry: six fields in 32 bytes.
const ENTRY_BYTES = 32;
const ENTRY_WORDS = 8;
const ORDER = 0;
const STREAM = 1;
const LENGTH = 2;
const CHUNK = 3;
const ENTRY_DOUBLES = 4;
const START = 2;
const POSITION = 3;

/** More than the rows that a thread has in flight; a write whose row finds no room hands it over later. */
export const RING_ENTRIES = 1024;

/** What one entry asks for; orders.ts has the meaning of each. */
export type CarryOut = (
  order: number,
  stream: number,
  start: number,
  length: number,
  chunk: number,
  position: number,
) => void;

export function createRing(): SharedArrayBuffer {
  return new SharedArrayBuffer(HEAD_BYTES + RING_ENTRIES * ENTRY_BYTES);
}

/** The writer thread's end. */
export class RingFront {
  readonly #head: Int32Array;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  /** The number of the newest entry: how many were pushed, as an Int32 that may wrap. */
  pushed = 0;

  constructor(ring: SharedArrayBuffer) {
    this.#head = new Int32Array(ring, 0, HEAD_BYTES / 4);
    this.#words = new Int32Array(ring, HEAD_BYTES);
    this.#doubles = new Float64Array(ring, HEAD_BYTES);
  }

  /** False if the ring is full. */
  push(order: number, stream: number, start: number, length: number, chunk: number, position: number): boolean {
    const undone = (this.pushed - Atomics.load(this.#head, DONE)) | 0;
    if (undone >= RING_ENTRIES) return false;
    const entry = (this.pushed >>> 0) % RING_ENTRIES;
    const word = entry * ENTRY_WORDS;
    this.#words[word + ORDER] = order;
    this.#words[word + STREAM] = stream;
    this.#words[word + LENGTH] = length;
    this.#words[word + CHUNK] = chunk;
    this.#doubles[entry * ENTRY_DOUBLES + START] = start;
    this.#doubles[entry * ENTRY_DOUBLES + POSITION] = position;
    this.pushed = (this.pushed + 1) | 0;
    Atomics.store(this.#head, PUSHED, this.pushed);
    Atomics.notify(this.#head, PUSHED, 1);
    return true;
  }

  /** True once the entry that was the `number`th to be pushed is carried out. */
  isDone(number: number): boolean {
    return ((Atomics.load(this.#head, DONE) - number) | 0) >= 0;
  }

  /** Asks to be woken when the next entry is carried out. The caller must look again afterwards: it may have happened before. */
  awaitProgress(): void {
    Atomics.store(this.#head, WAITS, 1);
  }
}

/** The digest thread's end. */
export class RingBack {
  readonly #head: Int32Array;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #wake: () => void;
  #done = 0;

  /** @param wake wakes the writer thread, called once each time that it has set the word WAITS */
  constructor(ring: SharedArrayBuffer, wake: () => void) {
    this.#head = new Int32Array(ring, 0, HEAD_BYTES / 4);
    this.#words = new Int32Array(ring, HEAD_BYTES);
    this.#doubles = new Float64Array(ring, HEAD_BYTES);
    this.#wake = wake;
  }

  /** Sleeps until an entry is there. */
  waitForEntry(): void {
    // Returns at once if the word is another one by now.
    while (Atomics.load(this.#head, PUSHED) === this.#done) Atomics.wait(this.#head, PUSHED, this.#done);
  }

  /** Carries out what is there, at most `entriesMax` entries. */
  drain(carryOut: CarryOut, entriesMax: number): void {
    for (let count = 0; count < entriesMax && Atomics.load(this.#head, PUSHED) !== this.#done; count += 1) {
      const entry = (this.#done >>> 0) % RING_ENTRIES;
      const word = entry * ENTRY_WORDS;
      carryOut(
        this.#words[word + ORDER]!,
        this.#words[word + STREAM]!,
        this.#doubles[entry * ENTRY_DOUBLES + START]!,
        this.#words[word + LENGTH]!,
        this.#words[word + CHUNK]!,
        this.#doubles[entry * ENTRY_DOUBLES + POSITION]!,
      );
      this.#done = (this.#done + 1) | 0;
      Atomics.store(this.#head, DONE, this.#done);
      // DONE is stored before WAITS is read; the writer sets WAITS before it reads DONE: so one of the two sees the other's.
      if (Atomics.load(this.#head, WAITS) === 1 && Atomics.exchange(this.#head, WAITS, 0) === 1) this.#wake();
    }
  }
}
