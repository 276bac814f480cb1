// The library as a program meets it: `import 'penstock'` from the checkout, the real disk, no Redis and no host.
import { execFile } from 'node:child_process';
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPatternSource, readSource } from '@penstock/sources';
import { openWriter, type Writer } from 'penstock';
import { sha256File } from '../support/system.ts';

const scratch = fileURLToPath(new URL('../../.cache/scratch/', import.meta.url));
const SIZES = [0, 1, 511, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577, 33_554_433];

let directory: string;
let writer: Writer;
const at = (name: string): string => join(directory, name);
beforeAll(async () => {
  mkdirSync(scratch, { recursive: true });
  directory = mkdtempSync(join(scratch, 'program-'));
  writer = await openWriter({ threads: 2, memoryBytes: 67_108_864 });
});
afterAll(async () => {
  await writer.close();
  // Contexts map their rings; threads and descriptors of the writer are gone with it.
  expect(readFileSync('/proc/self/maps', 'latin1')).not.toContain('/[aio]');
  rmSync(directory, { recursive: true });
});

test('what a stream, bytes and a copy write is the same file, by hash, at every size', async () => {
  for (const size of SIZES) {
    const bytes = Buffer.from(readSource(createPatternSource('random', size), 0, size));
    writeFileSync(at('plain'), bytes);
    const results = await Promise.all([
      writer.writeFile(at('bytes'), bytes),
      writer.copyFile(at('plain'), at('copy')),
      pipeline(createReadStream(at('plain')), writer.createWriteStream(at('stream'))),
      writer.writeFile(at('pattern'), { kind: 'pattern', pattern: 'random', seed: size }, { size }),
      writer.writeFile(at('readable'), createReadStream(at('plain'), { highWaterMark: 10_007 })),
    ]);
    expect(results.map((result) => result?.bytes)).toEqual([size, size, undefined, size, size]);
    const hashes = ['plain', 'bytes', 'copy', 'stream', 'pattern', 'readable'].map((name) => sha256File(at(name)));
    expect(new Set(await Promise.all(hashes)).size).toBe(1);
  }
});

test('a program in the checkout imports it by its name, and `using` closes it', async () => {
  const program = at('program.mjs');
  writeFileSync(
    program,
    `import { openWriter, IoError } from 'penstock';
    const writer = await openWriter({ threads: 1 });
    try {
      const { bytes, mode } = await writer.writeFile('program.out', 'from a program', { durability: 'fdatasync' });
      console.log(bytes, typeof mode);
      await writer.writeFile('absent/x', '').catch((error) => console.log(error instanceof IoError, error.code));
    } finally {
      await writer[Symbol.asyncDispose]();
    }`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [program], { cwd: directory });
  expect(stdout).toBe('14 string\ntrue ENOENT\n');
  expect(readFileSync(at('program.out'), 'utf8')).toBe('from a program');
  expect(readdirSync(directory).filter((name) => name.endsWith('.part'))).toEqual([]);
});
