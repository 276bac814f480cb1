/** Shared memory at a multiple of more than V8 aligns it to, which is 16 bytes at best. */
import { native } from '@penstock/native';

/**
 * The first byte of `buffer` whose address is a multiple of `alignBytes`: the buffer is made so many bytes longer. Its address,
 * and so this start, is the same in every thread.
 */
export function alignedStart(buffer: SharedArrayBuffer, alignBytes: number): number {
  return (alignBytes - (native.addressOf(new Uint8Array(buffer)) % alignBytes)) % alignBytes;
}
