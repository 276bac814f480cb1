/**
 * The row that is still being filled, on its way into the file before it is full: a while after its first bytes came, and
 * when the producer asks for it.
 *
 * What is new of it goes through the page cache, byte for byte: no padding is ever seen, the file is exactly as long as its
 * bytes, and nothing has to be cut after a crash. Once the row is full it is written again as a whole, by direct I/O; the
 * kernel writes out and drops the pages under it first.
 */
import { constants } from 'node:os';
import { IoError, type WriteRequest } from '@penstock/contract';
import { native } from '@penstock/native';
import type { RingConsumer } from '@penstock/matrix';
import type { Arrivals } from '../rows/arrivals.ts';
import type { Span } from '../target/edges.ts';
import type { SeenGrowth } from '../space/seen-growth.ts';
import type { Target } from '../target/target.ts';
import { completeFlush, prepFlush } from '../thread/flush.ts';
import type { WriterThread } from '../thread/thread.ts';
import { SYNC_PARTIAL } from '../thread/transfer.ts';
import { AskedFlush } from './asked-flush.ts';
import type { RowLease } from './row-lease.ts';

const { EIO } = constants.errno;

/** How long bytes wait in a row that does not fill up, unless the producer asks for another time. */
const FLUSH_AFTER_MS = 50;

/** How far the rows of the write are. */
export interface RowsUnderway {
  /** The position of the row that is being filled, once all full ones are taken. */
  readonly nextPosition: number;
  /** Bytes of that row which are in the file already. */
  writtenAhead: number;
}

export class PartialRow {
  /** How long after its first bytes a row that is not full goes out; Infinity: only when it is asked for. */
  readonly flushAfterMs: number;

  readonly #thread: WriterThread;
  readonly #target: Target;
  readonly #durability: WriteRequest['durability'];
  readonly #span: Span;
  readonly #lease: RowLease;
  readonly #ring: RingConsumer;
  readonly #arrivals: Arrivals;
  readonly #asked: AskedFlush;
  readonly #rows: RowsUnderway;
  /** Lets the size of the file run ahead of its bytes; null if nothing does, or no reader could see it. */
  readonly #growth: SeenGrowth | null;
  /** Takes writes of any length. -1: the target's own descriptor does, and does not wait for the disk. */
  #fd = -1;

  /** At the last write: full rows taken, bytes of the partial row in the file, and bytes cut off by then (cutTotal). */
  #writtenRow = 0;
  #writtenBytes = 0;
  #writtenCut = 0;
  #writtenEnd = 0;
  /** Something was written that no flush covers. */
  #dirty = false;

  /** Full rows taken at the last look, since when bytes wait in the partial one (0: none do), and that it is to go out. */
  #seenRow = 0;
  #unwrittenSinceMs = 0;
  #due = false;

  constructor(
    thread: WriterThread,
    target: Target,
    request: WriteRequest,
    stream: { span: Span; lease: RowLease; ring: RingConsumer; arrivals: Arrivals },
    rows: RowsUnderway,
    growth: SeenGrowth | null,
  ) {
    this.#thread = thread;
    this.#target = target;
    this.#durability = request.durability;
    this.#span = stream.span;
    this.#lease = stream.lease;
    this.#ring = stream.ring;
    this.#arrivals = stream.arrivals;
    this.#asked = new AskedFlush(stream.ring, stream.arrivals);
    this.#rows = rows;
    this.#growth = growth;
    this.#writtenBytes = stream.span.headBytes;
    const { flushAfterMs } = stream.ring;
    // Of a file without its name readers see nothing, however much of it is there.
    const seen = target.isSeen && flushAfterMs >= 0;
    this.flushAfterMs = seen ? flushAfterMs || FLUSH_AFTER_MS : Number.POSITIVE_INFINITY;
  }

  /**
   * Opens its descriptor, now, while the file's permissions still let this process in.
   * @returns it; -1 if the target's own will do
   * @throws IoError
   */
  open(): number {
    const { fd, path, direct, appendsOnly } = this.#target;
    if (!direct && this.#durability !== 'dsync') return -1;
    const flags = native.O_WRONLY | (appendsOnly ? native.O_APPEND : 0);
    this.#fd = native.openat(native.AT_FDCWD, `/proc/self/fd/${fd}`, flags, 0);
    if (this.#fd < 0) throw new IoError({ syscall: 'openat', errno: this.#fd, path: `/proc/self/fd/${fd} (${path})` });
    return this.#fd;
  }

  // ---------------------------------------------------------------------------------------- called by the row clock

  /** Asked ten times a second or more: true if the row is to go out now. */
  isDue(nowMs: number): boolean {
    const row = this.#ring.takenCount;
    const moved = row !== this.#seenRow;
    this.#seenRow = row;
    const waits = this.#ring.partialBytes > this.#written(row) || this.#growth?.isAhead === true;
    if (!waits || moved || this.#unwrittenSinceMs === 0) {
      this.#unwrittenSinceMs = waits ? nowMs : 0;
      return false;
    }
    if (nowMs - this.#unwrittenSinceMs < this.flushAfterMs) return false;
    this.#unwrittenSinceMs = 0;
    this.#due = true;
    return true;
  }

  // ------------------------------------------------------------------------------------------ called by the lane

  /** True while no further row may begin: what came before a flush was asked for is let end first. */
  get holdsRows(): boolean {
    return this.#asked.holdsRows;
  }

  /**
   * With nothing of the write in flight: writes what is there of the row, if it is time.
   * @returns true if a flush took `slot`
   * @throws IoError
   */
  prepare(slot: number): boolean {
    const asked = this.#asked.holdsRows;
    if (!asked && (!this.#due || this.#asked.isUnderWay)) return false;
    if (!this.#ring.isFilling || this.#arrivals.holdsRow) return false; // the end of the write flushes all
    if (!asked || !this.#asked.coversFullRow) this.#write();
    if (asked && this.#asked.coverFullRow()) {
      // It became full meanwhile, perhaps before all of it was written here: it goes out as a whole row.
      this.#thread.loop.wake();
      return false;
    }
    this.#due = false;
    const flushes = this.#durability === 'dsync' || (asked && this.#durability !== 'none');
    if (!flushes || !this.#dirty) {
      if (asked) this.#asked.answer();
      return false;
    }
    this.#dirty = false;
    prepFlush(this.#thread, slot, SYNC_PARTIAL, 'fdatasync', this.#target.fd);
    return true;
  }

  /** A row was written: a flush has something to do. */
  noteRow(): void {
    this.#dirty = true;
  }

  /** Takes the flush. @throws IoError */
  afterFlush(slot: number, result: number, refused: boolean): void {
    completeFlush(this.#thread, slot, 'fdatasync', this.#target, result, refused);
    if (this.#asked.isUnderWay) this.#asked.answer();
  }

  /** The file offset behind the last byte written here; 0 before the first. */
  get writtenEnd(): number {
    return this.#writtenEnd;
  }

  close(): void {
    if (this.#fd >= 0) native.close(this.#fd);
    this.#fd = -1;
  }

  // -------------------------------------------------------------------------------------------------------- bytes

  /** How much of the row behind `row` full ones is in the file, or stood there before the write began. */
  #written(row: number): number {
    if (row !== this.#writtenRow) return 0;
    // What was cut off since, as a shorter row of its own, is no longer part of it.
    return Math.max(0, this.#writtenBytes - (this.#ring.cutTotal - this.#writtenCut));
  }

  /** Writes what has come of the row since the last time, and makes the file end there. @throws IoError */
  #write(): void {
    const row = this.#ring.takenCount;
    const bytes = this.#ring.partialBytes;
    const from = this.#written(row);
    const start = this.#span.start + this.#rows.nextPosition;
    if (bytes > from) {
      this.#writeBytes(this.#lease.partialAddress + from, bytes - from, start + from);
      this.#writtenRow = row;
      this.#writtenBytes = bytes;
      this.#rows.writtenAhead = bytes;
      this.#writtenCut = this.#ring.cutTotal;
      this.#writtenEnd = start + bytes;
      this.#dirty = true;
      this.#growth?.noteWritten(start + bytes);
    }
    if (this.#growth?.isAhead === true) this.#growth.fixEnd(Math.max(start, this.#writtenEnd), false);
  }

  #writeBytes(address: number, length: number, offset: number): void {
    const fd = this.#fd >= 0 ? this.#fd : this.#target.fd;
    for (let done = 0; done < length;) {
      const result = native.pwrite(fd, address + done, length - done, offset + done);
      if (result <= 0) {
        const { path } = this.#target;
        const errno = result === 0 ? -EIO : result;
        throw new IoError({ syscall: 'pwrite', errno, path, offset: offset + done, length: length - done });
      }
      done += result;
    }
  }
}
