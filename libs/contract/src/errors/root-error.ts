/**
 * The error by which a host reports that it cannot use a root, though the job is right: another host may write it now,
 * or this one later.
 */
import { toWire } from './to-wire.ts';
import type { WireError } from './wire-error.ts';

/** The code of a RootError. */
export const ROOT_UNUSABLE = 'EROOT';

export interface RootErrorDetails {
  root: string;
  host: string;
  /** In words, such as 'read-only file system'. */
  reason: string;
  /** What to do about it. */
  hint?: string | undefined;
  cause?: unknown;
}

/** A root that its host cannot use now, whatever is written there. Its jobs wait, and no attempt is counted. */
export class RootError extends Error {
  override readonly name: string = 'RootError';
  readonly code: typeof ROOT_UNUSABLE = ROOT_UNUSABLE;
  readonly root: string;
  readonly host: string;
  readonly hint: string | undefined;
  readonly retryable = true;

  constructor({ root, host, reason, hint, cause }: RootErrorDetails) {
    super(`root ${root} of host ${host}: ${reason}`, cause === undefined ? undefined : { cause });
    this.root = root;
    this.host = host;
    this.hint = hint;
  }

  toJSON(): WireError {
    return toWire(this);
  }
}
