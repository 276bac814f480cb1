/** For tests: a directory on the checkout's disk, and a pool whose only root it is. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PoolOptions } from '../src/pool/options.ts';

// Not os.tmpdir(): that is often a tmpfs, on which direct I/O proves nothing.
const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));

/** An entry whose thread dies in the middle of its first write of a file named "die…". */
export const throwing: URL = new URL('throwing-worker.fixture.mjs', import.meta.url);
/** An entry whose thread takes no message any more in the middle of its first write of a file named "deaf…". */
export const deaf: URL = new URL('deaf-worker.fixture.mjs', import.meta.url);

/** A new directory, for the test to remove. */
export function makeDirectory(prefix: string): string {
  mkdirSync(scratch, { recursive: true });
  return mkdtempSync(join(scratch, prefix));
}

/** The options of a pool with the root "data" at `directory`. */
export const poolOptions = (directory: string, more: Partial<PoolOptions> = {}): PoolOptions => ({
  threads: 2,
  depth: 32,
  jobs: 8,
  memoryBytes: 67_108_864,
  roots: [{ name: 'data', path: directory, writable: true }],
  engine: 'auto',
  ...more,
});
