/**
 * The kernel's AIO structures as word offsets into Int32Arrays: what <linux/aio_abi.h> fixes for every
 * 64-bit little-endian Linux. Nothing here calls anything.
 */
import { strict as assert } from 'node:assert';
import { endianness } from 'node:os';
import { fromWords, highWord, lowWord } from '@penstock/native';

// Every offset below names the low word first; a big-endian machine would silently swap them.
assert(endianness() === 'LE', 'penstock: kernel AIO structures are laid out for little-endian machines only');

/** Words in a `struct iocb` (64 bytes). */
export const IOCB_WORDS = 16;
const IOCB_DATA_LOW = 0;
const IOCB_DATA_HIGH = 1;
const IOCB_RW_FLAGS = 3;
const IOCB_OPCODE = 4; // opcode u16 and, above it, reqprio i16: a store of the opcode alone clears reqprio
const IOCB_FD = 5;
const IOCB_BUF_LOW = 6;
const IOCB_BUF_HIGH = 7;
const IOCB_NBYTES_LOW = 8;
const IOCB_NBYTES_HIGH = 9;
const IOCB_OFFSET_LOW = 10;
const IOCB_OFFSET_HIGH = 11;

/** Words in a `struct io_event` (32 bytes). */
export const EVENT_WORDS = 8;
const EVENT_DATA_LOW = 0; // the slot that prep stored
const EVENT_RES_LOW = 4; // bytes done, or -errno

export const OPCODE_PREAD = 0;
export const OPCODE_PWRITE = 1;
export const OPCODE_FSYNC = 2;
export const OPCODE_FDSYNC = 3;

/** The most one read or write can move: the kernel cuts longer ones at MAX_RW_COUNT, 2 GiB less one page. */
export const IO_BYTES_MAX = 0x7ffff000;

/**
 * Writes one iocb into `iocbs` at `slot`. `address` and `offset` are safe integers (user addresses end at 2^47).
 * The fields never written here (key, reserved2, flags, resfd) stay 0 from the array's birth.
 */
export function storeIocb(
  iocbs: Int32Array,
  slot: number,
  opcode: number,
  fd: number,
  address: number,
  length: number,
  offset: number,
): void {
  const word = slot * IOCB_WORDS;
  iocbs[word + IOCB_DATA_LOW] = slot;
  iocbs[word + IOCB_DATA_HIGH] = 0;
  iocbs[word + IOCB_RW_FLAGS] = 0;
  iocbs[word + IOCB_OPCODE] = opcode;
  iocbs[word + IOCB_FD] = fd;
  iocbs[word + IOCB_BUF_LOW] = lowWord(address);
  iocbs[word + IOCB_BUF_HIGH] = highWord(address);
  iocbs[word + IOCB_NBYTES_LOW] = length;
  iocbs[word + IOCB_NBYTES_HIGH] = 0;
  iocbs[word + IOCB_OFFSET_LOW] = lowWord(offset);
  iocbs[word + IOCB_OFFSET_HIGH] = highWord(offset);
}

/** One iocb read back: for ports that carry it out themselves. Not for a hot path of the kernel's. */
export interface Iocb {
  slot: number;
  opcode: number;
  fd: number;
  address: number;
  length: number;
  offset: number;
}

/** Reads the iocb at `word` of `iocbs` into `into`, which the caller keeps for reuse. */
export function loadIocb(iocbs: Int32Array, word: number, into: Iocb): Iocb {
  into.slot = iocbs[word + IOCB_DATA_LOW]!;
  into.opcode = iocbs[word + IOCB_OPCODE]! & 0xffff;
  into.fd = iocbs[word + IOCB_FD]!;
  into.address = fromWords(iocbs[word + IOCB_BUF_LOW]!, iocbs[word + IOCB_BUF_HIGH]!);
  into.length = fromWords(iocbs[word + IOCB_NBYTES_LOW]!, iocbs[word + IOCB_NBYTES_HIGH]!);
  into.offset = fromWords(iocbs[word + IOCB_OFFSET_LOW]!, iocbs[word + IOCB_OFFSET_HIGH]!);
  return into;
}

/** Writes one event into `events` at `index`: for ports that complete iocbs themselves. */
export function storeEvent(events: Int32Array, index: number, slot: number, result: number): void {
  const word = index * EVENT_WORDS;
  events.fill(0, word, word + EVENT_WORDS);
  events[word + EVENT_DATA_LOW] = slot;
  events[word + EVENT_RES_LOW] = result;
  events[word + EVENT_RES_LOW + 1] = result < 0 ? -1 : 0;
}

/**
 * Decodes `eventCount` events: the slots in the order they completed go to `completedSlots`, each one's bytes done
 * or -errno to `slotResult`.
 *
 * The low word of `res` carries the sign: Linux moves at most 0x7ffff000 bytes per iocb, so the high word is only
 * sign extension.
 */
export function decodeEvents(
  events: Int32Array,
  eventCount: number,
  completedSlots: Int32Array,
  completedStart: number,
  slotResult: Int32Array,
): void {
  for (let index = 0; index < eventCount; index += 1) {
    const word = index * EVENT_WORDS;
    const slot = events[word + EVENT_DATA_LOW]!;
    // An out-of-range typed-array store vanishes silently: a lost completion.
    assert(slot >= 0 && slot < slotResult.length, 'io_getevents returned an event that no slot submitted');
    completedSlots[completedStart + index] = slot;
    slotResult[slot] = events[word + EVENT_RES_LOW]!;
  }
}
