/**
 * crc32c (Castagnoli) of bytes, and what follows from its algebra: the sum of two pieces from their own sums, and of
 * zeros without a look at them. The only import of the native library.
 *
 * A sum is the finished one, as it is printed: an unsigned 32-bit number, 0 for no bytes. crc32c("123456789") is
 * e3069283.
 */
import { createRequire } from 'node:module';

type Native = typeof import('@node-rs/crc32');

// Loaded with the first sum: most writes ask for none, and must not fail if there is no binary for the machine.
const require = createRequire(import.meta.url);
let native: Native | null = null;

/** The polynomial, its bits reversed as those of the sums are. */
const POLYNOMIAL = 0x82f6_3b78;
/** x^0 and x^1 in that order of bits. */
const ONE = 0x8000_0000;
const X = 0x4000_0000;
/** A length is below 2^53 bytes, which are 2^56 bits. */
const POWERS = 57;

/** The sum of what `sum` was of, followed by `bytes`. They may lie in shared memory, and are not copied. */
export function extendCrc32c(sum: number, bytes: Uint8Array): number {
  native ??= require('@node-rs/crc32') as Native;
  return native.crc32c(bytes, sum);
}

/** The sum of two pieces one after the other: `sum`, and `sumAfter` of the `lengthAfter` bytes behind it. */
export function joinCrc32c(sum: number, sumAfter: number, lengthAfter: number): number {
  return (multiply(bytesShift(lengthAfter), sum) ^ sumAfter) >>> 0;
}

/** The sum of what `sum` was of, followed by `count` zeros: as fast for a tebibyte as for one. */
export function extendCrc32cByZeros(sum: number, count: number): number {
  // The register is the sum inverted, and zeros only shift it.
  return ~multiply(bytesShift(count), ~sum >>> 0) >>> 0;
}

/** As it is usually printed: eight hexadecimal digits, the highest first. */
export const printCrc32c = (sum: number): string => sum.toString(16).padStart(8, '0');

/** x^(2^n) modulo the polynomial, by n. */
const powersOfX = new Uint32Array(POWERS);
powersOfX[0] = X;
for (let n = 1; n < POWERS; n += 1) powersOfX[n] = multiply(powersOfX[n - 1]!, powersOfX[n - 1]!);

/** The shift that was asked for last: nearly all pieces of a file have one length. */
let shiftLength = 0;
let shift = ONE;

/** x^(8 * length) modulo the polynomial. */
function bytesShift(length: number): number {
  if (length === shiftLength) return shift;
  let product = ONE;
  let rest = length;
  for (let n = 3; rest > 0; n += 1) {
    if (rest % 2 === 1) product = multiply(powersOfX[n]!, product);
    rest = Math.floor(rest / 2);
  }
  shiftLength = length;
  shift = product;
  return product;
}

/** a * b modulo the polynomial, over GF(2). */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = ONE; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= factor;
    factor = (factor & 1) === 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product >>> 0;
}
