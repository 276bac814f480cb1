/**
 * Waiting without using up an attempt: how long until the next try, for how long in all, and where that is kept.
 * The decision: libs/README.md#wait-without-an-attempt.
 */
import type { WireError } from '@penstock/contract';
import type { WaitCause } from './verdict.ts';

/**
 * The field of the job's hash that remembers how long it has waited: another host goes on from there. It is written by
 * the very command that delays the job, and read only when a job would wait again. BullMQ leaves fields alone that it
 * does not know, and what the producer sent stays as it is.
 */
export const WAITS_FIELD = 'waits';

/** How an attempt has waited so far. */
export interface WaitRecord {
  /** The attempt it holds for, 1 for the first: one that counted begins anew. */
  attempt: number;
  /** Tries that ended in waiting. */
  tries: number;
  /** Milliseconds that it was put off for, all tries together: clocks of different hosts are not compared. */
  waitedMs: number;
}

/** The first delay, in milliseconds, and every one of a job that another host may take meanwhile. */
export const DELAY_MS_MIN = 1000;
const DELAY_MS_MAX = 30_000;

/** The record in a job's hash; a fresh one where there is none for this attempt, or what stands there is no record. */
export function readRecord(json: string | null, attempt: number): WaitRecord {
  const fresh = { attempt, tries: 0, waitedMs: 0 };
  if (json === null) return fresh;
  try {
    const { attempt: kept, tries, waitedMs } = JSON.parse(json) as Partial<WaitRecord>;
    if (kept !== attempt || !isCount(tries) || !isCount(waitedMs)) return fresh;
    return { attempt, tries, waitedMs };
  } catch {
    return fresh;
  }
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0;

/** Milliseconds to the next try: from one second on, twice as long each time up to thirty, and never past what is left. */
export function nextDelayMs({ tries, waitedMs }: WaitRecord, waitMsMax: number, random: number): number {
  const grown = Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** Math.min(tries, 10));
  // Up to half less: what a hundred jobs wait for comes at one moment, and they must not all come at the next.
  const spread = Math.max(DELAY_MS_MIN, Math.round(grown * (1 - random / 2)));
  return Math.min(spread, Math.max(1, waitMsMax - waitedMs));
}

/** True for the tries that are worth a line in the job's log: the 1st, 2nd, 4th, 8th … */
export const isLogged = ({ tries }: WaitRecord): boolean => (tries & (tries - 1)) === 0;

/**
 * "waiting for space: 2.00 GiB needed, 1.10 GiB free on data … (attempt not counted; next try in 4 s)", or
 * "waiting for root data of host a: read-only file system (…)".
 */
export function waitNote(cause: WaitCause, wire: WireError, delayMs: number): string {
  const why = cause === 'the root' ? wire.message : `${cause}: ${(wire.hint ?? wire.message).replace(/\.$/, '')}`;
  return `waiting for ${why} (attempt not counted; next try in ${formatWait(delayMs)})`;
}

/** The failure of a job that waited for as long as it may. */
export function waitedOut(cause: WaitCause, wire: WireError, { tries, waitedMs }: WaitRecord): WireError {
  const waited = `Waited ${formatWait(waitedMs)} for ${cause}, ${tries} ${tries === 1 ? 'try' : 'tries'}, as long as this host lets a job wait (--wait-for-space).`;
  return { ...wire, message: `${wire.message} ${waited}`, retryable: false };
}

/** "1 h 5 min", "90 s", "400 ms". */
export function formatWait(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return seconds % 60 === 0 ? `${minutes} min` : `${minutes} min ${seconds % 60} s`;
  return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
