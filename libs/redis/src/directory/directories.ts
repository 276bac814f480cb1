// Directories that are made where they are missing.
import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes `directory` and what is missing above it. The first one alone: below /proc, where a parent is there and takes no
 * children, Node's recursive mkdir never returns.
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
