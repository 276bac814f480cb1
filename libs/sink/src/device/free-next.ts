/** The end of freeing.ts in the thread that frees. */
import { IoError } from '@penstock/contract';
import { type FreeingTable, TO_CLOSE } from '@penstock/matrix';
import { native } from '@penstock/native';
import { cutFile } from './freed-blocks.ts';

/** Carries out one order of `table`; false if there is none. */
export function freeNext(table: FreeingTable): boolean {
  const slot = table.take();
  if (slot === -1) return false;
  const { fd, end } = table.orderIn(slot);
  const result = end === TO_CLOSE ? 0 : cut(fd, end);
  native.close(fd);
  table.finish(slot, result);
  return true;
}

/** A file system that fails is the error of the write that waits for the cut, and not the end of the thread. */
function cut(fd: number, end: number): number {
  try {
    return cutFile(fd, end);
  } catch (error) {
    if (error instanceof IoError) return error.errno;
    throw error;
  }
}
