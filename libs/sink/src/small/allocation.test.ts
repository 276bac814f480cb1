import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

/** About 6,000 are taken. */
const BYTES_PER_FILE_MAX = 7500;

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const fixture = fileURLToPath(new URL('allocation.fixture.mjs', import.meta.url));

test('a small file takes less than 7,500 bytes of heap, from its order to its result', () => {
  const scratch = at('../../../../.cache/scratch/'); // the checkout's disk: a tmpfs would be another path of the kernel
  mkdirSync(scratch, { recursive: true });
  const directory = mkdtempSync(join(scratch, 'allocation-'));
  try {
    const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];
    const args = [fixture, directory, String(BYTES_PER_FILE_MAX)];
    const child = spawnSync(process.execPath, [...flags, ...args], { encoding: 'utf8' });
    expect(child.stderr).toBe('');
    const { bytesPerFile } = JSON.parse(child.stdout) as { bytesPerFile: number };
    expect(bytesPerFile).toBeLessThan(BYTES_PER_FILE_MAX);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
