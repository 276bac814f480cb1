/** What the main thread knows of a writer thread without asking it: its AIO context, what is in flight, its last turn. */
import { monotonicMs } from './clock.ts';

/** Words of a block. */
export const THREAD_WORDS = 32;

/** 0 is free, else the worker's threadId + 1: a compare-and-swap by the thread that claims the block. */
export const THREAD_CLAIM = 0;
// Stored by the thread; once that is gone, all by the main thread.
const THREAD_IN_FLIGHT = 1;
const THREAD_CONTEXT = 2; // two words, stored as one: half an address must never be destroyed
const THREAD_TURNED = 4; // milliseconds of the monotonic clock, modulo 2^32
const THREAD_TASK = 5; // the kernel's id of the thread, or 0

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

  /** The worker's threadId, or -1 if the slot is free. */
  get threadId(): number {
    return Atomics.load(this.#words, this.#at + THREAD_CLAIM) - 1;
  }

  /** The thread's AIO context; 0 if it has none. */
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
   * When the thread's loop last began a turn, of turnTime(). A loop with something in flight turns every 100 ms, whether
   * or not anything completes; an idle one rests, and turns when it is woken. A thread that does neither is inside a call.
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

/** Now, as turns of loops are dated: milliseconds modulo 2^32, the same in every thread; differences up to 24 days count. */
export const turnTime = (): number => Math.floor(monotonicMs()) | 0;
