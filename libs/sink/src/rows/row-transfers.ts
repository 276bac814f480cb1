/**
 * The reads and writes of one write's rows: begun within what its devices carry, continued after a short one, and held if
 * the file system has refused direct I/O for them.
 */
import { constants } from 'node:os';
import { IoError } from '@penstock/contract';
import { type Origin, readRefused } from '../origin/origin.ts';
import type { Target } from '../target/target.ts';
import type { WriterThread } from '../thread/thread.ts';
import { type IoFailure, READ_ROW, STALLS_MAX, WRITE_ROW } from '../thread/transfer.ts';
import { HeldTransfers } from './held-transfers.ts';
import { RowFlow } from './row-flow.ts';

const { EIO } = constants.errno;

/** What rows are written to, or read back from. */
export type TargetFile = Pick<Target, 'fd' | 'path' | 'standing' | 'direct' | 'alignment'>;

export class RowTransfers {
  /** iocbs of the target in flight. */
  targetInFlight = 0;
  /** Takes writes of any length, as the target does not by direct I/O; -1: none. */
  bufferedFd = -1;

  readonly #thread: WriterThread;
  readonly #target: TargetFile;
  readonly #origin: Origin | null;
  readonly #flow: RowFlow;
  /** null until something is refused. */
  #held: HeldTransfers | null = null;

  /** @param origin what READ_ROW reads from; null if no row is read first */
  constructor(thread: WriterThread, target: TargetFile, origin: Origin | null) {
    this.#thread = thread;
    this.#target = target;
    this.#origin = origin;
    this.#flow = flowOf(thread, target, origin);
  }

  /** The longest piece of a row that may go now; 0: none, before something has come back. */
  admit(): number {
    return this.#flow.admit();
  }

  /**
   * Begins the move of `length` bytes of the slot's row between `address` and `offset` of its file; submit() follows.
   * @param pieceBytes what of it may go at once; 0 for the write of a row that was read: as for its read
   */
  begin(slot: number, purpose: number, address: number, offset: number, length: number, pieceBytes: number): void {
    if (pieceBytes > 0) this.#flow.begin(slot, length, pieceBytes, purpose === READ_ROW);
    this.#thread.slots.begin(slot, purpose, address, offset, length);
  }

  /** Prepares what is left of the slot's read or write. */
  submit(slot: number): void {
    const { engine, slots } = this.#thread;
    const length = this.#flow.next(slot, slots.rest(slot));
    const { fd, direct, alignment } = this.#fileOf(slot);
    if (slots.purpose[slot] === READ_ROW) {
      slots.prepRest(slot, engine, fd, direct, length);
      return;
    }
    this.targetInFlight += 1;
    const isAligned = slots.length[slot]! % alignment.offset === 0;
    slots.prepRest(slot, engine, isAligned ? fd : this.bufferedFd, direct && isAligned, length);
  }

  /** The slot's iocb has come back after `latencyMs`; `isMeasured`: that is a measure of the device. */
  cameBack(slot: number, result: number, latencyMs: number, isMeasured: boolean): void {
    if (isMeasured) this.#flow.cameBack(slot, result, latencyMs);
    if (this.#thread.slots.purpose[slot] !== READ_ROW) this.targetInFlight -= 1;
  }

  /** True if `result` is all that was asked for: a row longer than a piece goes on with the next one. */
  isPiece(slot: number, result: number): boolean {
    return this.#flow.isPiece(slot, result);
  }

  /** After a short read or write of `result` bytes: submits the residual. @throws IoError if it is stuck */
  continueShort(slot: number, result: number): void {
    const { slots } = this.#thread;
    if (!slots.advance(slot, result, this.#fileOf(slot).alignment)) {
      const hint = `The kernel moved ${result} of ${slots.rest(slot)} bytes, ${STALLS_MAX} times, and gave no reason.`;
      throw new IoError({ ...this.#failure(slot, -EIO), hint });
    }
    this.submit(slot);
  }

  /** The slot's row is read, and will be written. */
  endRead(slot: number): void {
    this.#flow.endRead(slot);
  }

  /** The slot carries no row any more, and is released. */
  release(slot: number): void {
    this.#flow.end(slot);
    this.#thread.engine.releaseSlot(slot);
  }

  /** A read or write that failed; `refused`: by io_submit. */
  errorOf(slot: number, errno: number, refused: boolean): IoError {
    const failure = this.#failure(slot, errno);
    return new IoError(refused ? { ...failure, syscall: 'io_submit' } : failure);
  }

  #failure(slot: number, errno: number): IoFailure {
    const { slots } = this.#thread;
    const syscall = slots.purpose[slot] === WRITE_ROW ? 'pwrite' : 'pread';
    return slots.failure(slot, syscall, errno, this.#fileOf(slot).path);
  }

  #fileOf(slot: number): Omit<TargetFile, 'standing'> {
    return this.#thread.slots.purpose[slot] === READ_ROW ? this.#origin! : this.#target;
  }

  // --------------------------------------------------------------------------------------- direct I/O that is refused

  /** True while transfers are held that direct I/O was refused for: until they are done, no row is begun. */
  get areHeld(): boolean {
    return this.#held !== null && !this.#held.isEmpty;
  }

  /** True if the file system has refused direct I/O for it. */
  isRefusedDirect(slot: number, result: number): boolean {
    return this.#thread.slots.isRefusedDirect(slot, result, this.#fileOf(slot).alignment);
  }

  /**
   * After that refusal: a read of the source is tried again at once, through the page cache, and what is the target's is
   * held until nothing of it is in flight.
   * @returns true if the slot was prepared again; else it is released
   * @throws IoError
   */
  takeRefusal(slot: number): boolean {
    if (this.#thread.slots.purpose[slot] !== READ_ROW) return this.hold(slot);
    readRefused(this.#origin!, this.#thread.refusingDevices);
    this.submit(slot);
    return true;
  }

  /** Holds what the slot was to move, and releases the slot. */
  hold(slot: number): false {
    this.#held ??= new HeldTransfers();
    this.#held.hold(this.#thread.slots, slot);
    this.release(slot);
    return false;
  }

  /** Prepares into `slot` what was held first; false while its device carries no more. */
  submitHeld(slot: number): boolean {
    const { slots } = this.#thread;
    const pieceBytes = this.#flow.admit();
    if (pieceBytes === 0) return false;
    this.#held!.putBack(slots, slot);
    this.#flow.begin(slot, slots.length[slot]!, pieceBytes, false);
    this.submit(slot);
    return true;
  }
}

/** A mapped origin is memory, and waits for no device. */
function flowOf(thread: WriterThread, target: TargetFile, origin: Origin | null): RowFlow {
  const { flows } = thread;
  const read = origin === null || origin.mapping !== null ? null : origin;
  const { offset, memory } = target.alignment;
  const alignBytes = Math.max(offset, memory, read?.alignment.offset ?? 1, read?.alignment.memory ?? 1);
  const readFlow = read === null ? null : flows.of(read.identity);
  return new RowFlow(thread, flows.of(target.standing.identity), readFlow, alignBytes);
}
