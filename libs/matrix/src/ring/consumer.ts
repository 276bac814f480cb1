/** The end of a row ring where bytes come out: the writer thread whose arena holds the rows. */
import { strict as assert } from 'node:assert';
import { highWord, lowWord } from '@penstock/native';
import { fromWire } from '@penstock/contract';
import { type RingBeginning, loadBeginning, storeStart } from './beginning.ts';
import { ReturnedRows } from './returned-rows.ts';
import { type RingMessage, type RingOpening, type RingOutlet, type RingRows, WAKE_UP } from './ring.ts';
import {
  ASKED,
  BEGUN,
  COPYING,
  FILLED,
  FLUSH_AFTER,
  FREED,
  GRANTS,
  INLET_ENDED,
  INLET_FAILED,
  INLET_FILLING,
  INLET_STATE,
  INLET_WAITS,
  KEEPS,
  OUTLET_CLOSED,
  OUTLET_EMPTY,
  OUTLET_READY,
  OUTLET_STATE,
  OUTLET_WAITS,
  PARTIAL,
  PLACE_HEAD,
  PLACE_ROW_BYTES,
  PLACE_ROW_COUNT,
  PLACE_ROW_STRIDE,
  PLACE_START_HIGH,
  PLACE_START_LOW,
  PLACE_THREAD,
  STANDS,
  TAIL,
  TAIL_GRANT,
  FLUSHES_ASKED,
  FLUSHES_DONE,
  ringWords,
  takeWait,
} from './words.ts';

const FIRST_BYTE = { offset: 0, identity: null };

/** Called on the event loop of the writer thread. */
export interface RingListener {
  /** There may be something to take after take() had nothing. */
  arrived(): void;
  /** The producer reports that its source failed, and why. Once, and not after close(). */
  failed(error: Error): void;
  /** The producer's thread is gone, and the producer had neither ended nor failed. Once, and not after close(). */
  abandoned(): void;
}

/**
 * Takes the rows of one write as they are filled, and gives them back in any order. Allocates nothing by row.
 *
 * Rows are the producer's between grant() and withdraw(). If one of them is half full when they are taken away, its bytes
 * up to the last whole block are taken as a row as well, and those behind go into the first row of the next grant.
 */
export class RingConsumer {
  /** Bytes of the row that take() returned last. */
  takenBytes = 0;
  /** Bytes of all rows that were taken half full, as withdraw() took the rows away. */
  cutTotal = 0;

  readonly #outlet: RingOutlet;
  readonly #words: Int32Array;
  readonly #listener: RingListener;
  #closed = false;
  #producerGone = false;
  #waits = false;

  #align = 1;
  /** How often there have been rows, modulo 2^32. */
  #grants = 0;
  /** Bytes that stood at the start of the first row when it was granted, and full rows that were taken by then. */
  #head = 0;
  #takenBefore = 0;
  #rowBytes = 0;
  /** 0 while there are none. */
  #rowCount = 0;
  /** withdraw() was called; and then no copy into these rows was under way any more. */
  #withdrawn = false;
  #quiet = false;
  /** Bytes of the row that was not full when its rows were taken away, which were taken as a row. */
  #cut = 0;
  #cutTaken = false;
  /** Rows taken so far, modulo 2^32, and the next one. */
  #taken = 0;
  #nextRow = 0;
  #tailTaken = false;
  readonly #returned = new ReturnedRows();

  constructor(outlet: RingOutlet, listener: RingListener) {
    this.#outlet = outlet;
    this.#words = ringWords(outlet.control);
    this.#listener = listener;
    outlet.port.on('message', (message: RingMessage) => this.#receive(message));
    outlet.port.on('close', () => this.#afterPortClosed());
  }

  /** The write has its file: the producer may declare where it begins, and ask for rows. */
  begin({ thread, head, align, startAt = FIRST_BYTE }: RingOpening): void {
    const words = this.#words;
    this.#align = align;
    this.#head = head;
    Atomics.store(words, PLACE_THREAD, thread);
    storeStart(words, startAt);
    Atomics.store(words, OUTLET_STATE, OUTLET_EMPTY);
    this.#wakeInlet();
  }

  /** Rows are there: the producer may fill them, from `carriedBytes` of the first on. */
  grant({ start, rowStride, rowBytes, rowCount }: RingRows): void {
    const words = this.#words;
    const carried = this.carriedBytes;
    // If nothing was pushed into the last rows, the new ones begin with the same head.
    if (carried > 0 || this.#cut > 0 || this.#taken !== this.#takenBefore) this.#head = carried;
    this.#takenBefore = this.#taken;
    this.#withdrawn = false;
    this.#quiet = false;
    this.#cut = 0;
    this.#cutTaken = false;
    this.#rowBytes = rowBytes;
    this.#rowCount = rowCount;
    this.#nextRow = 0;
    this.#returned.restart(rowCount, this.#taken); // the row that was cut is none of the full ones
    Atomics.store(words, FREED, this.#taken);
    // The producer's word, but it stores none while it has no rows.
    if (this.#grants !== 0) Atomics.store(words, PARTIAL, carried);
    Atomics.store(words, PLACE_START_LOW, lowWord(start));
    Atomics.store(words, PLACE_START_HIGH, highWord(start));
    Atomics.store(words, PLACE_ROW_STRIDE, rowStride);
    Atomics.store(words, PLACE_ROW_BYTES, rowBytes);
    Atomics.store(words, PLACE_ROW_COUNT, rowCount);
    Atomics.store(words, PLACE_HEAD, this.#head);
    this.#grants = (this.#grants + 1) | 0;
    Atomics.store(words, GRANTS, this.#grants);
    Atomics.store(words, OUTLET_STATE, OUTLET_READY);
    this.#wakeInlet();
  }

  /** The producer fills no further row. What it has filled is still to be taken, until `isEmptied`. */
  withdraw(): void {
    this.#withdrawn = true;
    Atomics.store(this.#words, OUTLET_STATE, OUTLET_EMPTY);
    this.#wakeInlet(); // one that waits for a row to come free has to ask for others
  }

  /** True once withdrawn rows hold nothing that is to be taken, but for `carriedBytes`. */
  get isEmptied(): boolean {
    if (!this.#isQuiet()) return false;
    const ended = Atomics.load(this.#words, INLET_STATE) === INLET_ENDED;
    if (Atomics.load(this.#words, FILLED) !== this.#taken) return false;
    if (this.#cutTaken) return true;
    return ended ? this.#tailBytes() === 0 || this.#tailTaken : this.#wholeBlocks() === 0;
  }

  /**
   * To be called once `isEmptied` was true: other writes may have the rows from now on, and `carriedBytes` are kept for the
   * next grant. If the producer has ended in between, those are its last, and `wantsRows` asks for rows to take them.
   */
  leaveRows(): void {
    const isTaken = Atomics.load(this.#words, FILLED) === this.#taken;
    assert(this.#isQuiet() && isTaken, 'rows of a ring were given away that hold bytes');
    this.#rowCount = 0;
  }

  /** Bytes at the start of the first row of the next grant: those of the row that was not full, from `cutBytes` on. */
  get carriedBytes(): number {
    return Math.max(0, Atomics.load(this.#words, PARTIAL) - this.#cut);
  }

  /** Bytes at the start of the row that is not full that were taken as a row, when its rows were taken away. */
  get cutBytes(): number {
    return this.#cut;
  }

  /** True while there are no rows and the producer wants some, or has ended with bytes left; else the listener is called then. */
  get wantsRows(): boolean {
    if (this.#rowCount > 0 || this.#closed) return false;
    if (this.#lacksRows()) return true;
    this.#waits = true;
    Atomics.store(this.#words, OUTLET_WAITS, 1);
    return this.#lacksRows(); // looked at once more, as in take()
  }

  #lacksRows(): boolean {
    const state = Atomics.load(this.#words, INLET_STATE);
    if (state === INLET_ENDED) return !this.#tailTaken && this.#tailBytes() > 0;
    return state === INLET_FILLING && this.isAsked;
  }

  /** True while the producer has bytes that found no row. */
  get isAsked(): boolean {
    return Atomics.load(this.#words, ASKED) === 1;
  }

  /** After withdraw(): no copy is under way, and none will be. */
  #isQuiet(): boolean {
    if (!this.#withdrawn || this.#quiet) return this.#quiet;
    this.#quiet = this.#producerGone || Atomics.load(this.#words, COPYING) === 0;
    return this.#quiet;
  }

  /** Of the row that is not full. */
  #wholeBlocks(): number {
    const bytes = Atomics.load(this.#words, PARTIAL);
    return bytes - (bytes % this.#align);
  }

  /** Once the producer has ended: the bytes behind the full rows that were not taken with the row that was cut. */
  #tailBytes(): number {
    const words = this.#words;
    const tail = Atomics.load(words, TAIL);
    if (tail === 0) return 0;
    // A producer that has not found these rows yet has put nothing behind their head.
    return Atomics.load(words, TAIL_GRANT) === this.#grants ? tail - this.#cut : this.#head;
  }

  /**
   * Where the producer has begun, and what it knows of its source: at the offset that was asked for, or at 0 if those bytes
   * cannot be had any more, and then what stands in the file is to be written anew. Known before the first row is; null
   * until then, and the listener is called as after take(). A producer need not declare it.
   */
  beginning(): RingBeginning | null {
    const words = this.#words;
    if (Atomics.load(words, BEGUN) === 0) {
      this.#waits = true;
      Atomics.store(words, OUTLET_WAITS, 1);
      if (Atomics.load(words, BEGUN) === 0) return null; // looked at once more, as in take()
    }
    return loadBeginning(words);
  }

  /** True once the producer has ended and every row of it was taken. */
  get exhausted(): boolean {
    const words = this.#words;
    // The state first: the count of full rows and the tail are final once it is INLET_ENDED.
    if (Atomics.load(words, INLET_STATE) !== INLET_ENDED) return false;
    return Atomics.load(words, FILLED) === this.#taken && (this.#tailTaken || this.#tailBytes() === 0);
  }

  /** The next filled row, its bytes in `takenBytes`; -1 if there is none, and then the listener is called for the next. */
  take(): number {
    if (!this.#somethingFilled()) {
      this.#waits = true;
      Atomics.store(this.#words, OUTLET_WAITS, 1);
      // Once more: for what came before the producer could see the word it posts no wake-up.
      if (!this.#somethingFilled()) return -1;
    }
    if (this.#waits) {
      this.#waits = false;
      Atomics.store(this.#words, OUTLET_WAITS, 0);
    }
    const row = this.#nextRow;
    if (!this.#cutTaken) this.#nextRow = row + 1 === this.#rowCount ? 0 : row + 1;
    return row;
  }

  /** Takes the next row into account, if there is one. */
  #somethingFilled(): boolean {
    const words = this.#words;
    const quiet = this.#isQuiet(); // first: what is filled is final then
    const state = Atomics.load(words, INLET_STATE); // before FILLED, as in `exhausted`
    if (state === INLET_FAILED || this.#closed || this.#rowCount === 0 || this.#cutTaken) return false;
    if (Atomics.load(words, FILLED) !== this.#taken) {
      this.takenBytes = this.#rowBytes;
      this.#taken = (this.#taken + 1) | 0;
      return true;
    }
    if (state === INLET_ENDED) {
      const tail = this.#tailTaken ? 0 : this.#tailBytes();
      if (tail === 0) return false;
      this.takenBytes = tail;
      this.#tailTaken = true;
      return true;
    }
    const cut = quiet ? this.#wholeBlocks() : 0;
    if (cut === 0) return false;
    this.takenBytes = cut;
    this.#cut = cut;
    this.cutTotal += cut;
    this.#cutTaken = true;
    return true;
  }

  /** Full rows taken so far, modulo 2^32. */
  get takenCount(): number {
    return this.#taken;
  }

  /** Full rows that there have been, modulo 2^32. */
  get filledCount(): number {
    return Atomics.load(this.#words, FILLED);
  }

  /** The row that is being filled, once all full ones are taken; if it was cut, `partialBytes` stand from `cutBytes` on. */
  get partialRow(): number {
    return this.#nextRow;
  }

  /**
   * Bytes in the row that is being filled, its head included: they stay as they are while it is not taken. 0 if a full row
   * is to be taken first, and once the producer has ended or failed.
   */
  get partialBytes(): number {
    const words = this.#words;
    if (Atomics.load(words, FILLED) !== this.#taken) return 0;
    const bytes = this.carriedBytes;
    if (Atomics.load(words, INLET_STATE) !== INLET_FILLING) return 0;
    // If the row became full meanwhile, what was loaded may be the byte count of the row behind it.
    return Atomics.load(words, FILLED) === this.#taken ? bytes : 0;
  }

  /** How often the producer has asked for a flush, modulo 2^32. */
  get flushesAsked(): number {
    return Atomics.load(this.#words, FLUSHES_ASKED);
  }

  /** After how many milliseconds a row goes out that is not full: 0 is the default, -1 never. */
  get flushAfterMs(): number {
    return Atomics.load(this.#words, FLUSH_AFTER);
  }

  /** True if what is written stays in the file though the source fails. */
  get keepsWritten(): boolean {
    return Atomics.load(this.#words, KEEPS) === 1;
  }

  /** Answers the first `asked` flushes: what was pushed before each of them is in the file, as durably as it is to be. */
  answerFlushes(asked: number): void {
    const words = this.#words;
    if (Atomics.load(words, FLUSHES_DONE) === asked) return;
    Atomics.store(words, FLUSHES_DONE, asked);
    Atomics.notify(words, FLUSHES_DONE); // a process that ends cannot hear the message
    if (!this.#closed) this.#outlet.port.postMessage(WAKE_UP satisfies RingMessage);
  }

  /** The producer has neither ended nor failed. */
  get isFilling(): boolean {
    return Atomics.load(this.#words, INLET_STATE) === INLET_FILLING;
  }

  /** Declares the file to be as it will stay, whatever is left to be done: a thread that blocks for that wakes. */
  confirmEnd(): void {
    Atomics.store(this.#words, STANDS, 1);
    Atomics.notify(this.#words, FLUSHES_DONE);
  }

  /** A row that was taken may be filled again. In any order; the producer gets them in that of the ring. */
  release(row: number): void {
    if (!this.#returned.take(row)) return;
    Atomics.store(this.#words, FREED, this.#returned.count);
    if (!this.#withdrawn) this.#wakeInlet();
  }

  /**
   * Takes no more bytes, lets the producer know, and calls the listener no more. True if no copy into the rows is under way:
   * only then may another write get them. If one is, its end is to be waited for, and this called again.
   */
  close(): boolean {
    this.#closed = true;
    Atomics.store(this.#words, OUTLET_STATE, OUTLET_CLOSED);
    // After the store: a producer that has not begun a copy by now sees that the ring is closed.
    if (!this.#producerGone && Atomics.load(this.#words, COPYING) === 1) return false;
    this.#outlet.port.close(); // not before: by the end of its port a thread is known that ended amid a copy
    return true;
  }

  #wakeInlet(): void {
    if (takeWait(this.#words, INLET_WAITS)) this.#outlet.port.postMessage(WAKE_UP satisfies RingMessage);
  }

  #receive(message: RingMessage): void {
    if (this.#closed) return;
    if (message === WAKE_UP) this.#listener.arrived();
    else this.#listener.failed(fromWire(message));
  }

  #afterPortClosed(): void {
    this.#producerGone = true;
    if (this.#closed) return;
    // Else the producer has ended, or fail() has posted why before it closed the port.
    if (Atomics.load(this.#words, INLET_STATE) === INLET_FILLING) this.#listener.abandoned();
  }
}
