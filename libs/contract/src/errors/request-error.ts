/** The error of a request that cannot be carried out as it is. */
import { printValue } from '../text/print.ts';
import { nameErrors } from './name-errors.ts';
import { toWire } from './to-wire.ts';
import { BAD_REQUEST, type WireError } from './wire-error.ts';

/** One thing wrong with a request. */
export interface RequestIssue {
  /** Dotted, such as 'matrix.rowBytes'; 'request' for the whole. */
  field: string;
  value: unknown;
  /** What would be accepted, in words that follow "give". */
  accepted: string;
  /** The whole sentence. */
  message: string;
}

/** What a RequestError is made from. */
export interface RequestErrorDetails {
  field: string;
  /** Absent or undefined: the field is missing. */
  value?: unknown;
  /** What would be accepted, in words that follow "give". */
  accepted: string;
  /** Instead of the composed message. */
  message?: string;
  /** All that is wrong, the first being field's. */
  issues?: readonly RequestIssue[];
  cause?: unknown;
}

/** A request that cannot be carried out as it is: names the field, its value and what would be accepted. Never retried. */
export class RequestError extends Error {
  static {
    nameErrors(this, 'RequestError');
  }

  readonly code: typeof BAD_REQUEST = BAD_REQUEST;
  readonly field: string;
  readonly value: unknown;
  readonly accepted: string;
  readonly issues: readonly RequestIssue[];
  readonly retryable = false;

  constructor(details: RequestErrorDetails) {
    const { field, value, accepted } = details;
    const message = details.message ?? issueMessage(field, value, accepted);
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.field = field;
    this.value = value;
    this.accepted = accepted;
    this.issues = details.issues ?? [{ field, value, accepted, message }];
  }

  toJSON(): WireError {
    return toWire(this);
  }
}

/** `matrix.rowBytes: -5 is not accepted; give 1 to 1073741824 bytes`, `size: missing; give …`. */
export function issueMessage(field: string, value: unknown, accepted: string, fault?: string): string {
  if (value === undefined) return `${field}: missing; give ${accepted}`;
  const why = fault === undefined ? '' : `: ${fault}`;
  return `${field}: ${printValue(value)} is not accepted${why}; give ${accepted}`;
}
