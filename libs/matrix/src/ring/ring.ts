/**
 * The row ring: how bytes that arrive in one thread get into the rows of a writer thread. The producer (any thread of
 * the process) copies them into rows of the arena, in order, and tells by a word in shared memory how many it has
 * filled; the writer thread tells how many are free again. One copy from the arriving chunk to the page that the kernel
 * writes from; a message is posted only to wake a side that has said that it waits.
 *
 * This file has the words and the making of a ring; its two ends are producer.ts and consumer.ts. Word by
 * word, and why no wake-up is lost, in INTERNALS.md.
 */
import { strict as assert } from 'node:assert';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { native } from '@penstock/native';
import type { WireError } from '@penstock/contract';
import type { ArenaMemory } from '../arena.ts';

/** The producer's end, as plain data: `port` is to be transferred if it crosses to another thread. */
export interface RingInlet {
  control: SharedArrayBuffer;
  port: MessagePort;
  /** By thread: which of them holds the rows is known once one has taken the write. */
  arenas: readonly ArenaMemory[];
}

/** The writer thread's end, as plain data: `port` is to be transferred with it. */
export interface RingOutlet {
  control: SharedArrayBuffer;
  port: MessagePort;
}

/** Rows that the producer may fill. */
export interface RingRows {
  /** First byte of the first row, from the start of the arena's aligned part. */
  start: number;
  /** Bytes from one row to the next. */
  rowStride: number;
  /** Bytes of one full row. */
  rowBytes: number;
  rowCount: number;
}

/** What a write knows once it has its file. */
export interface RingOpening {
  /** The thread whose arena has the rows. */
  thread: number;
  /**
   * Bytes of the very first row that are not the producer's: its first byte begins behind them. One that begins further
   * on in its source, at `startAt`, fills the row from its start.
   */
  head: number;
  /** Rows may be taken back in the middle of one: up to the last multiple of so many bytes it is written, a power of two. */
  align: number;
  /** Absent: the producer is to begin with the first byte of its source. */
  startAt?: RingStart;
}

/** Where in its source a producer is to begin, or has begun. */
export interface RingStart {
  offset: number;
  /** What tells the source's bytes from others that it may have by then; null where nothing does. Up to 512 bytes. */
  identity: string | null;
}

/** What a producer knows before its first byte. */
export interface RingBeginning extends RingStart {
  /** Of the whole source; null where nobody knows. */
  totalBytes: number | null;
}

/** What crosses a ring's port: a wake-up, or (producer to writer thread) why the bytes will never be whole. */
export type RingMessage = typeof WAKE_UP | WireError;
export const WAKE_UP = 0;

// Two 128-byte blocks, so that neither side's stores slow down the other's loads of its own words.
const BLOCK_WORDS = 32;
const BLOCK_BYTES = 128;

// The writer thread's block. CLOSED is also stored by the main thread, once that thread is gone.
export const OUTLET_STATE = 0; // OUTLET_OPENING, OUTLET_READY, OUTLET_CLOSED, OUTLET_EMPTY
export const PLACE_THREAD = 1;
export const PLACE_START_LOW = 2;
export const PLACE_START_HIGH = 3;
export const PLACE_ROW_STRIDE = 4;
export const PLACE_ROW_BYTES = 5;
export const PLACE_ROW_COUNT = 6;
export const PLACE_HEAD = 7;
export const START_AT_LOW = 10;
export const START_AT_HIGH = 11;
export const START_IDENTITY_BYTES = 12; // of the text in the outlet's part; -1 is none
export const FREED = 8; // rows given back so far, modulo 2^32
export const FLUSHES_DONE = 13; // asks answered so far, modulo 2^32
export const STANDS = 14; // 1 once the file is as long as it will be and has all its bytes, or the write is over
export const GRANTS = 15; // how often there have been rows, modulo 2^32
export const OUTLET_WAITS = 9; // 1 stored by the writer thread, exchanged for 0 by whoever then wakes it

// The producer's block.
export const INLET_STATE = 32; // INLET_FILLING, INLET_ENDED, INLET_FAILED
export const FILLED = 33; // full rows so far, modulo 2^32
export const TAIL = 34; // bytes in the row behind the full ones; final once the state is INLET_ENDED
export const COPYING = 35; // 1 while bytes are being copied into rows, and until the words say so
export const BEGUN_AT_LOW = 37; // where in its source the first byte that comes stands
export const BEGUN_AT_HIGH = 38;
export const TOTAL_LOW = 39; // bytes of the whole source; -1 in the high word where nobody knows
export const TOTAL_HIGH = 40;
export const BEGUN_IDENTITY_BYTES = 41; // of the text in the inlet's part; -1 is none
export const BEGUN = 42; // 1 once the five words before and the text are there
export const PARTIAL = 43; // bytes in the row that is being filled, its head included; 0 once it is full
export const FLUSHES_ASKED = 44; // so far, modulo 2^32
export const KEEPS = 45; // 1 where what was written stays, though the bytes break off
export const FLUSH_AFTER = 46; // milliseconds until a row goes out as far as it is filled; 0 is the default, -1 never
export const ASKED = 47; // 1 while the producer has bytes that found no row
export const TAIL_GRANT = 48; // of which rows the tail is
export const INLET_WAITS = 36; // 1 stored by the producer, exchanged for 0 by whoever then wakes it

/** The write has no file yet. */
export const OUTLET_OPENING = 0;
/** The words of the rows' place are there. */
export const OUTLET_READY = 1;
/** The write is over: no byte may be copied into the rows any more. */
export const OUTLET_CLOSED = 2;
/** The write has its file and no rows, or none any more: it gets some when the producer asks. */
export const OUTLET_EMPTY = 3;

export const INLET_FILLING = 0;
/** All bytes are there. */
export const INLET_ENDED = 1;
/** The bytes will never be whole; why comes by the port. */
export const INLET_FAILED = 2;

// Behind the blocks: an identity from the writer thread, and one from the producer.
const IDENTITY_BYTES_MAX = 512;
const RING_BYTES = 3 * BLOCK_BYTES + 2 * IDENTITY_BYTES_MAX;
export const OUTLET_TEXT = 0;
export const INLET_TEXT = 1;

/** Makes a ring whose rows will lie in one of `arenas`. */
export function createRing(arenas: readonly ArenaMemory[]): { inlet: RingInlet; outlet: RingOutlet } {
  const control = new SharedArrayBuffer(RING_BYTES);
  const { port1, port2 } = new MessageChannel();
  return { inlet: { control, port: port1, arenas }, outlet: { control, port: port2 } };
}

/** The words of a ring. */
export function ringWords(control: SharedArrayBuffer): Int32Array {
  assert(control.byteLength === RING_BYTES, 'a ring was opened over a buffer that is none');
  // V8 aligns a SharedArrayBuffer to 16 bytes. Its address, and so the start, is the same in every thread.
  const start = BLOCK_BYTES - (native.addressOf(new Uint8Array(control)) % BLOCK_BYTES);
  return new Int32Array(control, start, 2 * BLOCK_WORDS);
}

/** The text of OUTLET_TEXT or INLET_TEXT, of whose words the length is one. */
function textOf(words: Int32Array, which: number): Uint8Array {
  const start = words.byteOffset + words.byteLength + which * IDENTITY_BYTES_MAX;
  return new Uint8Array(words.buffer, start, IDENTITY_BYTES_MAX);
}

/** Stores `identity` and its length; one that is too long is none. Whoever reads it is told by another word, stored after. */
export function storeIdentity(words: Int32Array, which: number, lengthWord: number, identity: string | null): void {
  const bytes = Buffer.from(identity ?? '');
  const fits = identity !== null && bytes.length <= IDENTITY_BYTES_MAX;
  if (fits) textOf(words, which).set(bytes);
  Atomics.store(words, lengthWord, fits ? bytes.length : -1);
}

export function loadIdentity(words: Int32Array, which: number, lengthWord: number): string | null {
  const length = Atomics.load(words, lengthWord);
  return length === -1 ? null : Buffer.from(textOf(words, which).slice(0, length)).toString();
}

/** True if this call took back the other side's word that it waits: it is owed a message, and by nobody else. */
export const takeWait = (words: Int32Array, waits: number): boolean =>
  Atomics.load(words, waits) === 1 && Atomics.exchange(words, waits, 0) === 1;

/**
 * Main thread, once the writer thread of index `thread` is gone: closes the ring if its rows lie in that thread's arena.
 * True if nobody copies into them any more; else it is to be asked again.
 */
export function closeRingOf(control: SharedArrayBuffer, thread: number): boolean {
  const words = ringWords(control);
  // The thread is known from the moment on at which the producer may ask for rows.
  if (Atomics.load(words, OUTLET_STATE) === OUTLET_OPENING || Atomics.load(words, PLACE_THREAD) !== thread) return true;
  Atomics.store(words, OUTLET_STATE, OUTLET_CLOSED);
  return Atomics.load(words, COPYING) === 0;
}
