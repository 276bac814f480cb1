/** The error of an embedded Redis that could not be started or reached. */

/** What a failed start reports: the thing it failed on, why, and what to do. */
export interface RedisStartFailure {
  /** Node's error code if the system gave one, else `EREDISSTART` (it exited), `EREDISBUSY` (it does not answer). */
  code: string;
  /** The file or directory it failed on. */
  path: string;
  /** The sentence without the remedy. */
  reason: string;
  /** What the reader can do about it. */
  hint: string;
  /** The last lines the server logged in this start; may be empty. */
  log?: string;
  cause?: unknown;
}

/** The embedded Redis could not be started or reached. */
export class RedisStartError extends Error {
  override readonly name: string = 'RedisStartError';
  readonly code: string;
  readonly path: string;
  readonly hint: string;
  readonly log: string;
  /** Starting again may work: a disk may have been freed, a hung server may be gone. */
  readonly retryable: boolean = true;

  constructor(failure: RedisStartFailure) {
    const log = failure.log?.trimEnd() ?? '';
    const shown = log === '' ? '' : `\nThe end of its log:\n${log.replaceAll(/^/gm, '  ')}`;
    super(`${failure.reason} ${failure.hint}${shown}`, failure.cause === undefined ? {} : { cause: failure.cause });
    this.code = failure.code;
    this.path = failure.path;
    this.hint = failure.hint;
    this.log = log;
  }
}
