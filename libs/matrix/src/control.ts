/**
 * The control words that the main thread and the writer threads share: one block per job (progress, stop flag, open
 * descriptors) and one block per thread (its AIO context, how much is in flight, and when its loop turned last). Word by
 * word in INTERNALS.md.
 */
import { strict as assert } from 'node:assert';
import { TWO_TO_32, fromWords, highWord, lowWord, native } from '@penstock/native';
import { PAGE_BYTES } from './arena.ts';
import { type AbortReason, PHASES, type Phase } from '@penstock/contract';
import { monotonicMs } from './clock.ts';
import { RateCell } from './rate.ts';

/** Why a job should stop; 0 is run on. */
export const STOP_NONE = 0;
export const STOP_CANCEL = 1;
export const STOP_SHUTDOWN = 2;
export const STOP_LOST = 3;

/** What each stop word means. */
export const STOP_REASONS: readonly (AbortReason | undefined)[] = [undefined, 'cancel', 'shutdown', 'lost'];

// Two 64-byte cache lines a block, which processors fetch in pairs: threads share no line that one of them writes.
const BLOCK_WORDS = 32;
const BLOCK_BYTES = 128;

// Job block. Writer: the thread that runs the job, except STOP, HELD_UNTIL, PAUSED and RATE (main thread).
const JOB_SEQUENCE = 0; // readings published so far; its lowest bit says in which copy the last one stands
const JOB_STOP = 1;
const JOB_FDS = 2; // three words, each a descriptor + 1 or 0
const JOB_FD_COUNT = 3;
const JOB_MAPPING = 26; // four words: the address's low and high, the length's low and high; a high word of 0 is none
const JOB_HELD_UNTIL = 5; // tenths of a second of the monotonic clock, the same in every thread; 0 is for ever
const JOB_ROWS_WANTED = 7; // pages of 4 KiB that it waits for; 0 is none
const JOB_ROWS_USED = 31; // and those that others of its thread had when it last looked
const JOB_PAUSED = 6;
const JOB_RATE = 12; // counted in doubles, so words 24 and 25: bytes a second, see rate.ts
const JOB_RATE_TIME = 30;
const JOB_COPIES = 8; // two copies of the words below
const COPY_WORDS = 8;
const COPY_PHASE = 0;
const COPY_WRITTEN_LOW = 1;
const COPY_WRITTEN_HIGH = 2;
const COPY_DURABLE_LOW = 3;
const COPY_DURABLE_HIGH = 4;
const COPY_TOTAL_LOW = 5;
const COPY_TOTAL_HIGH = 6;
const COPY_IN_FLIGHT = 7;

// Thread block. Writer: the thread, except CLAIM (compare-and-swap by whoever claims or reclaims).
const THREAD_CLAIM = 0; // 0 free, else the worker's threadId + 1
const THREAD_IN_FLIGHT = 1;
const THREAD_CONTEXT = 2; // two words, stored as one: half an address must never be destroyed
const THREAD_TURNED = 4; // milliseconds of the monotonic clock, modulo 2^32
const THREAD_TASK = 5; // the kernel's id of the thread, or 0

/** Memory of this process that belongs to no thread: mapped by one, and left to the main thread if that one dies. */
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

/** The shared words of one host: made by the main thread, handed to every writer thread. */
export class Control {
  readonly buffer: SharedArrayBuffer;
  readonly threads: number;
  readonly jobs: number;
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  /** @param buffer the buffer of the Control that the main thread made for as many threads and jobs */
  constructor(threads: number, jobs: number, buffer?: SharedArrayBuffer) {
    this.threads = threads;
    this.jobs = jobs;
    const blocks = threads + jobs;
    this.buffer = buffer ?? new SharedArrayBuffer((blocks + 1) * BLOCK_BYTES);
    assert(this.buffer.byteLength === (blocks + 1) * BLOCK_BYTES, 'a Control was made over a buffer of another shape');
    // V8 aligns a SharedArrayBuffer to 16 bytes. Its address, and so the start, is the same in every thread.
    const start = BLOCK_BYTES - (native.addressOf(new Uint8Array(this.buffer)) % BLOCK_BYTES);
    this.#words = new Int32Array(this.buffer, start, blocks * BLOCK_WORDS);
    this.#doubles = new Float64Array(this.buffer, start, (blocks * BLOCK_WORDS) / 2);
  }

  /** The block of job slot `index` (0 to jobs - 1). */
  job(index: number): JobBlock {
    assert(index >= 0 && index < this.jobs, `there is no job slot ${index}`);
    return new JobBlock(this.#words, this.#doubles, (this.threads + index) * BLOCK_WORDS);
  }

  /** The block of thread slot `index` (0 to threads - 1). */
  thread(index: number): ThreadBlock {
    assert(index >= 0 && index < this.threads, `there is no thread slot ${index}`);
    return new ThreadBlock(this.#words, index * BLOCK_WORDS);
  }

  /** Claims a free thread slot for the worker with `threadId`; -1 where all are taken. */
  claimThread(threadId: number): number {
    for (let index = 0; index < this.threads; index += 1) {
      if (Atomics.compareExchange(this.#words, index * BLOCK_WORDS + THREAD_CLAIM, 0, threadId + 1) !== 0) continue;
      this.thread(index).turn(); // its loop is yet to be made, and a time of 0 may lie ahead of now
      return index;
    }
    return -1;
  }
}

/**
 * One job's words. The progress words are a seqlock over two copies: the one writer fills the copy that nobody reads,
 * then moves the sequence on. A writer that is preempted or dies half-way leaves the last whole reading readable
 * (INTERNALS.md argues the order).
 */
export class JobBlock {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #doubles: Float64Array;
  #rate: RateCell | undefined;

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
    for (let word = 0; word < BLOCK_WORDS; word += 1) Atomics.store(this.#words, this.#at + word, 0);
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

  /** Main thread: the last whole reading. */
  read(): JobReading {
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

  /** Main thread: what it waits for in phase 'waiting', in whole pages; `wantedBytes` 0 where it did not have to. */
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

  /** Main thread: the job's lock is surely held for `leftMs` more milliseconds, unless this is said again. */
  holdFor(leftMs: number): void {
    Atomics.store(this.#words, this.#at + JOB_HELD_UNTIL, Math.max(1, tenthsNow() + Math.floor(leftMs / 100)));
  }

  /**
   * Thread: true if the lock has run out without word from the main thread. A process that was stopped and wakes may
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
    // The high word of the address tells that there is one (user memory is mapped far above 4 GiB): it goes first and comes last.
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

/** One thread's words. */
export class ThreadBlock {
  readonly #words: Int32Array;
  readonly #at: number;
  readonly #context: BigInt64Array;

  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at;
    this.#context = new BigInt64Array(words.buffer, words.byteOffset + (at + THREAD_CONTEXT) * 4, 1);
  }

  /** The worker's threadId, or -1 where the slot is free. */
  get threadId(): number {
    return Atomics.load(this.#words, this.#at + THREAD_CLAIM) - 1;
  }

  /** The thread's AIO context; 0 where it has none. */
  get context(): number {
    return Number(Atomics.load(this.#context, 0));
  }

  set context(context: number) {
    Atomics.store(this.#context, 0, BigInt(context));
  }

  get inFlight(): number {
    return Atomics.load(this.#words, this.#at + THREAD_IN_FLIGHT);
  }

  set inFlight(inFlight: number) {
    Atomics.store(this.#words, this.#at + THREAD_IN_FLIGHT, inFlight);
  }

  /** The kernel's id of the thread (gettid(2)), stored by the thread; 0 until it has. */
  get taskId(): number {
    return Atomics.load(this.#words, this.#at + THREAD_TASK);
  }

  set taskId(taskId: number) {
    Atomics.store(this.#words, this.#at + THREAD_TASK, taskId);
  }

  /** Thread: its loop begins a turn. */
  turn(): void {
    Atomics.store(this.#words, this.#at + THREAD_TURNED, turnTime());
  }

  /**
   * When the thread's loop last began a turn, as turnTime() has it. A loop with something in flight turns every 100 ms
   * whatever becomes of that; an idle one rests, and turns when it is woken. A thread that does neither is inside
   * a call.
   */
  get turnedAt(): number {
    return Atomics.load(this.#words, this.#at + THREAD_TURNED);
  }

  /** True if the thread's loop has begun a turn since `time`, of turnTime(). */
  turnedSince(time: number): boolean {
    return ((this.turnedAt - time) | 0) > 0;
  }

  /** Main thread, after the context is destroyed: the slot can be claimed again. */
  release(): void {
    this.context = 0;
    this.inFlight = 0;
    this.taskId = 0;
    Atomics.store(this.#words, this.#at + THREAD_CLAIM, 0);
  }
}

/** Now, as turns of loops are dated: milliseconds, the same in every thread, of which only differences up to 24 days count. */
export const turnTime = (): number => Math.floor(monotonicMs()) | 0;

const tenthsNow = (): number => Math.floor(monotonicMs() / 100);
