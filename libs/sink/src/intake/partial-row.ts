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
import type { RowLease } from './row-lease.ts';
import type { SeenGrowth } from '../space/seen-growth.ts';
import type { Target } from '../target/target.ts';
import { prepFlush, takeFlush } from '../thread/flush.ts';
import type { WriterThread } from '../thread/thread.ts';
import { SYNC_PARTIAL } from '../thread/transfer.ts';

const { EIO } = constants.errno;

/** Unless the producer says otherwise. */
const FLUSH_AFTER_MS = 50;

/** Where the rows of the write are. */
export interface RowsUnderway {
  /** The position of the row that is being filled, once all full ones are taken. */
  readonly nextPosition: number;
  /** Bytes of that row which are in the file already. */
  writtenAhead: number;
}

export class PartialRow {
  /** A row that is not full goes out so long after its first bytes came; Infinity: not by itself. */
  readonly flushAfterMs: number;

  readonly #thread: WriterThread;
  readonly #target: Target;
  readonly #durability: WriteRequest['durability'];
  readonly #span: Span;
  readonly #lease: RowLease;
  readonly #ring: RingConsumer;
  readonly #arrivals: Arrivals;
  readonly #rows: RowsUnderway;
  /** What makes the size of the file run ahead of its bytes; null where nobody sees it, or nothing does. */
  readonly #growth: SeenGrowth | null;
  /** For writes of any length; the target's own where that takes them and does not wait for the disk. */
  #fd = -1;

  /** Full rows that were taken when the partial one was written last, and how much of it was. */
  #writtenRow = 0;
  #writtenBytes = 0;
  #writtenCut = 0;
  /** The file offset behind the last byte written here; 0 before the first. */
  #writtenEnd = 0;
  /** True where what was written is to be flushed before it counts. */
  #dirty = false;

  /** As look() found it last. */
  #seenRow = 0;
  #unwrittenSinceMs = 0;
  #due = false;

  /** Flushes answered, modulo 2^32, and those that the flush under way answers. */
  #answered = 0;
  #answering = 0;
  /** Full rows that a flush waits for, once one was asked for; -1 while none was. */
  #goal = 0;
  #hasGoal = false;
  /** The row that was partial when the flush was asked for has become full, and is one of them. */
  #goalIsWhole = false;

  constructor(
    thread: WriterThread,
    target: Target,
    request: WriteRequest,
    o: { span: Span; lease: RowLease; ring: RingConsumer; arrivals: Arrivals },
    rows: RowsUnderway,
    growth: SeenGrowth | null,
  ) {
    this.#thread = thread;
    this.#target = target;
    this.#durability = request.durability;
    this.#span = o.span;
    this.#lease = o.lease;
    this.#ring = o.ring;
    this.#arrivals = o.arrivals;
    this.#rows = rows;
    this.#growth = growth;
    this.#writtenBytes = o.span.headBytes;
    const { flushAfterMs } = o.ring;
    // Readers see nothing of a file without its name, however much of it is there.
    const seen = target.isSeen && flushAfterMs >= 0;
    this.flushAfterMs = seen ? flushAfterMs || FLUSH_AFTER_MS : Number.POSITIVE_INFINITY;
  }

  /** Opens what it writes by: now, while the file's permissions are those that let this process in. Returns it. */
  open(): number {
    const { fd, path, direct, appendsOnly } = this.#target;
    if (!direct && this.#durability !== 'dsync') return -1;
    const flags = native.O_WRONLY | (appendsOnly ? native.O_APPEND : 0);
    this.#fd = native.openat(native.AT_FDCWD, `/proc/self/fd/${fd}`, flags, 0);
    if (this.#fd < 0) throw new IoError({ syscall: 'openat', errno: this.#fd, path: `/proc/self/fd/${fd} (${path})` });
    return this.#fd;
  }

  // ---------------------------------------------------------------------------------------------- told by the clock

  /** Ten times a second and more often: true where the lane has something to do by now. */
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
    const asked = this.#ring.flushesAsked; // first: the rows counted below are all that came before
    if (asked === this.#answered || !this.#ring.isFilling) return false;
    if (!this.#hasGoal) {
      this.#hasGoal = true;
      this.#goalIsWhole = false;
      this.#answering = asked;
      this.#goal = this.#ring.filledCount;
    }
    return this.#ring.takenCount === this.#goal && !this.#arrivals.holdsRow;
  }

  /** With nothing of the write in flight: writes what is there of the row, if it is time; true if a flush took `slot`. */
  prepare(slot: number): boolean {
    const asked = this.holdsRows;
    if (!asked && !(this.#due && !this.#hasGoal)) return false;
    if (!this.#ring.isFilling || this.#arrivals.holdsRow) return false; // the end of the write flushes all
    if (!this.#goalIsWhole || !asked) this.#write();
    if (asked && !this.#goalIsWhole && this.#ring.filledCount !== this.#goal) {
      // It is full by now, and may have become so before all of it was written here.
      this.#goal = (this.#goal + 1) | 0;
      this.#goalIsWhole = true;
      this.#thread.loop.wake();
      return false;
    }
    this.#due = false;
    const flushes = this.#durability === 'none' ? false : asked || this.#durability === 'dsync';
    if (!flushes || !this.#dirty) {
      if (asked) this.#answer();
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
    const { fd, path } = this.#target;
    const outcome = takeFlush(this.#thread, slot, 'fdatasync', fd, result, refused);
    if (outcome < 0) throw new IoError({ syscall: 'fdatasync', errno: outcome, path });
    if (this.#hasGoal) this.#answer();
  }

  #answer(): void {
    this.#hasGoal = false;
    this.#answered = this.#answering;
    this.#ring.answerFlushes(this.#answered);
  }

  /** The file offset up to which it has written; 0 where that is nothing. */
  get writtenEnd(): number {
    return this.#writtenEnd;
  }

  close(): void {
    if (this.#fd >= 0) native.close(this.#fd);
    this.#fd = -1;
  }

  // -------------------------------------------------------------------------------------------------------- bytes

  /** How much of the row behind `row` full ones is in the file, or was never the producer's. */
  #written(row: number): number {
    if (row !== this.#writtenRow) return 0;
    // What was cut off for a row of its own lies before the row.
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
