/** The checkpoints of one write: the one of an earlier attempt that it goes on from, and those that it records itself. */
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
import { completeFlush, prepFlush } from '../thread/flush.ts';
import type { WriterThread } from '../thread/thread.ts';
import { SYNC_CHECKPOINT } from '../thread/transfer.ts';

/** The checkpoints of one write. */
export class CheckpointTrail {
  /** How many bytes an earlier attempt has written, up to the last whole block: this one begins there. */
  resumedFrom: number;
  /** True if the file has a checkpoint, of this attempt or of the one that it goes on from. */
  isRecorded = false;

  readonly #target: Target;
  readonly #jobKey: string;
  readonly #request: WriteRequest;
  #source: string;
  #requestKey = '';
  /** How many bytes the flush that is under way makes durable; -1 if there is none. */
  #flushingBytes = -1;
  #clock: CheckpointClock | null = null;

  /**
   * @param source the version of the source, which changes whenever its bytes do; '' if the request alone decides them
   * @param o `align`: the offset alignment of the rows; `headBytes`: bytes of the first row that are not the write's own
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
   * For a URL, whose answer shows only now what it has: `source` is the server's version of its bytes, and `resumedFrom` where
   * they begin: 0 if they are not those that an earlier attempt has written.
   */
  confirmSource(source: string, resumedFrom: number): void {
    // What the checkpoint covers is overwritten next, and the source may one day have those bytes again.
    if (resumedFrom === 0 && this.#target.checkpoint !== null) removeCheckpoint(this.#target.fd);
    if (resumedFrom === 0) this.isRecorded = false;
    this.#source = source;
    this.resumedFrom = resumedFrom;
  }

  /** From here on checkpoints fall due: called for a write that would take long to repeat. */
  begin(cadence: CheckpointCadence): void {
    this.#clock = new CheckpointClock(cadence, this.resumedFrom, performance.now());
  }

  /** False if the write records no checkpoints. */
  get isKept(): boolean {
    return this.#clock !== null;
  }

  /**
   * If a checkpoint is due: records what has been written without a gap, or prepares the flush that makes it durable; rows
   * are written meanwhile.
   * @returns true if the flush took `slot`
   */
  prepare(slot: number, thread: WriterThread, rows: { bytesWritten: number; contiguousBytes: number }): boolean {
    if (this.#clock === null || this.#flushingBytes !== -1) return false;
    if (!this.#clock.isDue(rows.bytesWritten, performance.now())) return false;
    this.#clock.restart(rows.bytesWritten, performance.now());
    const bytes = rows.contiguousBytes;
    if (bytes === 0) return false;
    if (this.#request.durability !== 'fdatasync') {
      // Each write was durable by itself, or nothing has to be: a killed process loses neither.
      this.record(bytes);
      return false;
    }
    // It is no barrier for what is in flight: it covers the writes reaped before it, which are what is recorded.
    this.#flushingBytes = bytes;
    prepFlush(thread, slot, SYNC_CHECKPOINT, 'fdatasync', this.#target.fd);
    return true;
  }

  /** Takes the completion of that flush, and records what it covers; returns how many bytes are durable now. @throws IoError */
  complete(slot: number, thread: WriterThread, result: number, refused: boolean): number {
    const bytes = this.#flushingBytes;
    this.#flushingBytes = -1;
    completeFlush(thread, slot, 'fdatasync', this.#target, result, refused);
    this.record(bytes);
    return bytes;
  }

  /** Records that the first `durableBytes` of the write are durable. */
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
   * To be called before the first byte is written: removes a checkpoint that this write does not go on from, since what it
   * covers is overwritten. The next attempt of its job would take this write's bytes for its own.
   * @throws IoError
   */
  removeStale(): void {
    const { fd, path, existingBytes, unpublishedName } = this.#target;
    const fresh = existingBytes === 0 && unpublishedName !== null;
    if (this.isRecorded || fresh || !removeCheckpoint(fd)) return;
    // It must not be there again after a power loss, together with bytes that were written since.
    const result = native.fsync(fd);
    if (result < 0) throw new IoError({ syscall: 'fsync', errno: result, path });
  }

  /** All `bytes` are written and flushed, and nothing is changed any more: another attempt will find the file finished. */
  finish(bytes: number): void {
    if (!this.isKept && !this.isRecorded) return;
    const { fd, path } = this.#target;
    this.#store(bytes, timeKey(statFd(fd, path).modified));
  }

  #goOn(size: number, headBytes: number, align: number): number {
    const { checkpoint, baseOffset, existingBytes } = this.#target;
    if (checkpoint === null || checkpoint.jobKey !== this.#jobKey || checkpoint.source !== this.#source) return 0;
    if (checkpoint.request !== this.#keyOfRequest || checkpoint.durableBytes > size) return 0;
    // Another program may have cut a file that is written in place: its attributes stay.
    if (baseOffset + checkpoint.durableBytes > existingBytes) return 0;
    this.isRecorded = true;
    if (checkpoint.durableBytes === size) return size;
    // Rows begin at whole blocks: the last block, if it is not whole, is written again.
    return Math.max(0, checkpoint.durableBytes - ((headBytes + checkpoint.durableBytes) % align));
  }

  /** Computed on first use: small files never need it. */
  get #keyOfRequest(): string {
    this.#requestKey ||= requestKey(this.#request);
    return this.#requestKey;
  }
}
