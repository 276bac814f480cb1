/** The native boundary: system calls as functions over numbers and typed arrays, and the two words of a large number. */
export * as native from './native.ts';
export { TWO_TO_32, fromWords, highWord, lowWord, roundUp } from './words.ts';
