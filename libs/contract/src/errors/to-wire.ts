/** From anything that was thrown to plain data. */
import { printValue, shorten } from '../text/print.ts';
import { codeOfErrno, errnoOfCode, isRetryable } from './errno.ts';
import { hintFor } from './hints.ts';
import { BAD_REQUEST, type WireError } from './wire-error.ts';

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
