// The errors that cross rooms, threads and the queue, and their form as plain data on the way.
import { z } from 'zod';
import { codeOfErrno, errnoOfCode, isRetryable, textOfCode } from './errno.ts';
import { CHECKSUM_DIGITS, type ChecksumName } from '../fields/fields.ts';
import { hintFor } from './hints.ts';
import { escapeControls, printValue, shorten } from '../text/print.ts';

/** An error as plain data: what worker threads post and what the queue's progress and HTTP answers carry. */
export interface WireError {
  name: string;
  message: string;
  /** An errno name ('ENOSPC'), 'EBADREQUEST', 'ECANCELED', another error's own code, or 'EUNKNOWN'. */
  code: string;
  syscall?: string;
  /** Negative, as the kernel returns it. */
  errno?: number;
  path?: string;
  /** Bytes from the start of the file. */
  offset?: number;
  length?: number;
  /** What to do about it. For a bad request: what would be accepted. */
  hint?: string;
  /** The field of a bad request, such as 'matrix.rowBytes'. */
  field?: string;
  /** Of an IntegrityError: the checksum that was to be, and the one that was, each in hexadecimal digits. */
  expected?: string;
  found?: string;
  /** Of a cancelled write: who cancelled it, and why where that was said. */
  by?: string;
  why?: string;
  /** False where another attempt would end the same way. */
  retryable: boolean;
}

export const wireErrorSchema: z.ZodType<WireError> = z.object({
  name: z.string(),
  message: z.string(),
  code: z.string(),
  syscall: z.string().exactOptional(),
  errno: z.int().exactOptional(),
  path: z.string().exactOptional(),
  offset: z.number().exactOptional(),
  length: z.number().exactOptional(),
  hint: z.string().exactOptional(),
  field: z.string().exactOptional(),
  expected: z.string().exactOptional(),
  found: z.string().exactOptional(),
  by: z.string().exactOptional(),
  why: z.string().exactOptional(),
  retryable: z.boolean(),
});

export const wireErrorJsonSchema: object = z.toJSONSchema(wireErrorSchema, { target: 'draft-7' });

/** On the prototype rather than each error: the stack's first line is written before an error's own fields are set. */
function nameErrors(kind: { prototype: Error }, name: string): void {
  Object.defineProperty(kind.prototype, 'name', { value: name, configurable: true, writable: true });
}

/** What an IoError tells. */
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

export interface IntegrityErrorDetails {
  /** 'ECHECKSUM': the source's bytes are not those that were expected. 'EINTEGRITY': the disk's are not. */
  code: 'ECHECKSUM' | 'EINTEGRITY';
  path: string;
  /** The range that the sums are of: bytes from the start of the file. */
  offset: number;
  length: number;
  algorithm: ChecksumName;
  /** In hexadecimal digits. */
  expected: string;
  found: string;
  retryable: boolean;
  hint: string;
}

/** Bytes that are not what they were to be: which range of which file, both sums, and what to do about it. */
export class IntegrityError extends Error {
  static {
    nameErrors(this, 'IntegrityError');
  }

  readonly code: IntegrityErrorDetails['code'];
  readonly path: string;
  readonly offset: number;
  readonly length: number;
  readonly expected: string;
  readonly found: string;
  readonly retryable: boolean;
  readonly hint: string;

  constructor(details: IntegrityErrorDetails) {
    const { code, path, offset, length, algorithm, expected, found, hint } = details;
    const [wanted, came] = code === 'ECHECKSUM' ? ['was expected', 'came'] : ['was written', 'was read back'];
    super(
      `${code}: ${textOfCode(code)}, '${escapeControls(path)}' at ${offset}, ${length} bytes: ` +
        `${algorithm} ${expected} ${wanted}, ${found} ${came}. ${hint}`,
    );
    this.code = code;
    this.path = path;
    this.offset = offset;
    this.length = length;
    this.expected = expected;
    this.found = found;
    this.retryable = details.retryable;
    this.hint = hint;
  }

  toJSON(): WireError {
    return toWire(this);
  }
}

const BAD_REQUEST = 'EBADREQUEST';

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

/** What a RequestError tells. */
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

/** Who stopped a write: somebody who wanted it no more, the end of its host, or the loss of the job's lock. */
export type AbortReason = 'cancel' | 'shutdown' | 'lost';

const ABORT_MESSAGES: Record<AbortReason, string> = {
  cancel: 'the write was cancelled',
  shutdown: 'the host is shutting down; the write goes back to the queue',
  lost: "the job's lock was lost: another host may be writing it, so this one stopped",
};

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

const MESSAGE_CHARACTERS_MAX = 8192;
const FIELD_CHARACTERS_MAX = 4096;

/** Reads a property of anything: a foreign error's getter may throw, and null has none. */
function read(value: unknown, property: string): unknown {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return undefined;
  try {
    return Reflect.get(value, property);
  } catch {
    return undefined;
  }
}

function readText(value: unknown, property: string, limit: number = FIELD_CHARACTERS_MAX): string | undefined {
  const text = read(value, property);
  return typeof text === 'string' && text !== '' ? shorten(text, limit) : undefined;
}

function readNumber(value: unknown, property: string): number | undefined {
  const number = read(value, property);
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** The message, or what stands in for it: an AggregateError (of a refused connection, say) has an empty one. */
function messageOf(error: unknown): string {
  if (typeof error === 'string') return error === '' ? 'an empty string was thrown' : error;
  const message = readText(error, 'message', MESSAGE_CHARACTERS_MAX);
  if (message !== undefined) return message;
  const first = read(read(error, 'errors'), '0');
  return (
    readText(first, 'message') ??
    readText(error, 'code') ??
    readText(error, 'name') ??
    `${printValue(error)} was thrown`
  );
}

/**
 * Any thrown value as plain data, judged by its properties alone: an error of a worker thread or of another realm is no
 * instance of our classes. Node's own file errors get the same advice as an IoError. Never throws.
 */
export function toWire(error: unknown): WireError {
  const syscall = readText(error, 'syscall');
  const ownCode = readText(error, 'code');
  const ownErrno = readNumber(error, 'errno');
  const code = ownCode ?? (ownErrno === undefined ? 'EUNKNOWN' : codeOfErrno(ownErrno));
  const ownRetryable = read(error, 'retryable');
  const wire: WireError = {
    name: readText(error, 'name') ?? 'Error',
    message: shorten(messageOf(error), MESSAGE_CHARACTERS_MAX),
    code,
    // A clone across threads keeps the code at best; a bad request stays one.
    retryable: typeof ownRetryable === 'boolean' ? ownRetryable : code !== BAD_REQUEST && isRetryable(code),
  };
  if (syscall !== undefined) wire.syscall = syscall;
  const errno = ownErrno ?? errnoOfCode(code);
  if (syscall !== undefined && errno !== undefined) wire.errno = errno;
  const path = readText(error, 'path');
  if (path !== undefined) wire.path = path;
  const offset = readNumber(error, 'offset');
  if (offset !== undefined) wire.offset = offset;
  const length = readNumber(error, 'length');
  if (length !== undefined) wire.length = length;
  const hint =
    readText(error, 'hint') ??
    readText(error, 'accepted') ??
    (syscall === undefined ? undefined : hintFor(syscall, code));
  if (hint !== undefined) wire.hint = hint;
  const field = readText(error, 'field');
  if (field !== undefined) wire.field = field;
  const by = readText(error, 'by');
  if (by !== undefined) wire.by = by;
  const why = readText(error, 'why');
  if (why !== undefined) wire.why = why;
  if (code !== 'ECHECKSUM' && code !== 'EINTEGRITY') return wire; // assertions have an `expected` too
  const expected = readText(error, 'expected');
  if (expected !== undefined) wire.expected = expected;
  const found = readText(error, 'found');
  if (found !== undefined) wire.found = found;
  return wire;
}

/** The error that a wire error describes: of our own classes where it was one, else an Error with the same fields. */
export function fromWire(wire: WireError): Error {
  const error = revive(wire);
  // Word for word what was sent: it may come from a version whose texts and advice differ from ours.
  Object.defineProperties(error, {
    name: { value: wire.name, configurable: true, writable: true },
    message: { value: wire.message, configurable: true, writable: true },
  });
  const { name: _name, message: _message, ...fields } = wire;
  return Object.assign(error, fields);
}

function revive(wire: WireError): Error {
  if (wire.name === 'IoError' && wire.syscall !== undefined && wire.errno !== undefined) {
    const { syscall, errno, path, offset, length, hint, code } = wire;
    return new IoError({
      syscall,
      errno,
      code,
      ...(path === undefined ? {} : { path }),
      ...(offset === undefined ? {} : { offset }),
      ...(length === undefined ? {} : { length }),
      ...(hint === undefined ? {} : { hint }),
    });
  }
  if (wire.name === 'RequestError' && wire.field !== undefined) {
    return new RequestError({ field: wire.field, accepted: wire.hint ?? '', message: wire.message });
  }
  if (wire.name === 'IntegrityError') {
    const { code, path, offset, length, expected, found, retryable, hint } = wire;
    const ours = code === 'ECHECKSUM' || code === 'EINTEGRITY';
    const placed = path !== undefined && offset !== undefined && length !== undefined;
    if (ours && placed && expected !== undefined && found !== undefined && hint !== undefined) {
      const algorithm = expected.length === CHECKSUM_DIGITS.sha256 ? 'sha256' : 'crc32c';
      return new IntegrityError({ code, path, offset, length, algorithm, expected, found, retryable, hint });
    }
  }
  if (wire.name === 'WriteAbortedError') {
    const said = (['cancel', 'shutdown', 'lost'] as const).find((reason) => ABORT_MESSAGES[reason] === wire.message);
    const { by, why } = wire;
    const cancelled = by === undefined ? undefined : { by, ...(why === undefined ? {} : { why }) };
    const reason = said ?? (wire.retryable ? 'shutdown' : 'cancel');
    return new WriteAbortedError(reason, cancelled === undefined ? {} : { cancelled });
  }
  return new Error(wire.message);
}
