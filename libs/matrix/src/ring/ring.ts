/**
 * The row ring: how bytes that arrive in one thread get into the rows of a writer thread. The producer (any thread of
 * the process) copies them into rows of the arena, in order, and counts in a word of shared memory how many it has
 * filled; the writer thread counts how many are free again. One copy from the arriving chunk to the page that the kernel
 * writes from; a message is posted only to wake a side that has declared that it waits.
 *
 * This file makes and closes rings. The words are in words.ts, the two ends are producer.ts and consumer.ts; why no
 * wake-up is lost is argued in INTERNALS.md.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { WireError } from '@penstock/contract';
import type { ArenaMemory } from '../arena.ts';
import type { RingStart } from './beginning.ts';
import { COPYING, OUTLET_CLOSED, OUTLET_OPENING, OUTLET_STATE, PLACE_THREAD, RING_BYTES, ringWords } from './words.ts';

/** The producer's end, as plain data: `port` is to be transferred if it crosses to another thread. */
export interface RingInlet {
  control: SharedArrayBuffer;
  port: MessagePort;
  /** Of every writer thread, by its index: which one holds the rows is known once a thread has taken the write. */
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

/** What a write declares to the producer once it has its file. */
export interface RingOpening {
  /** The thread whose arena has the rows. */
  thread: number;
  /**
   * Bytes at the start of the very first row that the producer leaves out: its first byte goes behind them. A producer
   * that begins further on in its source, at `startAt`, fills the row from its start.
   */
  head: number;
  /** A power of two: a row that is taken back half full is written up to its last multiple of so many bytes. */
  align: number;
  /** Absent: the producer begins with the first byte of its source. */
  startAt?: RingStart;
}

/** What crosses a ring's port: a wake-up, or (producer to writer thread) the error that its source failed with. */
export type RingMessage = typeof WAKE_UP | WireError;
export const WAKE_UP = 0;

/** Makes a ring whose rows will lie in one of `arenas`. */
export function createRing(arenas: readonly ArenaMemory[]): { inlet: RingInlet; outlet: RingOutlet } {
  const control = new SharedArrayBuffer(RING_BYTES);
  const { port1, port2 } = new MessageChannel();
  return { inlet: { control, port: port1, arenas }, outlet: { control, port: port2 } };
}

/**
 * Main thread, once the writer thread of index `thread` is gone: closes the ring if its rows lie in that thread's arena.
 * True if no producer copies into those rows any more; else this is to be called again.
 */
export function closeRingOf(control: SharedArrayBuffer, thread: number): boolean {
  const words = ringWords(control);
  // The thread is known from the moment on at which the producer may ask for rows.
  if (Atomics.load(words, OUTLET_STATE) === OUTLET_OPENING || Atomics.load(words, PLACE_THREAD) !== thread) return true;
  Atomics.store(words, OUTLET_STATE, OUTLET_CLOSED);
  return Atomics.load(words, COPYING) === 0;
}
