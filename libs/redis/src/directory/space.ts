/** Whether the file system of a directory is full. */
import { statfs } from 'node:fs/promises';
import { formatBytes } from '@penstock/contract';

/** With less free than this a server is not started: it would soon end again. */
const NEEDED_BYTES = 1_048_576;

/**
 * That the file system of `directory` is full, in words and with its figures; null if it is not, or cannot be asked.
 */
export async function lackOfSpace(directory: string): Promise<string | null> {
  try {
    // Without the blocks that are set aside for root: some of those are never given out.
    const { bavail, blocks, bsize } = await statfs(directory);
    const freeBytes = bavail * bsize;
    if (blocks === 0 || freeBytes >= NEEDED_BYTES) return null;
    return `The file system of ${directory} is full: ${formatBytes(freeBytes)} free of ${formatBytes(blocks * bsize)}.`;
  } catch {
    return null; // not known: the message has the server's own error instead
  }
}
