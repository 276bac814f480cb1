/** What one write records of itself while it runs, for an attempt that may have to go on, and what it goes on from. */
import { performance } from 'node:perf_hooks';
import { IoError, type WriteRequest } from '@penstock/contract';
import { native } from '@penstock/native';
import {
  type CheckpointCadence,
  CheckpointClock,
  recordCheckpoint,
  removeCheckpoint,
  requestKey,
} from '../attempt/checkpoint.ts';
import { statFd, timeKey } from '@penstock/disk';
import type { Target } from '../target/target.ts';
import { prepFlush, takeFlush } from '../thread/flush.ts';
import type { WriterThread } from '../thread/thread.ts';
import { SYNC_CHECKPOINT } from '../thread/transfer.ts';

export class CheckpointTrail {
  /** Bytes that an earlier attempt has written, up to the last whole block. */
  resumedFrom: number;
  /** What the flush under way will make durable; -1 while none is. */
  flushingBytes = -1;
  /** True where the file carries a checkpoint, of this attempt or of the one that it goes on from. */
  isRecorded = false;

  readonly #target: Target;
  readonly #jobKey: string;
  readonly #request: WriteRequest;
  #source: string;
  #requestKey = '';
  #clock: CheckpointClock | null = null;

  /**
   * @param source changes whenever the bytes of the source do; '' where the request alone decides them
   * @param o `align`: the offset alignment of its rows, of which the first has `headBytes` that are not the write's own
   */
  constructor(
    target: Target,
    request: WriteRequest,
    jobKey: string,
    source: string,
    o: { size: number; headBytes: number; align: number },
  ) {
    this.#target = target;
    this.#request = request;
    this.#jobKey = jobKey;
    this.#source = source;
    this.resumedFrom = this.#goOn(o.size, o.headBytes, o.align);
  }

  /**
   * Of a source that tells only by its answer what it has: `source` is its own word for its bytes, and `resumedFrom` where
   * they begin, which is 0 where they are others than those that were gone on from.
   */
  settle(source: string, resumedFrom: number): void {
    // What it speaks of is written over next, and the source may one day have those bytes again.
    if (resumedFrom === 0 && this.#target.checkpoint !== null) removeCheckpoint(this.#target.fd);
    if (resumedFrom === 0) this.isRecorded = false;
    this.#source = source;
    this.resumedFrom = resumedFrom;
  }

  /** From here on checkpoints fall due: for a write that a second attempt would have to repeat for long. */
  begin(cadence: CheckpointCadence): void {
    this.#clock = new CheckpointClock(cadence, this.resumedFrom, performance.now());
  }

  /** False for a write that records nothing. */
  get isKept(): boolean {
    return this.#clock !== null;
  }

  isDue(bytesWritten: number): boolean {
    if (this.#clock === null || this.flushingBytes !== -1) return false;
    return this.#clock.isDue(bytesWritten, performance.now());
  }

  /** One that covers about `bytesWritten` begins. */
  restart(bytesWritten: number): void {
    this.#clock?.restart(bytesWritten, performance.now());
  }

  /** Prepares the flush after which the first `bytes` of the write survive; rows go on meanwhile. */
  prepareFlush(slot: number, thread: WriterThread, bytes: number): void {
    // Not a barrier for what is in flight: it covers the writes reaped before, which is what is recorded.
    this.flushingBytes = bytes;
    prepFlush(thread, slot, SYNC_CHECKPOINT, 'fdatasync', this.#target.fd);
  }

  /** Takes that flush; returns the bytes that survive now. @throws IoError */
  afterFlush(slot: number, thread: WriterThread, result: number, refused: boolean): number {
    const { fd, path } = this.#target;
    const bytes = this.flushingBytes;
    this.flushingBytes = -1;
    const outcome = takeFlush(thread, slot, 'fdatasync', fd, result, refused);
    if (outcome < 0) throw new IoError({ syscall: 'fdatasync', errno: outcome, path });
    return bytes;
  }

  /** Records that the first `durableBytes` of the write survive. */
  record(durableBytes: number): void {
    if (this.#store(durableBytes)) this.isRecorded = true;
    else this.#clock = null; // no attributes on this file system
  }

  #store(durableBytes: number, finished?: string): boolean {
    return recordCheckpoint(this.#target.fd, {
      jobKey: this.#jobKey,
      request: this.#keyOfRequest,
      source: this.#source,
      durableBytes,
      ...(finished === undefined ? {} : { finished }),
    });
  }

  /**
   * Before the first byte is written: a checkpoint that this write does not go on from is true no longer, for what it
   * speaks of is overwritten. Its job's next attempt would take this write's bytes for its own.
   * @throws IoError
   */
  removeStale(): void {
    const { fd, path, existingBytes, unpublishedName } = this.#target;
    const fresh = existingBytes === 0 && unpublishedName !== null;
    if (this.isRecorded || fresh || !removeCheckpoint(fd)) return;
    // It must not be there again after a power loss either, beside bytes that were written since.
    const result = native.fsync(fd);
    if (result < 0) throw new IoError({ syscall: 'fsync', errno: result, path });
  }

  /** All `bytes` are written and flushed, and the file is changed no more: the next attempt finds it finished. */
  finish(bytes: number): void {
    if (!this.isKept && !this.isRecorded) return;
    const { fd, path } = this.#target;
    this.#store(bytes, timeKey(statFd(fd, path).modified));
  }

  #goOn(size: number, headBytes: number, align: number): number {
    const { checkpoint, baseOffset, existingBytes } = this.#target;
    if (checkpoint === null || checkpoint.jobKey !== this.#jobKey || checkpoint.source !== this.#source) return 0;
    if (checkpoint.request !== this.#keyOfRequest || checkpoint.durableBytes > size) return 0;
    // A file that stands where others can cut it keeps its attributes then.
    if (baseOffset + checkpoint.durableBytes > existingBytes) return 0;
    this.isRecorded = true;
    if (checkpoint.durableBytes === size) return size;
    // Rows begin at whole blocks: the last, broken one is written again.
    return Math.max(0, checkpoint.durableBytes - ((headBytes + checkpoint.durableBytes) % align));
  }

  /** Made when it is first asked for: small files never do. */
  get #keyOfRequest(): string {
    this.#requestKey ||= requestKey(this.#request);
    return this.#requestKey;
  }
}
