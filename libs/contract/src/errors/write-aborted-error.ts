/** The error of a write that was stopped on purpose, and the message of one that somebody cancelled. */
import { nameErrors } from './name-errors.ts';
import { toWire } from './to-wire.ts';
import type { WireError } from './wire-error.ts';

/** Who stopped a write: somebody who wanted it no more, the end of its host, or the loss of the job's lock. */
export type AbortReason = 'cancel' | 'shutdown' | 'lost';

const ABORT_MESSAGES: Record<AbortReason, string> = {
  cancel: 'the write was cancelled',
  shutdown: 'the host is shutting down; the write goes back to the queue',
  lost: "the job's lock was lost: another host may be writing it, so this one stopped",
};

/** The reason that a message without who and why stands for; undefined for any other message. */
export const abortReasonOf = (message: string): AbortReason | undefined =>
  (['cancel', 'shutdown', 'lost'] as const).find((reason) => ABORT_MESSAGES[reason] === message);

/** Who cancelled a write, and why. */
export interface Cancellation {
  /** A person or a program, such as 'ann@ops-1': 1 to 200 characters. */
  by: string;
  /** In words, up to 1,000 characters. */
  why?: string;
}

/** "cancelled by ann@ops-1: the disk is needed": what the queue keeps as the reason of the job's failure. */
export function cancelMessage({ by, why }: Cancellation): string {
  return `cancelled by ${by}${why === undefined || why === '' ? '' : `: ${why}`}`;
}

/** Who and why of a message by cancelMessage; null for any other. A name with ': ' in it would be cut there. */
export function parseCancelMessage(message: string): Cancellation | null {
  const [, by, why] = /^cancelled by (.+?)(?:: ([^]*))?$/.exec(message) ?? [];
  return by === undefined ? null : { by, ...(why === undefined ? {} : { why }) };
}

/** A write that was stopped on purpose. A cancelled one stays so; any other is taken up again. */
export class WriteAbortedError extends Error {
  static {
    nameErrors(this, 'WriteAbortedError');
  }

  readonly code = 'ECANCELED';
  readonly reason: AbortReason;
  readonly retryable: boolean;
  /** Of a cancelled one: who cancelled it, and why, where that is known here. */
  readonly by?: string;
  readonly why?: string;

  constructor(reason: AbortReason, options?: { cause?: unknown; cancelled?: Cancellation }) {
    const cancelled = reason === 'cancel' ? options?.cancelled : undefined;
    const message = cancelled === undefined ? ABORT_MESSAGES[reason] : cancelMessage(cancelled);
    super(message, options !== undefined && 'cause' in options ? { cause: options.cause } : undefined);
    this.reason = reason;
    this.retryable = reason !== 'cancel';
    if (cancelled === undefined) return;
    this.by = cancelled.by;
    if (cancelled.why !== undefined) this.why = cancelled.why;
  }

  toJSON(): WireError {
    return toWire(this);
  }
}
