/**
 * The words of a row ring in shared memory, each with the one side that stores it. What they mean to each other, and in
 * which order they are stored, is argued in INTERNALS.md.
 */
import { strict as assert } from 'node:assert';
import { alignedStart } from '../aligned.ts';

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
export const FREED = 8; // rows given back so far, modulo 2^32
export const START_AT_LOW = 10;
export const START_AT_HIGH = 11;
export const START_IDENTITY_BYTES = 12; // of OUTLET_TEXT; -1 is none
export const FLUSHES_DONE = 13; // flushes answered so far, modulo 2^32
export const STANDS = 14; // 1 once the file is as long as it will be and has all its bytes, or the write is over
export const GRANTS = 15; // how often rows were granted so far, modulo 2^32
export const OUTLET_WAITS = 9; // 1 stored by the writer thread, exchanged for 0 by who then wakes it

// The producer's block.
export const INLET_STATE = 32; // INLET_FILLING, INLET_ENDED, INLET_FAILED
export const FILLED = 33; // full rows so far, modulo 2^32
export const TAIL = 34; // bytes in the row behind the full ones; final once the state is INLET_ENDED
export const COPYING = 35; // 1 while bytes are being copied into rows, and until FILLED and PARTIAL count them
export const BEGUN_AT_LOW = 37; // the offset in its source of the first byte that comes
export const BEGUN_AT_HIGH = 38;
export const TOTAL_LOW = 39; // bytes of the whole source; -1 in the high word if they are not known
export const TOTAL_HIGH = 40;
export const BEGUN_IDENTITY_BYTES = 41; // of INLET_TEXT; -1 is none
export const BEGUN = 42; // 1 once the five words before and the text are there
export const PARTIAL = 43; // bytes in the row that is being filled, its head included; 0 once it is full
export const FLUSHES_ASKED = 44; // so far, modulo 2^32
export const KEEPS = 45; // 1 if what was written stays in the file though the source fails
export const FLUSH_AFTER = 46; // milliseconds until a row goes out as far as it is filled; 0 is the default, -1 never
export const ASKED = 47; // 1 while the producer has bytes that found no row
export const TAIL_GRANT = 48; // the grant (GRANTS) that the tail's row is of
export const INLET_WAITS = 36; // 1 stored by the producer, exchanged for 0 by who then wakes it

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
/** Its source has failed; the error comes by the port. */
export const INLET_FAILED = 2;

// Behind the blocks: an identity from the writer thread, and one from the producer.
export const IDENTITY_BYTES_MAX = 512;
export const RING_BYTES: number = 3 * BLOCK_BYTES + 2 * IDENTITY_BYTES_MAX;
export const OUTLET_TEXT = 0;
export const INLET_TEXT = 1;

/** The words of a ring. */
export function ringWords(control: SharedArrayBuffer): Int32Array {
  assert(control.byteLength === RING_BYTES, 'a ring was opened over a buffer that is none');
  return new Int32Array(control, alignedStart(control, BLOCK_BYTES), 2 * BLOCK_WORDS);
}

/** The text of OUTLET_TEXT or INLET_TEXT, behind the words. */
export function ringText(words: Int32Array, which: number): Uint8Array {
  const start = words.byteOffset + words.byteLength + which * IDENTITY_BYTES_MAX;
  return new Uint8Array(words.buffer, start, IDENTITY_BYTES_MAX);
}

/** True if this call took back the other side's word that it waits: then the caller, and nobody else, wakes that side. */
export const takeWait = (words: Int32Array, waits: number): boolean =>
  Atomics.load(words, waits) === 1 && Atomics.exchange(words, waits, 0) === 1;
