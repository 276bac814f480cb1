/**
 * A written file read back: chunk by chunk as it was written, through the same context, into the same rows; the digest
 * compares each with what it saw being written.
 */
import { constants } from 'node:os';
import { IntegrityError, IoError } from '@penstock/contract';
import { type ChunkMismatch, type FileDigest, printCrc32c } from '@penstock/digest';
import type { RowExtent, RowPlan } from '@penstock/matrix';
import { roundUp } from '@penstock/native';
import { reopenLocked } from '../target/become-buffered.ts';
import { FreeRows } from '../rows/free-rows.ts';
import { RowTransfers, type TargetFile } from '../rows/row-transfers.ts';
import type { Target } from '../target/target.ts';
import type { WriterThread } from '../thread/thread.ts';
import { READ_BACK } from '../thread/transfer.ts';

const { EIO } = constants.errno;

export class Readback {
  /** Reads reaped so far. */
  reads = 0;

  readonly #thread: WriterThread;
  /** The target, which may be read back through the page cache though it was written by direct I/O. */
  readonly #file: TargetFile;
  /** The file offset of position 0: positions are those of the rows that were written. */
  readonly #base: number;
  readonly #plan: RowPlan;
  readonly #extent: RowExtent;
  readonly #digest: FileDigest;
  readonly #freeRows: FreeRows;
  readonly #transfers: RowTransfers;
  /** By row: the chunk it reads, the chunk's position, and its length. */
  readonly #rowChunk: Int32Array;
  readonly #rowPosition: Float64Array;
  readonly #rowLength: Int32Array;
  /** The next chunk: its run among the digest's, and its position. */
  #run = 0;
  #position: number;
  #stopped = false;
  #ended = false;

  /**
   * @param base the file offset of position 0, a multiple of the offset alignment
   * @param extent row memory for `plan`; all that wrote from it is reaped, and the digest's sum is known
   */
  constructor(
    thread: WriterThread,
    target: Target,
    base: number,
    plan: RowPlan,
    extent: RowExtent,
    digest: FileDigest,
  ) {
    this.#thread = thread;
    const { fd, path, standing, direct, alignment } = target;
    this.#file = { fd, path, standing, direct, alignment };
    this.#base = base;
    this.#plan = plan;
    this.#extent = extent;
    this.#digest = digest;
    const rows = plan.bufferRows;
    this.#freeRows = new FreeRows(rows, digest);
    this.#transfers = new RowTransfers(thread, this.#file, null);
    this.#rowChunk = new Int32Array(rows);
    this.#rowPosition = new Float64Array(rows);
    this.#rowLength = new Int32Array(rows);
    this.#position = digest.runs[0]?.start ?? 0;
  }

  /** False if it reads through the page cache: as it was written, or because the file system refused direct reads. */
  get isDirect(): boolean {
    return this.#file.direct;
  }

  /** Prepares no more; what is in flight is only taken back. */
  stop(): void {
    this.#stopped = true;
  }

  /** True once every chunk is read and found to be what was written. @throws IntegrityError if one is not */
  get passed(): boolean {
    const isRead =
      this.#run === this.#digest.runs.length && !this.#transfers.areHeld && this.#transfers.targetInFlight === 0;
    if (!this.#ended && isRead) {
      this.#ended = true;
      this.#digest.endComparison();
    }
    this.#assertSame();
    return this.#digest.compared;
  }

  #assertSame(): void {
    const { mismatch } = this.#digest;
    if (mismatch !== null) throw otherBytes(this.#file.path, this.#base, mismatch);
  }

  /**
   * Prepares the next read into `slot`; false if all are, or every row is in use.
   * @throws IntegrityError if a chunk is not what was written
   */
  prepare(slot: number): boolean {
    this.#assertSame();
    if (this.#transfers.areHeld) return this.#prepareRefused(slot);
    const run = this.#digest.runs[this.#run];
    if (this.#stopped || run === undefined) return false;
    const row = this.#freeRows.peek(this.#plan.bufferRows);
    if (row === -1) return false;
    const pieceBytes = this.#transfers.admit();
    if (pieceBytes === 0) return false;
    this.#freeRows.take();
    const position = this.#position;
    const length = Math.min(this.#plan.ioBytes, run.end - position);
    this.#rowChunk[row] = run.firstChunk + (position - run.start) / this.#plan.ioBytes;
    this.#rowPosition[row] = position;
    this.#rowLength[row] = length;
    this.#position += length;
    if (this.#position === run.end) {
      this.#run += 1;
      this.#position = this.#digest.runs[this.#run]?.start ?? 0;
    }
    // Direct I/O reads whole blocks: what stands before and behind the chunk comes along.
    const align = this.#file.alignment.offset;
    const lead = position % align;
    const { slots, arena } = this.#thread;
    const wholeBytes = roundUp(lead + length, align);
    slots.carry(slot, row, position - lead);
    const offset = this.#base + position - lead;
    this.#transfers.begin(slot, READ_BACK, arena.address + this.#rowStart(row), offset, wholeBytes, pieceBytes);
    this.#transfers.submit(slot);
    return true;
  }

  /**
   * Takes the completion of a read.
   * @returns true if its slot was prepared again, for the residual; else it is released
   * @throws IoError if the read failed
   */
  complete(slot: number, result: number, refused: boolean, latencyMs: number): boolean {
    this.#transfers.cameBack(slot, result, latencyMs, !refused);
    const { slots } = this.#thread;
    this.reads += 1;
    if (result < 0 && !this.#stopped && this.#transfers.isRefusedDirect(slot, result)) {
      return this.#transfers.takeRefusal(slot);
    }
    if (result < 0) this.#fail(slot, refused ? 'io_submit' : 'pread', result);
    const row = slots.row[slot]!;
    const position = this.#rowPosition[row]!;
    const lead = position - slots.position[slot]!;
    const done = slots.done[slot]! + result;
    if (!this.#stopped && done < lead + this.#rowLength[row]!) {
      // A short read: it goes on from the last aligned offset, or the file has become shorter than it was written.
      if (!slots.advance(slot, result, this.#file.alignment)) this.#fail(slot, 'pread', -EIO);
      this.#transfers.submit(slot);
      return true;
    }
    if (!this.#stopped) {
      this.#digest.compare(row, this.#rowStart(row) + lead, this.#rowLength[row]!, position, this.#rowChunk[row]!);
    }
    this.#releaseRow(slot);
    return false;
  }

  /** Once nothing of the file is in flight: goes on through the page cache, with what was held first. @throws IoError */
  #prepareRefused(slot: number): boolean {
    if (this.#stopped) return false;
    if (this.isDirect) {
      if (this.#transfers.targetInFlight > 0) return false;
      reopenLocked(this.#file);
      this.#file.direct = false;
    }
    return this.#transfers.submitHeld(slot);
  }

  #fail(slot: number, syscall: string, errno: number): never {
    const failure = this.#thread.slots.failure(slot, syscall, errno, this.#file.path);
    this.#releaseRow(slot);
    const hint = 'These bytes were written and cannot be read back: see `dmesg` and the health of the device.';
    throw new IoError({ ...failure, hint });
  }

  #releaseRow(slot: number): void {
    this.#freeRows.put(this.#thread.slots.row[slot]!);
    this.#transfers.release(slot);
  }

  #rowStart(row: number): number {
    return this.#extent.start + row * this.#plan.rowStride;
  }
}

function otherBytes(path: string, base: number, mismatch: ChunkMismatch): IntegrityError {
  const { position, length, written, read } = mismatch;
  return new IntegrityError({
    code: 'EINTEGRITY',
    path,
    offset: base + position,
    length,
    algorithm: 'crc32c',
    expected: printCrc32c(written),
    found: printCrc32c(read),
    retryable: true,
    hint: 'The device, its cable or its controller changes bytes, or somebody else wrote to the file: see `dmesg` and `smartctl -a`.',
  });
}
