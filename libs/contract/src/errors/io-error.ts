/** The error of a system call that failed. */
import { escapeControls } from '../text/print.ts';
import { codeOfErrno, isRetryable, textOfCode } from './errno.ts';
import { hintFor } from './hints.ts';
import { nameErrors } from './name-errors.ts';
import { toWire } from './to-wire.ts';
import type { WireError } from './wire-error.ts';

/** What an IoError is made from. */
export interface IoErrorDetails {
  /** The operation that failed: 'io_submit' if it was refused there, 'pwrite' if its event carried the error. */
  syscall: string;
  /** Negative, as the kernel returns it. */
  errno: number;
  path?: string;
  /** Bytes from the start of the file. */
  offset?: number;
  length?: number;
  /** Advice instead of the table's. */
  hint?: string;
  /** A name instead of the errno's. */
  code?: string;
  cause?: unknown;
}

/** A system call that failed: which, why, where in which file, and what to do about it. Node's own field names. */
export class IoError extends Error {
  static {
    nameErrors(this, 'IoError');
  }

  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
  readonly path: string | undefined;
  readonly offset: number | undefined;
  readonly length: number | undefined;
  readonly hint: string | undefined;
  readonly retryable: boolean;

  constructor(details: IoErrorDetails) {
    const code = details.code ?? codeOfErrno(details.errno);
    const hint = details.hint ?? hintFor(details.syscall, code);
    super(ioMessage(details, code, hint), 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    this.errno = details.errno;
    this.syscall = details.syscall;
    this.path = details.path;
    this.offset = details.offset;
    this.length = details.length;
    this.hint = hint;
    this.retryable = isRetryable(code);
  }

  toJSON(): WireError {
    return toWire(this);
  }
}

/** "ENOSPC: no space left on device, pwrite '/data/a.bin' at 8192, 4096 bytes. The file system is full …" */
function ioMessage(details: IoErrorDetails, code: string, hint: string | undefined): string {
  let message = `${code}: ${textOfCode(code)}, ${details.syscall}`;
  if (details.path !== undefined) message += ` '${escapeControls(details.path)}'`;
  if (details.offset !== undefined) message += ` at ${details.offset}`;
  if (details.length !== undefined) message += `, ${details.length} bytes`;
  return hint === undefined ? message : `${message}. ${hint}`;
}
