/** The native boundary: system calls as functions over numbers and typed arrays. */
export * as native from './native.ts';
