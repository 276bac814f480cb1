import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const at = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const fixture = fileURLToPath(new URL('allocation.fixture.mjs', import.meta.url));

test('neither engine nor loop allocates by row: 100,000 rows take less heap than a number each', () => {
  const scratch = at('../../../.cache/scratch/'); // the checkout's disk: a tmpfs would be another path of the kernel
  mkdirSync(scratch, { recursive: true });
  const directory = mkdtempSync(join(scratch, 'allocation-'));
  try {
    const file = join(directory, 'rows');
    writeFileSync(file, new Uint8Array(4_194_304));
    const flags = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];
    const child = spawnSync(process.execPath, [...flags, fixture, file], { encoding: 'utf8' });
    expect(child.stderr).toBe('');
    const { bytesPerRow } = JSON.parse(child.stdout) as { bytesPerRow: number };
    expect(bytesPerRow).toBeLessThan(12); // the smallest object is that large
  } finally {
    rmSync(directory, { recursive: true });
  }
});
