/** The two 32-bit words of a safe integer, and lengths rounded up: plain functions, which V8 inlines. */

export const TWO_TO_32 = 4_294_967_296;

/** The low word of a safe integer, as Int32Arrays hold it. */
export const lowWord = (value: number): number => value | 0; // ToInt32 is modulo 2^32 for every safe integer
/** The high word of a non-negative safe integer. */
export const highWord = (value: number): number => Math.floor(value / TWO_TO_32);
/** The safe integer whose words are `low` and `high`. */
export const fromWords = (low: number, high: number): number => high * TWO_TO_32 + (low >>> 0);

/** The least multiple of `multiple` that is `value` or more. */
export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;
