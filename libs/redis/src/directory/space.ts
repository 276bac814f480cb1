// Whether the server ended because its disk is full.
import { statfs } from 'node:fs/promises';
import { formatBytes } from '@penstock/contract';

/** With less free than this a server is not started: it would soon end again. */
const NEEDED_BYTES = 1_048_576;

/** True if the server that wrote this log ended for want of space. */
export const diedOfSpace = (log: string): boolean => /No space left on device/i.test(log.slice(-500));

/**
 * That the file system of `directory` is full, in words and with its figures; null if it is not, or cannot be asked.
 */
export async function lackOfSpace(directory: string): Promise<string | null> {
  try {
    // Not what is set aside for root: some of that nobody ever gets.
    const { bavail, blocks, bsize } = await statfs(directory);
    const freeBytes = bavail * bsize;
    if (blocks === 0 || freeBytes >= NEEDED_BYTES) return null;
    return `The file system of ${directory} is full: ${formatBytes(freeBytes)} free of ${formatBytes(blocks * bsize)}.`;
  } catch {
    return null; // the server's own error says more
  }
}
