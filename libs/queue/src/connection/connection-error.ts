/** The error of a Redis that cannot be used. */
import { certificateReason } from './refusals.ts';

export interface ConnectionFailure {
  code: string;
  address: string;
  message: string;
  hint: string;
  cause?: unknown;
}

/** Redis cannot be used: the message names the address, without a password, and what to do. */
export class ConnectionError extends Error {
  override readonly name: string = 'ConnectionError';
  /**
   * Node's code if the system gave one; else EBADURL, EAUTH, EVERSION, EPROTO, ELOADING or ETIMEDOUT; of a Redis that
   * refuses: EREADONLY, ECLUSTER, ESENTINEL, EMISCONF, EREDISMEMORY or ENOREPLICAS.
   */
  readonly code: string;
  readonly address: string;
  readonly hint: string;
  /** Whether time may mend it. */
  readonly retryable: boolean;

  constructor(failure: ConnectionFailure) {
    super(`${failure.message} ${failure.hint}`, failure.cause === undefined ? {} : { cause: failure.cause });
    this.code = failure.code;
    this.address = failure.address;
    this.hint = failure.hint;
    this.retryable = !LASTING_CODES.has(failure.code) && certificateReason(failure.code) === null;
  }
}

const LASTING_CODES: ReadonlySet<string> = new Set(['EBADURL', 'EAUTH', 'EVERSION', 'EPROTO', 'ECLUSTER', 'ESENTINEL']);
