/** What a writer thread that died left open or mapped, closed by the main thread: descriptors belong to the process. */
import { readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { native } from '@penstock/aio';
import type { JobBlock } from '@penstock/matrix';
import { partSuffix } from '@penstock/sink';

/**
 * Closes the descriptors recorded in `block`, unmaps what is recorded there, and removes the partial file, known by the
 * attempt's token. The thread's context is destroyed: until then the kernel may read from the mapping.
 */
export function closeLeftOpen(block: JobBlock, attemptToken: string): void {
  const fds = block.openFds();
  const parts = fds.map(nameOf).filter((name) => name.endsWith(partSuffix(attemptToken)));
  for (const part of parts) for (const fd of fds) native.unlinkat(fd, part); // ENOTDIR but for its directory
  for (const fd of fds) native.close(fd);
  const mapping = block.openMapping();
  if (mapping !== null) native.munmap(mapping.address, mapping.lengthBytes);
}

/** The name of an open file; '' where /proc does not tell, and then the next attempt's sweep removes it. */
function nameOf(fd: number): string {
  try {
    return basename(readlinkSync(`/proc/self/fd/${fd}`));
  } catch {
    return '';
  }
}
