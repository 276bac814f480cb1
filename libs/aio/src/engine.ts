/**
 * The engine: one AIO context and its slots. A slot is the index of one iocb; it is free, acquired, prepared (queued
 * for the next submit), in flight, or completed. Rows and files are the caller's; this file knows only numbers.
 *
 * Nothing here allocates by slot after the constructor: typed arrays and integers, two native calls per batch.
 */
import { strict as assert } from 'node:assert';
import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { IoError } from '@penstock/contract';
import {
  EVENT_WORDS,
  IOCB_WORDS,
  IO_BYTES_MAX,
  OPCODE_FDSYNC,
  OPCODE_FSYNC,
  OPCODE_PREAD,
  OPCODE_PWRITE,
  decodeEvents,
  storeIocb,
} from './abi.ts';
import { highWord, lowWord, native } from '@penstock/native';
import type { AioPort } from './port.ts';

const { EAGAIN, EINTR } = constants.errno;

/** acquireSlot() may hand it out. */
export const SLOT_FREE = 0;
/** It belongs to the caller, and nothing is prepared in it. */
export const SLOT_ACQUIRED = 1;
/** Queued for the next submit(). */
export const SLOT_PREPARED = 2;
/** The kernel has it, or has refused it and reap() has not reported that yet. */
export const SLOT_IN_FLIGHT = 3;
/** It belongs to the caller again, with a result. */
export const SLOT_COMPLETED = 4;

/** The longest wait between two submits to a context that takes nothing though nothing is in flight. */
const BACKOFF_MS_MAX = 64;
/** Submits to such a context before it counts as broken: about half a second in all. */
const BACKOFF_TRIES_MAX = 12;

/** Builds a port over the engine's own iocbs: the ports that carry iocbs out themselves need to read them. */
export type PortFactory = (iocbs: Int32Array, iocbsAddress: number) => AioPort;

/** Records what the main thread must clean up if this thread dies. */
export interface EngineWitness {
  /**
   * Called with the context as soon as it exists, and with 0 before its destruction begins: were it called after that, a
   * thread that died in between would leave an address at which another thread may have its context by then.
   */
  onContext(context: number): void;
  /** Called with the number in flight after each submit and each reap. */
  onInFlight(inFlight: number): void;
}

/**
 * One AIO context with `depth` slots. Not thread-safe: it belongs to the thread that made it.
 *
 * The engine does not know the memory that iocbs point to. Its caller keeps that reachable until the slot is reaped or
 * destroy() has returned: memory collected while in flight is overwritten silently.
 */
export class AioEngine {
  readonly depth: number;
  readonly port: AioPort;
  /** Bytes done or -errno, by slot; valid from the reap that completed the slot until its next prep. */
  readonly slotResult: Int32Array;
  /** By slot: 1 if its result is a refusal by io_submit itself, so no I/O was ever started. */
  readonly slotRefused: Uint8Array;
  /** When the submit that took the slot began, in milliseconds of performance.now(): io_submit itself may block. */
  readonly slotSubmittedAt: Float64Array;
  /** The slots completed by the last reap(), in order of completion; valid until the next reap(). */
  readonly completedSlots: Int32Array;

  /** iocbs submitted and not yet reaped. */
  inFlight = 0;
  /** Slots prepared and not yet submitted. */
  prepared = 0;
  /** Calls of io_submit so far. */
  submitCalls = 0;
  /** Calls of io_getevents so far. */
  reapCalls = 0;
  /** Submits repeated after EAGAIN or EINTR so far. */
  retries = 0;

  readonly #iocbs: Int32Array;
  readonly #iocbsAddress: number;
  readonly #events: Int32Array;
  /** Slots in the order they will be submitted, and the addresses of their iocbs (low and high word each). */
  readonly #queue: Int32Array;
  readonly #pointers: Uint32Array;
  readonly #slotState: Uint8Array;
  readonly #freeSlots: Int32Array;
  #freeCount: number;
  /** Slots that io_submit refused, for the next reap() to report. */
  readonly #refusedSlots: Int32Array;
  #refusedCount = 0;
  #backoffTries = 0;
  #context: number;
  readonly #witness: EngineWitness | undefined;

  /**
   * @param depth iocbs that may be in flight at once; the kernel counts them against fs.aio-max-nr
   * @throws IoError naming io_setup; EAGAIN means that aio-max-nr is used up
   */
  constructor(makePort: PortFactory | AioPort, depth: number, witness?: EngineWitness) {
    this.depth = depth;
    this.slotResult = new Int32Array(depth);
    this.slotRefused = new Uint8Array(depth);
    this.slotSubmittedAt = new Float64Array(depth);
    this.completedSlots = new Int32Array(depth);
    // What the kernel sees lies on explicit buffers: V8 keeps small typed arrays on its moving heap.
    this.#iocbs = new Int32Array(new ArrayBuffer(depth * IOCB_WORDS * 4));
    this.#iocbsAddress = native.addressOf(this.#iocbs);
    this.#events = new Int32Array(new ArrayBuffer(depth * EVENT_WORDS * 4));
    this.#pointers = new Uint32Array(new ArrayBuffer(depth * 8));
    this.#queue = new Int32Array(depth);
    this.#slotState = new Uint8Array(depth);
    this.#freeSlots = Int32Array.from({ length: depth }, (_, index) => depth - 1 - index);
    this.#freeCount = depth;
    this.#refusedSlots = new Int32Array(depth);
    this.#witness = witness;
    this.port = typeof makePort === 'function' ? makePort(this.#iocbs, this.#iocbsAddress) : makePort;
    this.#context = this.port.setup(depth);
    if (this.#context < 0) throw new IoError({ syscall: 'io_setup', errno: this.#context });
    witness?.onContext(this.#context);
  }

  /** Slots that can be acquired now. */
  get freeSlots(): number {
    return this.#freeCount;
  }

  /** Takes a free slot; -1 if there is none. */
  acquireSlot(): number {
    if (this.#freeCount === 0) return -1;
    this.#freeCount -= 1;
    const slot = this.#freeSlots[this.#freeCount]!;
    this.#slotState[slot] = SLOT_ACQUIRED;
    return slot;
  }

  /** SLOT_FREE, SLOT_ACQUIRED, SLOT_PREPARED, SLOT_IN_FLIGHT or SLOT_COMPLETED. */
  stateOf(slot: number): number {
    return this.#slotState[slot]!;
  }

  #isCallers(slot: number): boolean {
    const state = this.#slotState[slot];
    return state === SLOT_ACQUIRED || state === SLOT_COMPLETED;
  }

  /** Gives back a slot that is acquired or completed. Not twice: two writes would get the same one. */
  releaseSlot(slot: number): void {
    assert(this.#isCallers(slot), "a slot was released that is not the caller's");
    this.#slotState[slot] = SLOT_FREE;
    this.#freeSlots[this.#freeCount] = slot;
    this.#freeCount += 1;
  }

  /** Prepares a write of `length` bytes from `address` to `offset` of `fd`; submitted by the next submit(). */
  prepWrite(slot: number, fd: number, address: number, length: number, offset: number): void {
    this.#prep(slot, OPCODE_PWRITE, fd, address, length, offset);
  }

  /** Prepares a read of `length` bytes at `offset` of `fd` into `address`. */
  prepRead(slot: number, fd: number, address: number, length: number, offset: number): void {
    this.#prep(slot, OPCODE_PREAD, fd, address, length, offset);
  }

  /** Prepares an fdatasync. It is no barrier: only writes reaped before it are covered. */
  prepFdatasync(slot: number, fd: number): void {
    this.#prep(slot, OPCODE_FDSYNC, fd, 0, 0, 0);
  }

  /** Prepares an fsync; works on directories too. */
  prepFsync(slot: number, fd: number): void {
    this.#prep(slot, OPCODE_FSYNC, fd, 0, 0, 0);
  }

  #prep(slot: number, opcode: number, fd: number, address: number, length: number, offset: number): void {
    assert(this.#context !== 0, 'a slot was prepared after destroy()');
    assert(this.#isCallers(slot), "a slot was prepared that is not the caller's");
    // A negative length would be read as nearly 4 GiB, far past the end of its row.
    assert(length >= 0 && length <= IO_BYTES_MAX, 'one iocb moves 0 to 0x7ffff000 bytes');
    storeIocb(this.#iocbs, slot, opcode, fd, address, length, offset);
    this.#slotState[slot] = SLOT_PREPARED;
    this.slotRefused[slot] = 0;
    this.#queue[this.prepared] = slot;
    const pointer = this.#iocbsAddress + slot * IOCB_WORDS * 4;
    this.#pointers[this.prepared * 2] = lowWord(pointer);
    this.#pointers[this.prepared * 2 + 1] = highWord(pointer);
    this.prepared += 1;
  }

  /**
   * Submits what is prepared, in one call if the kernel takes it all. What the kernel refuses outright becomes a
   * completion of the next reap() with `slotRefused` set; what it has no room for stays prepared.
   * @param untilMs no call of io_submit begins at this time of performance.now() or later
   * @returns false if the time was over with something still to submit
   * @throws IoError EAGAIN when the context takes nothing for half a second though nothing is in flight
   */
  submit(untilMs: number = Number.POSITIVE_INFINITY): boolean {
    while (this.prepared > 0) {
      const beganAt = performance.now();
      if (beganAt >= untilMs) return false;
      this.submitCalls += 1;
      const result = this.port.submit(this.#context, this.prepared, this.#pointers);
      if (result > 0) {
        this.#markSubmitted(result, beganAt);
      } else if (result === -EAGAIN || result === 0) {
        this.retries += 1;
        if (this.inFlight > 0 || this.#refusedCount > 0) return true; // reap first, then the same head again
        this.#backOff();
      } else if (result === -EINTR) {
        this.retries += 1;
      } else {
        this.#refuseHead(result, beganAt); // the kernel looks at one iocb at a time: only the head can be at fault
      }
    }
    return true;
  }

  /**
   * Takes back what is prepared and `test` names, as if io_submit had refused it with `errno`: the next reap() reports
   * it with `slotRefused` set.
   */
  withdraw(test: (slot: number) => boolean, errno: number): void {
    const now = performance.now();
    let kept = 0;
    for (let index = 0; index < this.prepared; index += 1) {
      const slot = this.#queue[index]!;
      if (test(slot)) {
        this.#refuse(slot, errno, now);
        continue;
      }
      this.#queue[kept] = slot;
      this.#pointers.copyWithin(kept * 2, index * 2, index * 2 + 2);
      kept += 1;
    }
    this.prepared = kept;
  }

  #markSubmitted(count: number, beganAt: number): void {
    assert(count <= this.prepared, 'io_submit took more than was prepared');
    for (let index = 0; index < count; index += 1) {
      const slot = this.#queue[index]!;
      this.#slotState[slot] = SLOT_IN_FLIGHT;
      this.slotSubmittedAt[slot] = beganAt;
    }
    this.#backoffTries = 0;
    this.inFlight += count;
    this.#dropHead(count);
    this.#witness?.onInFlight(this.inFlight);
  }

  #refuseHead(result: number, beganAt: number): void {
    this.#refuse(this.#queue[0]!, result, beganAt);
    this.#dropHead(1);
  }

  #refuse(slot: number, result: number, beganAt: number): void {
    this.slotResult[slot] = result;
    this.slotRefused[slot] = 1;
    this.slotSubmittedAt[slot] = beganAt;
    this.#slotState[slot] = SLOT_IN_FLIGHT; // until the reap that reports it
    this.#refusedSlots[this.#refusedCount] = slot; // not yet in completedSlots: the caller may still be reading those
    this.#refusedCount += 1;
  }

  #dropHead(count: number): void {
    this.prepared -= count;
    if (this.prepared === 0) return;
    this.#queue.copyWithin(0, count, count + this.prepared);
    this.#pointers.copyWithin(0, count * 2, (count + this.prepared) * 2);
  }

  #backOff(): void {
    this.#backoffTries += 1;
    if (this.#backoffTries > BACKOFF_TRIES_MAX) {
      this.#backoffTries = 0; // a caller that submits again waits as long again
      throw new IoError({ syscall: 'io_submit', errno: -EAGAIN });
    }
    // Blocks the thread: with nothing in flight there is nothing else it could do.
    Atomics.wait(backoffCell, 0, 0, Math.min(2 ** this.#backoffTries, BACKOFF_MS_MAX));
  }

  /**
   * Waits up to `timeoutMs` for at least one event and takes all there are. Returns how many slots completed: they
   * stand in `completedSlots`, their results in `slotResult`. A slot completed belongs to the caller, who prepares
   * it again or releases it.
   * @throws IoError naming io_getevents
   */
  reap(timeoutMs: number): number {
    const refused = this.#refusedCount;
    let completed = 0;
    if (this.inFlight > 0) {
      this.reapCalls += 1;
      const min = refused > 0 || timeoutMs === 0 ? 0 : 1;
      const result = this.port.getevents(this.#context, min, this.depth - refused, this.#events, timeoutMs);
      if (result >= 0) completed = result;
      // Thrown before anything is taken: the refusals stay for the next reap.
      else if (result !== -EINTR) throw new IoError({ syscall: 'io_getevents', errno: result });
    }
    // Refusals first. Both fit: a slot is refused or in flight, never both.
    for (let index = 0; index < refused; index += 1) this.completedSlots[index] = this.#refusedSlots[index]!;
    this.#refusedCount = 0;
    if (completed > 0) {
      decodeEvents(this.#events, completed, this.completedSlots, refused, this.slotResult);
      this.inFlight -= completed;
      this.#witness?.onInFlight(this.inFlight);
    }
    const count = refused + completed;
    for (let index = 0; index < count; index += 1) {
      const slot = this.completedSlots[index]!;
      // An event that comes twice would hand one row to two writes.
      assert(
        this.#slotState[slot] === SLOT_IN_FLIGHT,
        'io_getevents returned an event of a slot that is not in flight',
      );
      this.#slotState[slot] = SLOT_COMPLETED;
    }
    return count;
  }

  /**
   * Waits for all that is in flight, then frees the context; a second call does nothing. What completes meanwhile is
   * thrown away, with what is prepared and what was refused: no slot of this engine may be prepared any more.
   * @throws IoError naming io_destroy
   */
  destroy(): void {
    if (this.#context === 0) return; // io_getevents after io_destroy is a SIGSEGV in libaio
    const context = this.#context;
    this.#context = 0;
    this.#witness?.onContext(0);
    const result = this.port.destroy(context);
    this.inFlight = 0;
    this.prepared = 0;
    this.#refusedCount = 0;
    this.#witness?.onInFlight(0);
    if (result < 0) throw new IoError({ syscall: 'io_destroy', errno: result });
  }
}

const backoffCell = new Int32Array(new SharedArrayBuffer(4));
