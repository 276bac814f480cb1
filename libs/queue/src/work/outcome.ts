/**
 * How an attempt ended, as one value: made once, when its work is over (executor.ts), recorded once (conclusion.ts), and
 * turned once into what BullMQ takes for that end.
 */
import {
  type ShortResult,
  RootError,
  WriteAbortedError,
  type WireError,
  isBulkResult,
  toWire,
} from '@penstock/contract';
import { DelayedError, UnrecoverableError, WaitingError } from 'bullmq';
import { BulkError } from '../flow/bulk-error.ts';
import { verdictOn, type WaitCause } from '../wait/verdict.ts';

/** A failure as plain data. */
interface Failure {
  readonly error: WireError;
  /** What the job's log gets beside the error's message, a line each: files of a bulk, what a stopped write left. */
  readonly details: readonly string[];
  /** Kept with the job in Redis. Of a failure on another thread it is one line: the frames do not cross threads. */
  readonly stack: string;
}

export type Outcome =
  | { readonly kind: 'completed'; readonly result: ShortResult }
  /** Another attempt would end the same way: the job has failed, whatever attempts are left. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** The attempt counts; the job's own attempts and backoff decide about the next. */
  | { readonly kind: 'retry'; readonly failure: Failure }
  /** The job is put off and the attempt does not count. `root`: the name of the root that is the cause. */
  | { readonly kind: 'wait'; readonly cause: WaitCause; readonly root: string | null; readonly failure: Failure }
  /** Back to the head of the queue, and the attempt does not count: the job is not at fault. */
  | { readonly kind: 'put back' }
  /** Another worker has the job, or will have it: nothing may be recorded. */
  | { readonly kind: 'lost' };

export const PUT_BACK: Outcome = { kind: 'put back' };
export const LOST: Outcome = { kind: 'lost' };

/** How often a job goes back without an attempt being counted because its thread ended beside it. */
const NEIGHBOUR_ENDS_MAX = 10;
/** Files of a bulk whose failures are written into its job's log, per attempt. */
const FAILURES_LOGGED_MAX = 20;

export interface Circumstances {
  /** False if this host lets no job wait: such failures count as attempts then. */
  mayWait: boolean;
  /** How often this attempt was begun: more than once if it was put back. */
  begins: number;
}

/**
 * The outcome of an attempt that did not complete. `caught` is plain data already if its thread reported it, and an error
 * if this thread did.
 */
export function outcomeOf(caught: unknown, { mayWait, begins }: Circumstances): Outcome {
  const error = toWire(caught);
  if (isPutBack(error) || (isNeighbour(caught) && begins <= NEIGHBOUR_ENDS_MAX)) return PUT_BACK;
  const failure = { error, details: detailsOf(caught), stack: stackOf(caught, error) };
  const verdict = verdictOn(error);
  if (verdict.kind === 'never') return { kind: 'failed', failure };
  if (verdict.kind === 'retry' || !mayWait) return { kind: 'retry', failure };
  return { kind: 'wait', cause: verdict.cause, root: caught instanceof RootError ? caught.root : null, failure };
}

/** The outcome of a job that cannot be read: it is failed without an attempt. */
export function failedBy(fault: Error): Outcome {
  const error = toWire(fault);
  return { kind: 'failed', failure: { error, details: [], stack: stackOf(fault, error) } };
}

/**
 * A shutdown stopped it, or a thread that took the lock for lost, which has been renewed just in time. A cancelled write
 * is not retryable. By its name, not its code: a system call may end with ECANCELED too, and a bulk's error has the code
 * of its first file.
 */
const isPutBack = ({ name, retryable }: WireError): boolean => name === 'WriteAbortedError' && retryable;

/**
 * True if the job's thread ended, most likely because of another write. It may still be this one that ends every thread
 * it runs on, so the attempt counts in the end.
 */
const isNeighbour = (caught: unknown): boolean => caught instanceof Error && Reflect.get(caught, 'blameless') === true;

function detailsOf(caught: unknown): string[] {
  if (caught instanceof BulkError) return failedFilesOf(caught.result);
  return caught instanceof WriteAbortedError && caught.cause instanceof Error ? [caught.cause.message] : [];
}

function stackOf(caught: unknown, error: WireError): string {
  return caught instanceof Error && caught.stack !== undefined ? caught.stack : stackHead(error);
}

/** The stack of an error without its frames. */
export const stackHead = ({ name, message }: WireError): string => `${name}: ${message}`;

/** A line for each file of a bulk that failed: the first of them. */
export function failedFilesOf(result: ShortResult): string[] {
  if (!isBulkResult(result)) return [];
  const failures = result.items.filter((item) => 'error' in item);
  const lines = failures.slice(0, FAILURES_LOGGED_MAX).map(({ path, error }) => `failed '${path}': ${error.message}`);
  if (failures.length > FAILURES_LOGGED_MAX) lines.push(`failed ${failures.length - FAILURES_LOGGED_MAX} more files`);
  return lines;
}

/** The job's result, for BullMQ to record. @throws for every other outcome: what BullMQ takes for it */
export function resultOf(outcome: Outcome): ShortResult {
  switch (outcome.kind) {
    case 'completed':
      return outcome.result;
    case 'failed':
      throw withStack(new UnrecoverableError(outcome.failure.error.message), outcome.failure);
    case 'retry':
      throw withStack(new Error(outcome.failure.error.message), outcome.failure);
    case 'wait':
      throw new DelayedError(); // the job is among the delayed ones already: BullMQ leaves it alone
    default:
      throw new WaitingError(); // put back already, or lost: likewise
  }
}

function withStack(error: Error, { stack }: Failure): Error {
  error.stack = stack;
  return error;
}
