/**
 * What a write that goes through the page cache has in it. The kernel would take a fifth of the memory before it held the
 * write back, and the flush, or a stop, would wait for all of that. So bytes count as in flight until they are flushed, and
 * they are flushed as soon as they are half of what may be in flight.
 *
 * Only for a write that is flushed at its end: with durability "none" the kernel writes out when it likes.
 */
import { performance } from 'node:perf_hooks';
import { IoError } from '@penstock/contract';
import type { DeviceFlow } from '../device/device-flow.ts';
import type { Target } from '../target/target.ts';
import { prepFlush, takeFlush } from '../thread/flush.ts';
import type { WriterThread } from '../thread/thread.ts';
import { SYNC_CACHE } from '../thread/transfer.ts';

export class CacheFlush {
  readonly #thread: WriterThread;
  readonly #target: Target;
  readonly #flow: DeviceFlow;
  /** Written, and not yet flushed; of that, what the flush under way covers. */
  #cachedBytes = 0;
  #flushingBytes = 0;
  /** When the first of them was written. */
  #cachedSinceMs = 0;
  #flushingSinceMs = 0;

  constructor(thread: WriterThread, target: Target) {
    this.#thread = thread;
    this.#target = target;
    this.#flow = thread.flows.of(target.standing.identity);
  }

  /** True if the write goes through the page cache, which may begin at any row: when the file system refuses direct I/O. */
  get isUsed(): boolean {
    return !this.#target.direct;
  }

  /** Counts `bytes` of the target that were written. */
  note(bytes: number): void {
    if (!this.isUsed) return;
    if (this.#cachedBytes === 0) this.#cachedSinceMs = performance.now();
    this.#cachedBytes += bytes;
    this.#flow.begin(bytes);
  }

  /** Asked whenever a row may go: what is not flushed could be all that holds it back. */
  get isDue(): boolean {
    if (this.#cachedBytes === 0 || this.#flushingBytes > 0) return false;
    return this.#flow.inFlightBytes * 2 >= this.#flow.limitBytes;
  }

  /** Prepares the flush; rows go on meanwhile. */
  prepare(slot: number): void {
    this.#flushingBytes = this.#cachedBytes;
    this.#flushingSinceMs = this.#cachedSinceMs;
    this.#cachedBytes = 0;
    prepFlush(this.#thread, slot, SYNC_CACHE, 'fdatasync', this.#target.fd);
  }

  /** Takes the flush's completion. @throws IoError */
  after(slot: number, result: number, refused: boolean, latencyMs: number): void {
    const { fd, path } = this.#target;
    const bytes = this.#flushingBytes;
    const now = this.#thread.engine.slotSubmittedAt[slot]! + latencyMs;
    const outcome = takeFlush(this.#thread, slot, 'fdatasync', fd, result, refused);
    // By itself it may take no time: what it covers was then written out by the one before.
    if (!refused) this.#flow.cameBack(bytes, now - this.#flushingSinceMs, now);
    this.#flushingBytes = 0;
    this.#flow.end(bytes, now);
    if (outcome < 0) throw new IoError({ syscall: 'fdatasync', errno: outcome, path });
  }

  /**
   * Counts what is not flushed as in flight no more: the file was flushed as a whole, or has failed, or the write is paused.
   * Nothing may be in flight.
   */
  forget(): void {
    const bytes = this.#cachedBytes + this.#flushingBytes;
    this.#cachedBytes = 0;
    this.#flushingBytes = 0;
    if (bytes > 0) this.#flow.end(bytes);
  }
}
