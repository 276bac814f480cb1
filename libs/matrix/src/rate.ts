/**
 * Byte-rate limits in shared memory: virtual scheduling (GCRA). A cell keeps the rate and the time at which the next
 * byte is due; each write moves that time on by what its bytes take at the rate. All threads that share a cell thus
 * keep one limit together, with a load and a compare-and-swap per row, and without a lock that a thread could die with.
 *
 * Time is counted in units of 16 us of the monotonic clock, the same in every thread, in a word that wraps after 19
 * hours: only differences count. What a row takes is no whole number of units; the rest is carried on to the next.
 *
 * The decision: libs/README.md#gcra.
 */
import { strict as assert } from 'node:assert';
import { alignedStart } from './aligned.ts';
import { monotonicMs } from './clock.ts';

const UNIT_US = 16;
const UNITS_PER_MS: number = 1000 / UNIT_US;
const UNITS_PER_SECOND = 1_000_000 / UNIT_US;
/** A time further ahead than this is one of hours ago: the word has wrapped since. */
const AHEAD_UNITS_MAX: number = 3600 * UNITS_PER_SECOND;
/**
 * By how much the lateness of a row is made up for, if its write was waiting to send it: a thread that wakes late must not
 * make the rate lower than it was set. In bytes it is no more than one batch of rows.
 */
const LATE_UNITS_MAX: number = 250 * UNITS_PER_MS;
const BURST_BYTES_MAX = 33_554_432;
/** The same if no write was waiting: the turns of the loop are not to the microsecond. */
const SLACK_UNITS: number = 20 * UNITS_PER_MS;

/** Now, in units, as a word that wraps. */
export function rateTime(): number {
  return Math.floor(monotonicMs() * UNITS_PER_MS) | 0;
}

/** One limit. Every thread makes its own over the same words. */
export class RateCell {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;
  readonly #rateAt: number;
  readonly #timeAt: number;
  /** A fraction of a unit: what this thread has charged too little so far. */
  #carry = 0;

  /**
   * @param doubles the memory of `words` as doubles
   * @param rateAt the double that is the rate, in bytes a second
   * @param timeAt the word of the time at which the next byte is due
   */
  constructor(words: Int32Array, doubles: Float64Array, rateAt: number, timeAt: number) {
    this.#words = words;
    this.#doubles = doubles;
    this.#rateAt = rateAt;
    this.#timeAt = timeAt;
  }

  /** Bytes a second; 0 is no limit. One aligned 8-byte load, which never sees half of a new rate. */
  get bytesPerSecond(): number {
    return this.#doubles[this.#rateAt]!;
  }

  /** Main thread: a new limit, from now on: what was charged at the old one is not waited for. */
  set(bytesPerSecond: number): void {
    assert(bytesPerSecond >= 0 && Number.isFinite(bytesPerSecond), 'a rate is 0 or more bytes a second');
    this.#doubles[this.#rateAt] = bytesPerSecond;
    Atomics.store(this.#words, this.#timeAt, rateTime());
  }

  /** Milliseconds until the next row may go; 0 or less: now. */
  waitMs(now: number): number {
    return this.#ahead(Atomics.load(this.#words, this.#timeAt), now) / UNITS_PER_MS;
  }

  /**
   * Counts `bytes` that go now. `waited` if they had to wait for their time: then a late wake-up is made up for.
   */
  charge(bytes: number, now: number, waited: boolean): void {
    const rate = this.bytesPerSecond;
    if (rate === 0) return;
    const late = waited ? Math.min(LATE_UNITS_MAX, (BURST_BYTES_MAX / rate) * UNITS_PER_SECOND) : SLACK_UNITS;
    const exact = Math.min((bytes / rate) * UNITS_PER_SECOND, AHEAD_UNITS_MAX / 2) + this.#carry;
    const units = Math.floor(exact);
    this.#carry = exact - units;
    for (;;) {
      const due = Atomics.load(this.#words, this.#timeAt);
      const from = Math.max(this.#ahead(due, now), -Math.floor(late));
      const next = (now + from + units) | 0;
      if (Atomics.compareExchange(this.#words, this.#timeAt, due, next) === due) return;
    }
  }

  /** Main thread, every few hours at least: the word wraps, and a time long past would look like one to come. */
  refresh(now: number): void {
    const due = Atomics.load(this.#words, this.#timeAt);
    // If the swap fails a row was charged meanwhile, which has refreshed the time.
    if (this.#ahead(due, now) < -LATE_UNITS_MAX)
      Atomics.compareExchange(this.#words, this.#timeAt, due, (now - LATE_UNITS_MAX) | 0);
  }

  #ahead(due: number, now: number): number {
    const ahead = (due - now) | 0;
    return ahead > AHEAD_UNITS_MAX ? -LATE_UNITS_MAX : ahead;
  }
}

// A cache line per cell: threads that write to one root do not slow down those of another.
const CELL_WORDS = 16;
const CELL_BYTES = 64;

/** The limits that all threads of a host share: one for the host, one for each of its roots. */
export class RateTable {
  readonly buffer: SharedArrayBuffer;
  readonly host: RateCell;
  /** In the order of the host's roots. */
  readonly roots: readonly RateCell[];

  /** @param buffer the buffer of the RateTable that the main thread made for as many roots */
  constructor(roots: number, buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer((roots + 2) * CELL_BYTES);
    assert(this.buffer.byteLength === (roots + 2) * CELL_BYTES, 'a RateTable was made over a buffer of another shape');
    const start = alignedStart(this.buffer, CELL_BYTES);
    const words = new Int32Array(this.buffer, start, (roots + 1) * CELL_WORDS);
    const doubles = new Float64Array(this.buffer, start, (roots + 1) * (CELL_WORDS / 2));
    const cell = (index: number): RateCell =>
      new RateCell(words, doubles, index * (CELL_WORDS / 2), index * CELL_WORDS + 2);
    this.host = cell(0);
    this.roots = Array.from({ length: roots }, (_, index) => cell(index + 1));
  }

  /** Main thread, at least every few hours. */
  refresh(): void {
    const now = rateTime();
    for (const cell of [this.host, ...this.roots]) cell.refresh(now);
  }
}
