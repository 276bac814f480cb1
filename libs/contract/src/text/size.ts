/**
 * Sizes as people write them: "1MiB", "1GB", 1048576. IEC and SI strictly, exact, and nothing that has two readings.
 */
import { convert } from 'convert';
import { printValue } from './print.ts';

/** The largest size: the last integer that a JSON number carries exactly (8 PiB less one byte). */
export const SIZE_BYTES_MAX: number = Number.MAX_SAFE_INTEGER;

const UNITS = ['B', 'kB', 'KB', 'MB', 'GB', 'TB', 'PB', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/**
 * A decimal number, at most one space, a unit. Sixteen digits reach the largest size; the bounds keep hostile text from
 * costing time. Lower-case b would mean bits, and a bare k, M or G has two readings, so neither is a unit.
 */
export const SIZE_TEXT: RegExp = /^(\d{1,16})(?:\.(\d{1,18}))?(?: ?(B|[kKMGTP]B|[KMGTP]iB))?$/;

/** What a size may be, for messages: follows "give". */
export const SIZE_EXAMPLE = 'as a number or like "1MiB"';

/**
 * Bytes of a size.
 *
 * The units are those of IEC 80000-13 and the SI, by their exact spelling: `MiB` is 2^20 bytes, `MB` is 10^6 bytes
 * (`kB` and `KB` are both 1000). Digits without a unit are bytes. A fraction is accepted where it comes to whole bytes
 * ("1.5KiB" is 1536), and is computed exactly, in integers.
 *
 * @throws RangeError, naming the value, for anything else: negative, fractional bytes, above 2^53-1, NaN, an unknown
 * unit, an exponent, a separator, surrounding space, or not a number or string at all.
 */
export function parseSize(text: string | number): number {
  if (typeof text === 'number') {
    if (!Number.isSafeInteger(text) || text < 0) throw refusal(text);
    return text === 0 ? 0 : text; // -0 would print, hash and compare as another value
  }
  // A caller without types may send anything; a regular expression would call its toString.
  const match = typeof text === 'string' ? SIZE_TEXT.exec(text) : null;
  if (match === null) throw refusal(text);
  const [, whole = '', fraction = '', spelling = 'B'] = match;
  const unit = UNITS.find((known) => known === spelling) ?? 'B';
  // As an integer of 10^-n units, and divided last: in floating point 1.001 MB is 1000999.9999999999 bytes.
  const scaled = convert(BigInt(whole + fraction), unit).to('B');
  const divisor = 10n ** BigInt(fraction.length);
  if (scaled % divisor !== 0n) throw refusal(text);
  const bytes = scaled / divisor;
  if (bytes > BigInt(SIZE_BYTES_MAX)) throw refusal(text);
  return Number(bytes);
}

function refusal(value: unknown): RangeError {
  return new RangeError(
    `size ${printValue(value)} is not accepted; give whole bytes from 0 to ${SIZE_BYTES_MAX}, ` +
      `as a number or like "4096", "1MiB" (2^20), "1.5GB" (10^9)`,
  );
}

const IEC_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/**
 * Bytes for people: three significant digits or more, in IEC units: "0 B", "1.00 GiB", "-1.50 KiB". Rounded: not to be
 * parsed back. Accepts any number; fractions of a byte (a rate) are rounded.
 */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return `${bytes} B`;
  let unit = 0;
  let scaled = Math.round(Math.abs(bytes));
  // 1023.995 and up would print as "1024.00": the next unit says "1.00".
  while (scaled >= (unit === 0 ? 1024 : 1023.995) && unit < IEC_UNITS.length - 1) {
    scaled /= 1024;
    unit += 1;
  }
  const sign = bytes < 0 && scaled > 0 ? '-' : '';
  return `${sign}${unit === 0 ? scaled : scaled.toFixed(2)} ${IEC_UNITS[unit]}`;
}
