/** The end of freeing.ts in the thread that frees. */
import { type FreeingTable, TO_CLOSE } from '@penstock/matrix';
import { native } from '@penstock/native';
import { cutFile } from './freed-blocks.ts';

/** Carries out one order of `table`; false if there is none. */
export function freeNext(table: FreeingTable): boolean {
  const slot = table.take();
  if (slot === -1) return false;
  const { fd, end } = table.orderIn(slot);
  const result = end === TO_CLOSE ? 0 : cutFile(fd, end);
  native.close(fd);
  table.finish(slot, result);
  return true;
}
