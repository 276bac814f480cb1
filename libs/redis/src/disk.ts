// Whether the disk below the server is what ails it.
import { statfs } from 'node:fs/promises';
import { formatBytes } from '@penstock/contract';

/** With less there is no room for the records to come. */
const NEEDED_BYTES = 1_048_576;

/** True where a server that wrote this log last found no room for its next record. */
export const diedOfSpace = (log: string): boolean => /No space left on device/i.test(log.slice(-500));

/** What is wrong with the room on the file system of `directory`, with its figures; null if nothing is. */
export async function lackOfSpace(directory: string): Promise<string | null> {
  try {
    // Not what is set aside for root: some of that nobody ever gets.
    const { bavail, blocks, bsize } = await statfs(directory);
    const freeBytes = bavail * bsize;
    if (blocks === 0 || freeBytes >= NEEDED_BYTES) return null;
    return `The file system of ${directory} is full: ${formatBytes(freeBytes)} free of ${formatBytes(blocks * bsize)}.`;
  } catch {
    return null; // what cannot be asked is not blamed
  }
}
