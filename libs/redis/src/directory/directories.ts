/** Makes directories that are missing. */
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes `directory` and what is missing above it. The topmost by a call of its own: below /proc, where a parent exists and
 * takes no children, Node's recursive mkdir never returns.
 *
 * @throws the error of mkdir
 */
export function makeDirectories(directory: string): void {
  let first = directory;
  while (!existsSync(first) && !existsSync(dirname(first))) first = dirname(first);
  try {
    mkdirSync(first);
  } catch (error) {
    if (!existsSync(first)) throw error; // else it is there, or another process was quicker
  }
  mkdirSync(directory, { recursive: true });
}
