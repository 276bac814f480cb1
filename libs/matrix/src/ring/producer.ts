/** The end of a row ring where bytes go in: any thread of the process, one at a time. */
import { performance } from 'node:perf_hooks';
import { fromWords, native } from '@penstock/native';
import { toWire } from '@penstock/contract';
import { type RingBeginning, type RingStart, loadStart, storeBeginning } from './beginning.ts';
import { BLOCKED_LOOK_MS, FlushAsks } from './flush-asks.ts';
import { type RingInlet, type RingMessage, WAKE_UP } from './ring.ts';
import {
  ASKED,
  COPYING,
  FILLED,
  FLUSH_AFTER,
  FREED,
  GRANTS,
  INLET_ENDED,
  INLET_FAILED,
  INLET_STATE,
  INLET_WAITS,
  KEEPS,
  OUTLET_CLOSED,
  OUTLET_OPENING,
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
  TAIL,
  TAIL_GRANT,
  ringWords,
  takeWait,
} from './words.ts';

/**
 * Fills the rows of one write. Backpressure is the rows: `push` takes what fits into free ones, and `writable` waits until
 * there are some again. It ends once, by `end`, `fail` or the end of the write itself.
 */
export class RingProducer {
  /** Bytes taken so far. */
  bytesPushed = 0;

  readonly #inlet: RingInlet;
  readonly #words: Int32Array;
  readonly #onClosed: (() => void) | undefined;
  #waiting: ((writable: boolean) => void)[] = [];
  #opening: ((opened: boolean) => void)[] = [];
  readonly #flushes: FlushAsks;
  /** end() or fail() was called. */
  #over = false;
  /** The port is closed: by the writer thread at the end of its write, or by its death. */
  #gone = false;
  #closedReported = false;

  /** The word ASKED is 1. */
  #asked = false;

  // Known once rows are there, and found anew with each grant.
  #grant = 0;
  #address = 0;
  #rowStride = 0;
  #rowBytes = 0;
  #rowCount = 0;
  /** The row being filled and the bytes in it, those before its head included. */
  #row = 0;
  #rowFilled = 0;
  /** It begins beyond the first byte of its source: such a beginning is a whole block, and nothing stands before its bytes. */
  #beginsFurther = false;

  /** @param onClosed called once if the write ends before end() or fail(); the reason is the write's own to report */
  constructor(inlet: RingInlet, onClosed?: () => void) {
    this.#inlet = inlet;
    this.#words = ringWords(inlet.control);
    this.#flushes = new FlushAsks(this.#words);
    this.#onClosed = onClosed;
    inlet.port.on('message', () => this.#wake());
    inlet.port.on('close', () => {
      this.#gone = true;
      this.#wake();
    });
    inlet.port.unref(); // keeps the process alive only while something is waited for
  }

  /** True once the write takes no more bytes: it failed, was stopped, or this side has ended it. */
  get closed(): boolean {
    return this.#over || this.#gone || Atomics.load(this.#words, OUTLET_STATE) === OUTLET_CLOSED;
  }

  /** Where in its source the write wants this to begin; known once opened() or writable() has resolved with true. */
  get startAt(): RingStart {
    return loadStart(this.#words);
  }

  /** Declares, before anything is pushed, where in its source it begins: at the offset of `startAt`, or at 0 if it cannot. */
  begin(beginning: RingBeginning): void {
    this.#beginsFurther = beginning.offset > 0;
    if (this.#beginsFurther) this.#rowFilled = 0;
    storeBeginning(this.#words, beginning);
    this.#wakeOutlet();
  }

  /**
   * Copies what fits of `bytes` into free rows, and hands each row over that is full. Returns how many were taken: 0 if
   * there is no free row, none yet, or none any more.
   */
  push(bytes: Uint8Array): number {
    const words = this.#words;
    let taken = 0;
    // Stored before the state is loaded, and until the words below count what was copied: either this side sees that the
    // rows are taken away, or the side that takes them sees that a copy is under way, and waits for its end.
    Atomics.store(words, COPYING, 1);
    try {
      while (taken < bytes.byteLength && this.#hasFreeRow()) {
        if (Atomics.load(words, GRANTS) !== this.#grant) this.#findRows();
        const part = Math.min(this.#rowBytes - this.#rowFilled, bytes.byteLength - taken);
        const address = this.#address + this.#row * this.#rowStride + this.#rowFilled;
        native.copyTo(address, part === bytes.byteLength ? bytes : bytes.subarray(taken, taken + part));
        taken += part;
        this.#rowFilled += part;
        if (this.#rowFilled === this.#rowBytes) this.#handOver();
      }
      if (taken > 0) this.#countPushed(taken);
    } finally {
      Atomics.store(words, COPYING, 0);
    }
    return taken;
  }

  #countPushed(taken: number): void {
    this.bytesPushed += taken;
    Atomics.store(this.#words, PARTIAL, this.#rowFilled);
    if (!this.#asked) return;
    this.#asked = false;
    Atomics.store(this.#words, ASKED, 0);
  }

  /**
   * How the write treats what was pushed: `keeps` it in the file though the source fails later; a row that is not filled
   * goes out `flushAfterMs` after its first bytes came (-1: never). To be called before the first push.
   */
  arrange({ keeps, flushAfterMs }: { keeps: boolean; flushAfterMs: number | undefined }): void {
    Atomics.store(this.#words, KEEPS, keeps ? 1 : 0);
    if (flushAfterMs !== undefined) Atomics.store(this.#words, FLUSH_AFTER, flushAfterMs === 0 ? 1 : flushAfterMs);
  }

  /**
   * Resolves with true once all that was pushed is in the file, as durably as the write is to be; with false if the write
   * ended first, and then its own end reports what became of the bytes.
   */
  flush(): Promise<boolean> {
    const flushed = this.#flushes.answered(this.#askFlush());
    this.#inlet.port.ref();
    this.#wake();
    return flushed;
  }

  #askFlush(): number {
    const asked = this.#flushes.ask();
    this.#wakeOutlet();
    return asked;
  }

  /**
   * For a thread that cannot await anything any more: asks for a flush, and returns a function that blocks the thread until
   * all that was pushed is in the file and the file ends there, or until `deadline` (of performance.now()).
   */
  standing(): (deadline: number) => void {
    if (this.bytesPushed === 0) return () => {};
    const asked = this.#askFlush();
    return (deadline) => this.#flushes.block(asked, deadline);
  }

  /**
   * For a thread that cannot await anything any more: pushes what `next` hands out, piece by piece until it has none, and
   * blocks the thread while there are no rows for it, but not beyond `deadline` (of performance.now()). Returns null once
   * all is pushed, else what is left of the piece that found no row.
   */
  pushBlocked(next: () => Uint8Array | null, deadline: number): Uint8Array | null {
    const words = this.#words;
    for (let piece = next(); piece !== null; piece = next()) {
      let taken = this.push(piece);
      while (taken < piece.byteLength) {
        const leftMs = deadline - performance.now();
        if (this.closed || leftMs <= 0) return piece.subarray(taken);
        this.#askForRows();
        const freed = Atomics.load(words, FREED);
        // In slices: rows may also be granted, which is another word.
        if (!this.#hasFreeRow()) Atomics.wait(words, FREED, freed, Math.min(leftMs, BLOCKED_LOOK_MS));
        taken += this.push(piece.subarray(taken));
      }
    }
    return null;
  }

  /** Resolves with true once the write has its file, with or without rows; with false if it has ended first. */
  opened(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#opening.push(resolve);
      this.#inlet.port.ref();
      this.#wake();
    });
  }

  /** Asks for rows. Resolves once push() takes at least one byte (true), or never will again (false). */
  writable(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#inlet.port.ref();
      this.#wake();
    });
  }

  /** Pushes all of `bytes`, waiting for rows in between; `bytes` must not change meanwhile. False if the write is over. */
  async pushAll(bytes: Uint8Array): Promise<boolean> {
    let taken = this.push(bytes);
    while (taken < bytes.byteLength) {
      // That is the backpressure.
      if (!(await this.writable())) return false;
      taken += this.push(bytes.subarray(taken));
    }
    return !this.closed;
  }

  /** All bytes are pushed: the write may end. Without effect if it has ended, or after fail(). */
  end(): void {
    if (this.#over) return;
    // The tail first: a side that sees the ring ended takes the tail for final. A head alone is no tail.
    Atomics.store(this.#words, TAIL, this.bytesPushed === 0 ? 0 : this.#rowFilled);
    Atomics.store(this.#words, TAIL_GRANT, this.#grant);
    Atomics.store(this.#words, INLET_STATE, INLET_ENDED);
    this.#leave();
  }

  /** The source has failed: the write fails with `error`. Without effect if it has ended, or after end(). */
  fail(error: unknown): void {
    if (this.#over) return;
    this.#inlet.port.postMessage(toWire(error) satisfies RingMessage);
    Atomics.store(this.#words, INLET_STATE, INLET_FAILED);
    this.#leave();
  }

  #leave(): void {
    this.#over = true;
    this.#wakeOutlet();
    this.#wake(); // who waits for rows gets none any more
    this.#inlet.port.close(); // messages posted before it still arrive
  }

  /** True if push() takes something, unless the rows are taken away first. */
  #hasFreeRow(): boolean {
    const words = this.#words;
    if (this.#over || this.#gone || Atomics.load(words, OUTLET_STATE) !== OUTLET_READY) return false;
    if (Atomics.load(words, GRANTS) !== this.#grant) return true; // newer rows than this side has found, and all free
    const unfreed = (Atomics.load(words, FILLED) - Atomics.load(words, FREED)) | 0;
    return unfreed < this.#rowCount;
  }

  /** Called within a push alone: rows are not taken away while COPYING is 1. */
  #findRows(): void {
    const words = this.#words;
    this.#grant = Atomics.load(words, GRANTS);
    const { buffer, start } = this.#inlet.arenas[Atomics.load(words, PLACE_THREAD)]!;
    const rowsStart = fromWords(Atomics.load(words, PLACE_START_LOW), Atomics.load(words, PLACE_START_HIGH));
    this.#address = native.addressOf(new Uint8Array(buffer, start)) + rowsStart;
    this.#rowStride = Atomics.load(words, PLACE_ROW_STRIDE);
    this.#rowBytes = Atomics.load(words, PLACE_ROW_BYTES);
    // Bytes that were pushed into a row that was taken away stand at the start of the first new row.
    this.#rowFilled = this.#beginsFurther && this.bytesPushed === 0 ? 0 : Atomics.load(words, PLACE_HEAD);
    this.#rowCount = Atomics.load(words, PLACE_ROW_COUNT);
    this.#row = 0;
  }

  #handOver(): void {
    this.#row = (this.#row + 1) % this.#rowCount;
    this.#rowFilled = 0;
    Atomics.store(this.#words, PARTIAL, 0); // before the row counts as full: see partialBytes of the other end
    Atomics.store(this.#words, FILLED, (Atomics.load(this.#words, FILLED) + 1) | 0);
    this.#wakeOutlet();
  }

  #wakeOutlet(): void {
    if (takeWait(this.#words, OUTLET_WAITS)) this.#inlet.port.postMessage(WAKE_UP satisfies RingMessage);
  }

  /** Resolves what is decided by now; for what is still waited for it declares that it waits, and looks once more. */
  #wake(): void {
    // Loaded once for all that follows: rows that are there now may be taken away while this runs.
    let free = this.#hasFreeRow();
    const waitsForRows = this.#waiting.length > 0 && !this.closed && !free;
    if (waitsForRows || (this.#opening.length > 0 && !this.#isOpen)) Atomics.store(this.#words, INLET_WAITS, 1);
    if (waitsForRows) {
      this.#askForRows();
      free = this.#hasFreeRow();
    }
    const { closed } = this;
    if (closed && !this.#over && !this.#closedReported) {
      this.#closedReported = true;
      this.#onClosed?.();
    }
    if (this.#flushes.areAwaited) {
      this.#flushes.resolveAnswered(closed);
      this.#unrefIfDone();
    }
    if (this.#opening.length > 0 && (closed || this.#isOpen)) this.#resolveOpened(closed);
    if (this.#waiting.length === 0 || (!closed && !free)) return;
    Atomics.store(this.#words, INLET_WAITS, 0);
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#unrefIfDone();
    for (const resolve of waiting) resolve(!closed);
  }

  get #isOpen(): boolean {
    return Atomics.load(this.#words, OUTLET_STATE) !== OUTLET_OPENING;
  }

  #resolveOpened(closed: boolean): void {
    const opening = this.#opening;
    this.#opening = [];
    this.#unrefIfDone();
    for (const resolve of opening) resolve(!closed);
  }

  /** A producer with rows is woken as they come free; for one without, the write has to stand in line for some. */
  #askForRows(): void {
    this.#asked = true;
    Atomics.store(this.#words, ASKED, 1);
    if (Atomics.load(this.#words, OUTLET_STATE) !== OUTLET_READY) this.#wakeOutlet();
  }

  /** The port keeps the process alive only while something is waited for. */
  #unrefIfDone(): void {
    if (this.#waiting.length + this.#opening.length === 0 && !this.#flushes.areAwaited) this.#inlet.port.unref();
  }
}
