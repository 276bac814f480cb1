/** What one job and the main thread know of each other: progress, stop and pause, its limit, what it has open. */
import { strict as assert } from 'node:assert';
import { type AbortReason, PHASES, type Phase } from '@penstock/contract';
import { TWO_TO_32, fromWords, highWord, lowWord } from '@penstock/native';
import { PAGE_BYTES } from './arena.ts';
import { monotonicMs } from './clock.ts';
import { RateCell } from './rate.ts';

/** Why a job should stop; 0 is run on. */
export const STOP_NONE = 0;
export const STOP_CANCEL = 1;
export const STOP_SHUTDOWN = 2;
export const STOP_LOST = 3;

/** What each stop word means. */
export const STOP_REASONS: readonly (AbortReason | undefined)[] = [undefined, 'cancel', 'shutdown', 'lost'];

/** Words of a block. */
export const JOB_WORDS = 32;

// Stored by the thread that runs the job, except STOP, HELD_UNTIL, PAUSED and RATE (main thread).
const JOB_SEQUENCE = 0; // readings published so far; its lowest bit is the copy that holds the last one
const JOB_STOP = 1;
const JOB_FDS = 2; // three words, each a descriptor + 1 or 0
const JOB_FD_COUNT = 3;
const JOB_HELD_UNTIL = 5; // tenths of a second of the monotonic clock, the same in every thread; 0 is without end
const JOB_PAUSED = 6;
const JOB_ROWS_WANTED = 7; // pages of 4 KiB that it waits for; 0 is none
const JOB_COPIES = 8; // two copies of the words COPY_PHASE and following, up to word 23
const JOB_RATE = 12; // counted in doubles, so words 24 and 25: bytes a second, see rate.ts
const JOB_MAPPING = 26; // four words: the address's low and high, the length's low and high; a high word of 0 is none
const JOB_RATE_TIME = 30;
const JOB_ROWS_USED = 31; // pages that others of its thread had when it last looked
const COPY_WORDS = 8;
const COPY_PHASE = 0;
const COPY_WRITTEN_LOW = 1;
const COPY_WRITTEN_HIGH = 2;
const COPY_DURABLE_LOW = 3;
const COPY_DURABLE_HIGH = 4;
const COPY_TOTAL_LOW = 5;
const COPY_TOTAL_HIGH = 6;
const COPY_IN_FLIGHT = 7;

/** Memory that a thread has mapped: it belongs to the process, and the main thread unmaps it if the thread dies. */
export interface Mapping {
  address: number;
  /** 1 or more. */
  lengthBytes: number;
}

/** A reading of one job's block. */
export interface JobReading {
  phase: Phase;
  bytesWritten: number;
  bytesDurable: number;
  totalBytes: number;
  inFlight: number;
}

/** Row memory that a write waits for, and what the writes of its thread have. */
export interface RowsWaitedFor {
  wantedBytes: number;
  usedBytes: number;
}

/**
 * One job's words. The progress words are a seqlock over two copies: their one writer fills the copy that is not read, then
 * moves the sequence on. A writer that is preempted or dies half-way leaves the last whole reading readable (INTERNALS.md
 * argues the order).
 */
export class JobBlock {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #doubles: Float64Array;
  #rate: RateCell | undefined;
  /** Main thread: where the threads that help this job's own one publish what they do of it. */
  helpers: readonly JobBlock[] = [];
  /** Main thread: the thread that publishes here has ended what it does of the job, and others may go on. */
  hasEnded = false;

  constructor(words: Int32Array, doubles: Float64Array, at: number) {
    this.#words = words;
    this.#doubles = doubles;
    this.#at = at;
  }

  /** The job's own byte-rate limit: set by the main thread, kept to by the thread. */
  get rate(): RateCell {
    this.#rate ??= new RateCell(this.#words, this.#doubles, this.#at / 2 + JOB_RATE, this.#at + JOB_RATE_TIME);
    return this.#rate;
  }

  /** Main thread, before the job is handed to a thread. */
  reset(): void {
    this.helpers = [];
    this.hasEnded = false;
    for (let word = 0; word < JOB_WORDS; word += 1) Atomics.store(this.#words, this.#at + word, 0);
  }

  /** Thread: publishes all progress words as one reading. */
  publish(phase: number, written: number, durable: number, total: number, inFlight: number): void {
    const words = this.#words;
    const sequence = Atomics.load(words, this.#at + JOB_SEQUENCE) + 1;
    const copy = this.#copyOf(sequence);
    Atomics.store(words, copy + COPY_PHASE, phase);
    Atomics.store(words, copy + COPY_WRITTEN_LOW, lowWord(written));
    Atomics.store(words, copy + COPY_WRITTEN_HIGH, highWord(written));
    Atomics.store(words, copy + COPY_DURABLE_LOW, lowWord(durable));
    Atomics.store(words, copy + COPY_DURABLE_HIGH, highWord(durable));
    Atomics.store(words, copy + COPY_TOTAL_LOW, lowWord(total));
    Atomics.store(words, copy + COPY_TOTAL_HIGH, highWord(total));
    Atomics.store(words, copy + COPY_IN_FLIGHT, inFlight);
    Atomics.store(words, this.#at + JOB_SEQUENCE, sequence);
  }

  #copyOf(sequence: number): number {
    return this.#at + JOB_COPIES + (sequence & 1) * COPY_WORDS;
  }

  /** Main thread: the last whole reading; of a job of several threads, theirs together. */
  read(): JobReading {
    if (this.helpers.length === 0) return this.#readOwn();
    const blocks = [this, ...this.helpers];
    const readings = blocks.map((block) => block.#readOwn());
    return together(
      readings,
      readings.every(({ phase }, index) => isAtRest(phase) || blocks[index]!.hasEnded),
    );
  }

  #readOwn(): JobReading {
    const words = this.#words;
    // Each further round means that the writer published meanwhile, which takes a row's I/O: this ends at once.
    for (;;) {
      const sequence = Atomics.load(words, this.#at + JOB_SEQUENCE);
      const copy = this.#copyOf(sequence);
      const phase = Atomics.load(words, copy + COPY_PHASE);
      const writtenLow = Atomics.load(words, copy + COPY_WRITTEN_LOW);
      const writtenHigh = Atomics.load(words, copy + COPY_WRITTEN_HIGH);
      const durableLow = Atomics.load(words, copy + COPY_DURABLE_LOW);
      const durableHigh = Atomics.load(words, copy + COPY_DURABLE_HIGH);
      const totalLow = Atomics.load(words, copy + COPY_TOTAL_LOW);
      const totalHigh = Atomics.load(words, copy + COPY_TOTAL_HIGH);
      const inFlight = Atomics.load(words, copy + COPY_IN_FLIGHT);
      if (Atomics.load(words, this.#at + JOB_SEQUENCE) !== sequence) continue;
      return {
        phase: PHASES[phase] ?? 'waiting',
        bytesWritten: fromWords(writtenLow, writtenHigh),
        bytesDurable: fromWords(durableLow, durableHigh),
        totalBytes: fromWords(totalLow, totalHigh),
        inFlight,
      };
    }
  }

  /** Thread: the job waits for so much row memory, and others of the thread have so much of it. */
  waitForRows(wantedBytes: number, usedBytes: number): void {
    Atomics.store(this.#words, this.#at + JOB_ROWS_WANTED, Math.ceil(wantedBytes / PAGE_BYTES));
    Atomics.store(this.#words, this.#at + JOB_ROWS_USED, Math.ceil(usedBytes / PAGE_BYTES));
  }

  /** Main thread: what it waits for in phase 'waiting', in whole pages; `wantedBytes` is 0 if it did not have to wait. */
  rowsWaitedFor(): RowsWaitedFor {
    return {
      wantedBytes: Atomics.load(this.#words, this.#at + JOB_ROWS_WANTED) * PAGE_BYTES,
      usedBytes: Atomics.load(this.#words, this.#at + JOB_ROWS_USED) * PAGE_BYTES,
    };
  }

  /** Main thread: asks the job to stop; STOP_CANCEL, STOP_SHUTDOWN or STOP_LOST. */
  requestStop(reason: number): void {
    Atomics.store(this.#words, this.#at + JOB_STOP, reason);
  }

  /** Thread: 0, or why the job should stop. */
  get stop(): number {
    return Atomics.load(this.#words, this.#at + JOB_STOP);
  }

  /** Main thread: the job shall wait, or go on. */
  pause(paused: boolean): void {
    Atomics.store(this.#words, this.#at + JOB_PAUSED, paused ? 1 : 0);
  }

  /** Thread: true while the job shall wait. */
  get paused(): boolean {
    return Atomics.load(this.#words, this.#at + JOB_PAUSED) === 1;
  }

  /** Main thread: the job's lock is surely held for `leftMs` more milliseconds; to be called again before they are over. */
  holdFor(leftMs: number): void {
    Atomics.store(this.#words, this.#at + JOB_HELD_UNTIL, Math.max(1, tenthsNow() + Math.floor(leftMs / 100)));
  }

  /**
   * Thread: true if the lock has run out, and the main thread has not prolonged it. A process that was frozen and wakes may
   * run this thread before the one that would ask it to stop.
   */
  get lapsed(): boolean {
    const until = Atomics.load(this.#words, this.#at + JOB_HELD_UNTIL);
    return until !== 0 && tenthsNow() >= until;
  }

  /** Thread: records an open descriptor as the job's `index`th (0 to 2), or with -1 that it is closed. */
  recordFd(index: number, fd: number): void {
    assert(index >= 0 && index < JOB_FD_COUNT, `a job block has no word for descriptor ${index}`);
    Atomics.store(this.#words, this.#at + JOB_FDS + index, fd + 1);
  }

  /** Thread: records what it has mapped for the job, or with null that it is about to unmap it. */
  recordMapping(mapping: Mapping | null): void {
    const words = this.#words;
    const at = this.#at + JOB_MAPPING;
    // A high word other than 0 in the address means that there is one (user memory is mapped far above 4 GiB): it is cleared
    // first and stored last.
    Atomics.store(words, at + 1, 0);
    if (mapping === null) return;
    const { address, lengthBytes } = mapping;
    assert(address >= TWO_TO_32, `a mapping at ${address} is below what its word can tell`);
    Atomics.store(words, at + 2, lowWord(lengthBytes));
    Atomics.store(words, at + 3, highWord(lengthBytes));
    Atomics.store(words, at, lowWord(address));
    Atomics.store(words, at + 1, highWord(address));
  }

  /** Main thread: what a dead thread left mapped. */
  openMapping(): Mapping | null {
    const words = this.#words;
    const at = this.#at + JOB_MAPPING;
    const high = Atomics.load(words, at + 1);
    if (high === 0) return null;
    const address = fromWords(Atomics.load(words, at), high);
    return { address, lengthBytes: fromWords(Atomics.load(words, at + 2), Atomics.load(words, at + 3)) };
  }

  /** Main thread: descriptors that a dead thread left open. */
  openFds(): number[] {
    const fds: number[] = [];
    for (let index = 0; index < JOB_FD_COUNT; index += 1) {
      const word = Atomics.load(this.#words, this.#at + JOB_FDS + index);
      if (word > 0) fds.push(word - 1);
    }
    return fds;
  }
}

/**
 * A job is done once all of its threads are, and paused once none of them has anything under way.
 * @param atRest true if that is so: a thread that has ended is in no pause, and not done if files of it have failed
 */
function together(readings: readonly JobReading[], atRest: boolean): JobReading {
  const sum = (field: 'bytesWritten' | 'bytesDurable' | 'totalBytes' | 'inFlight'): number =>
    readings.reduce((total, reading) => total + reading[field], 0);
  const { phase } = readings[0]!;
  const isOne = readings.every((reading) => reading.phase === phase);
  const isPaused = atRest && readings.some((reading) => reading.phase === 'paused');
  return {
    phase: isOne ? phase : isPaused ? 'paused' : 'writing',
    bytesWritten: sum('bytesWritten'),
    bytesDurable: sum('bytesDurable'),
    totalBytes: sum('totalBytes'),
    inFlight: sum('inFlight'),
  };
}

const isAtRest = (phase: Phase): boolean => phase === 'done' || phase === 'paused';

const tenthsNow = (): number => Math.floor(monotonicMs() / 100);
