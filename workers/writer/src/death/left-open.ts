/** Closes what a writer thread that died left open or mapped: descriptors belong to the process. */
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { native } from '@penstock/native';
import { Control, type JobBlock } from '@penstock/matrix';
import { isPartOf } from '@penstock/sink';

/** The words that record what an attempt has open: a Control, and which of its job blocks. */
export interface LeftOpen {
  control: SharedArrayBuffer;
  threads: number;
  jobs: number;
  /** The first of the attempt's blocks, and how many it has. */
  firstSlot: number;
  slots: number;
  /** Stands in the names of the attempt's partial files. */
  attemptToken: string;
}

/**
 * Closes the descriptors recorded, unmaps what is recorded there, and removes the partial files. The thread's context is
 * destroyed: until then the kernel may read from the mapping.
 */
export function closeLeftOpen({ control, threads, jobs, firstSlot, slots, attemptToken }: LeftOpen): void {
  const words = new Control(threads, jobs, control);
  for (let slot = firstSlot; slot < firstSlot + slots; slot += 1) closeBlock(words.job(slot), attemptToken);
}

function closeBlock(block: JobBlock, attemptToken: string): void {
  const fds = block.openFds();
  const parts = fds.map(nameOf).filter((name) => isPartOf(name, attemptToken));
  for (const part of parts) for (const fd of fds) native.unlinkat(fd, part); // one of them is its directory; the others answer ENOTDIR
  for (const fd of fds) native.close(fd);
  const mapping = block.openMapping();
  if (mapping !== null) native.munmap(mapping.address, mapping.lengthBytes);
}

/** The name of an open file; '' if /proc does not show it, and then the next attempt's sweep removes it. */
function nameOf(fd: number): string {
  try {
    return basename(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return '';
  }
}
