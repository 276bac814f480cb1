/** What a running write reports, twice a second and once at its end: the job's progress in the queue. */
import type { WireError } from '../errors/wire-error.ts';

/** The phases of a write, in their order; 'paused' stands for any of them in which it was paused. */
export const PHASES = [
  'waiting',
  'opening',
  'writing',
  'syncing',
  'verifying',
  'publishing',
  'done',
  'paused',
] as const;
/** One of the phases of a write. */
export type Phase = (typeof PHASES)[number];

/** How far a write is. */
export interface WriteProgress {
  /** Percent, 0 to 100: bull-board draws its ring from this. */
  progress: number;
  /** Bytes whose writes have been reaped. */
  bytesWritten: number;
  /** Bytes that survive power loss; follows bytesWritten at each sync. */
  bytesDurable: number;
  totalBytes: number;
  /** Over the last sampling interval. */
  bytesPerSecond: number;
  /** Milliseconds to the end at this speed; null while there is no speed to judge by. */
  etaMs: number | null;
  /** iocbs that the kernel holds now. */
  inFlight: number;
  phase: Phase;
  /** The limit that holds for the job now, in bytes a second, where there is one. */
  limit?: number;
  /** What it waits for, in words, where it waits for something. */
  note?: string;
  /** The name of the host that writes. */
  host?: string;
  /** Why the last attempt failed. */
  error?: WireError;
}

/** The progress of a write that has moved no byte yet. */
export const noProgress = (phase: Phase): WriteProgress => ({
  progress: 0,
  bytesWritten: 0,
  bytesDurable: 0,
  totalBytes: 0,
  bytesPerSecond: 0,
  etaMs: null,
  inFlight: 0,
  phase,
});
