/** Closes what a writer thread that died left open or mapped: descriptors belong to the process. */
import { readlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { native } from '@penstock/native';
import { statAt } from '@penstock/disk';
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
  for (const fd of fds) {
    const path = pathOf(fd);
    if (isPartOf(basename(path), attemptToken)) removePart(fd, path);
  }
  for (const fd of fds) native.close(fd);
  const mapping = block.openMapping();
  if (mapping !== null) native.munmap(mapping.address, mapping.lengthBytes);
}

/** Removes the name of the open file `fd`, if it still is this file's: its directory may be other writes' too, or moved. */
function removePart(fd: number, path: string): void {
  const name = basename(path);
  const dirFd = native.openat(native.AT_FDCWD, dirname(path), native.O_PATH | native.O_DIRECTORY, 0);
  if (dirFd < 0) return;
  const [open, standing] = [statAt(fd, ''), statAt(dirFd, name)];
  const isItself = typeof open !== 'number' && typeof standing !== 'number' && open.identity === standing.identity;
  if (isItself) native.unlinkat(dirFd, name);
  native.close(dirFd);
}

/** The path of an open file; '' if /proc does not show it, and then the next attempt's sweep removes it. */
function pathOf(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
