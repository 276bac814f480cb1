/** The error of a call that its AbortSignal ended, as Node's own calls have it. */
import { RequestError } from '@penstock/contract';

/** A write was stopped by its `signal`; nothing is left of it. `cause` is the signal's reason. */
export class AbortError extends Error {
  /** The name of Node's own. */
  override readonly name: string = 'AbortError';
  /** The code of Node's own: what knows `fs` calls that were aborted knows these too. */
  readonly code = 'ABORT_ERR';

  constructor(signal: AbortSignal) {
    super('The operation was aborted', { cause: signal.reason });
  }
}

/** @throws AbortError; RequestError if `signal` is no AbortSignal */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new RequestError({ field: 'signal', value: signal, accepted: 'an AbortSignal' });
  }
  if (signal?.aborted === true) throw new AbortError(signal);
}
