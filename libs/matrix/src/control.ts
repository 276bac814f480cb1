/**
 * The control words that the main thread and the writer threads share: one block per thread (thread-block.ts), then one
 * block per job (job-block.ts). Word by word in INTERNALS.md.
 */
import { strict as assert } from 'node:assert';
import { alignedStart } from './aligned.ts';
import { JOB_WORDS, JobBlock } from './job-block.ts';
import { THREAD_CLAIM, THREAD_WORDS, ThreadBlock } from './thread-block.ts';

// Every block is two 64-byte cache lines, which processors fetch in pairs: threads share no line that one of them writes.
const BLOCK_BYTES = 128;
assert(THREAD_WORDS * 4 === BLOCK_BYTES && JOB_WORDS * 4 === BLOCK_BYTES, 'a control block has another size');

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
    const start = alignedStart(this.buffer, BLOCK_BYTES);
    this.#words = new Int32Array(this.buffer, start, (blocks * BLOCK_BYTES) / 4);
    this.#doubles = new Float64Array(this.buffer, start, (blocks * BLOCK_BYTES) / 8);
  }

  /** The block of job slot `index` (0 to jobs - 1). */
  job(index: number): JobBlock {
    assert(index >= 0 && index < this.jobs, `there is no job slot ${index}`);
    return new JobBlock(this.#words, this.#doubles, this.threads * THREAD_WORDS + index * JOB_WORDS);
  }

  /** The block of thread slot `index` (0 to threads - 1). */
  thread(index: number): ThreadBlock {
    assert(index >= 0 && index < this.threads, `there is no thread slot ${index}`);
    return new ThreadBlock(this.#words, index * THREAD_WORDS);
  }

  /** Claims a free thread slot for the worker with `threadId`; -1 if all are taken. */
  claimThread(threadId: number): number {
    for (let index = 0; index < this.threads; index += 1) {
      if (Atomics.compareExchange(this.#words, index * THREAD_WORDS + THREAD_CLAIM, 0, threadId + 1) !== 0) continue;
      this.thread(index).turn(); // its loop is yet to be made, and a time of 0 may lie ahead of now
      return index;
    }
    return -1;
  }
}
