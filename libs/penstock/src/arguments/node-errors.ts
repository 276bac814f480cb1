/** Errors with the names, codes and words of Node's own, for arguments that `fs` refuses too. */
import { inspect } from 'node:util';

/** An error that carries one of Node's codes, such as `'ERR_INVALID_ARG_TYPE'`. */
export interface CodedError extends Error {
  code: string;
}

/** As Node itself shows a value of a type that it does not take. */
const VALUE_CHARACTERS_MAX = 28;
/** From here on Node parts the digits of a number. */
const PLAIN_MAX = 2 ** 32;

/** @param expected follows "must be", such as "of type number" */
export function invalidType(name: string, expected: string, value: unknown): CodedError {
  const message = `The "${name}" ${kindOf(name)} must be ${expected}. Received ${received(value)}`;
  return coded(new TypeError(message), 'ERR_INVALID_ARG_TYPE');
}

/** @param reason what of it cannot be, such as "is invalid" */
export function invalidValue(name: string, value: unknown, reason: string = 'is invalid'): CodedError {
  const message = `The ${kindOf(name)} '${name}' ${reason}. Received ${inspect(value)}`;
  return coded(new TypeError(message), 'ERR_INVALID_ARG_VALUE');
}

/** @param range follows "It must be", such as ">= 0 && <= 7" */
function outOfRange(name: string, range: string, value: number): CodedError {
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${digits(value)}`;
  return coded(new RangeError(message), 'ERR_OUT_OF_RANGE');
}

export function unknownEncoding(value: unknown): CodedError {
  return coded(new TypeError(`Unknown encoding: ${String(value)}`), 'ERR_UNKNOWN_ENCODING');
}

/** @throws what Node throws for a number that is no integer from `min` to `max` */
export function assertInteger(name: string, value: unknown, min: number, max: number): asserts value is number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
}

function coded(error: Error, code: string): CodedError {
  // The first line of the stack names the code, as it does with Node's own; the name stays that of the class.
  const stack = error.stack?.replace(error.name, `${error.name} [${code}]`);
  return Object.assign(error, { code }, stack === undefined ? {} : { stack });
}

const kindOf = (name: string): string => (name.includes('.') ? 'property' : 'argument');

function received(value: unknown): string {
  if (value == null) return String(value);
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    const name = (value.constructor as { name?: string } | undefined)?.name;
    return name === undefined || name === '' ? inspect(value, { depth: -1 }) : `an instance of ${name}`;
  }
  const shown = inspect(value, { colors: false });
  const short = shown.length > VALUE_CHARACTERS_MAX ? `${shown.slice(0, VALUE_CHARACTERS_MAX - 3)}...` : shown;
  return `type ${typeof value} (${short})`;
}

function digits(value: number): string {
  const parted = Number.isInteger(value) && Math.abs(value) > PLAIN_MAX;
  return parted ? inspect(value, { numericSeparator: true }) : inspect(value);
}
