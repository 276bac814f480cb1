import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { compareFiles, describeDifference, readBack } from './read-back.ts';

const scratch = mkdtempSync(join(tmpdir(), 'penstock-read-back-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const CHUNK = 1_048_576;
const stamped = Buffer.from(readSource(createPatternSource('stamp', 7), 0, 5 * CHUNK + 5000));

function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(scratch, name);
  writeFileSync(path, bytes);
  return path;
}

const source = { pattern: 'stamp', seed: 7 } as const;

test('a file as it should be is found so, with its hash, over the bounds of chunks', async () => {
  const path = fileOf('good', stamped);
  const found = await readBack({ path, source, size: stamped.length });
  expect(found).toMatchObject({ fileBytes: stamped.length, bytes: stamped.length, mismatch: null });
  expect(found.sha256).toBe(createHash('sha256').update(stamped).digest('hex'));
});

test.each([0, 1, 511, 512, CHUNK - 1, CHUNK, 5 * CHUNK + 4999, 5 * CHUNK + 5000])(
  'reading may begin anywhere, and compares the same bytes: offset %d',
  async (offset) => {
    const path = fileOf('good', stamped);
    const found = await readBack({ path, source, offset });
    expect(found).toMatchObject({ bytes: stamped.length - offset, mismatch: null });
  },
);

test('an empty file equals every pattern, and has the hash of nothing', async () => {
  const found = await readBack({ path: fileOf('empty', new Uint8Array(0)), source, size: 0 });
  expect(found.mismatch).toBeNull();
  expect(found.sha256).toMatch(/^e3b0c442/);
});

test('the first byte that differs is named with its offset, and a misplaced stamp with what it carries', async () => {
  const spoiled = Buffer.from(stamped);
  stamped.copy(spoiled, CHUNK + 512, 1024, 1536); // the block of offset 1024 where another belongs
  spoiled[CHUNK + 3000] = 0;
  const { mismatch } = await readBack({ path: fileOf('spoiled', spoiled), source });
  expect(mismatch).toMatchObject({ kind: 'content' });
  const text = describeDifference(mismatch!);
  expect(text).toContain(`at offset ${CHUNK + 512 + 9}`);
  expect(text).toContain('block of offset 1024, seed 7');
});

test('a wrong size is a difference even where every byte there is right', async () => {
  const { mismatch } = await readBack({ path: fileOf('short', stamped.subarray(0, 4096)), source, size: 8192 });
  expect(mismatch).toEqual({ kind: 'size', expected: 8192, found: 4096 });
});

test('two files are compared byte by byte and by size', async () => {
  const good = fileOf('good', stamped);
  const same = await compareFiles(good, fileOf('twin', stamped));
  expect(same.file.mismatch).toBeNull();
  expect(same.file.sha256).toBe(same.against.sha256);

  const spoiled = Buffer.from(stamped);
  spoiled[CHUNK + 1]! ^= 0xff;
  const differs = await compareFiles(fileOf('spoiled', spoiled), good);
  expect(differs.file.mismatch).toMatchObject({ kind: 'content', position: CHUNK + 1 });

  const shorter = await compareFiles(fileOf('short', stamped.subarray(0, CHUNK)), good);
  expect(shorter.file.mismatch).toEqual({ kind: 'size', expected: stamped.length, found: CHUNK });
});

test('a missing file is told by its name', async () => {
  await expect(readBack({ path: join(scratch, 'absent'), source })).rejects.toThrow(/absent/);
});
