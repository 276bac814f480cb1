// Checksums and readbacks through the writer threads: sums at the edges, and no digest thread that outlives its writer.
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type JobRequestInput, isBulkResult } from '@penstock/contract';
import { parseJob } from '@penstock/contract/judging';
import { STOP_CANCEL } from '@penstock/matrix';
import { WriterPool } from '../src/pool/pool.ts';
import { makeDirectory, poolOptions, throwing } from './pool.fixture.ts';

const EDGES = [0, 1, 511, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577];
const source = { kind: 'pattern', pattern: 'stamp', seed: 3 } as const;

let directory: string;
let pool: WriterPool;
let threadsBefore: number;

const threads = (): number => readdirSync('/proc/self/task').length;
const sha256 = (path: string): string =>
  createHash('sha256')
    .update(readFileSync(join(directory, path)))
    .digest('hex');

beforeEach(async () => {
  directory = makeDirectory('sums-');
  await stat(directory); // Node's own threads are made at the first use of them, and stay
  threadsBefore = threads();
});
afterEach(async () => {
  await pool.close();
  expect(threads()).toBeLessThanOrEqual(threadsBefore); // one of an earlier test's may have been about to end
  rmSync(directory, { recursive: true, force: true });
});

function openPool(entry?: URL): void {
  pool = new WriterPool(poolOptions(directory, entry === undefined ? {} : { entry }));
}

const run = (input: JobRequestInput, name: string) => pool.run(parseJob(input), name, 1);

test.each([
  ['replace', 'atomic'],
  ['replace', 'in-place'],
  ['create', 'atomic'],
] as const)(
  'every edge size, %s and %s: the sum is that of the file, and the file is read back',
  async (mode, publish) => {
    openPool();
    const results = await Promise.all(
      EDGES.map(
        (size) =>
          run({ path: `${size}`, size, source, mode, publish, checksum: 'sha256', verify: 'readback' }, `${size}`).done,
      ),
    );
    for (const [index, result] of results.entries()) {
      const size = EDGES[index]!;
      expect(readFileSync(join(directory, `${size}`)).length).toBe(size);
      expect(result).toMatchObject({ bytes: size, verified: 'readback' });
      expect(result).toMatchObject({ checksum: { algorithm: 'sha256', value: sha256(`${size}`) } });
    }
  },
);

test('copies, expectations and bulks agree on what the bytes are', async () => {
  openPool();
  const size = 5_000_001;
  const written = await run({ path: 'a', size, source, checksum: 'crc32c' }, 'a').done;
  if (isBulkResult(written)) throw new Error('a single write told a bulk');
  const expected = written.checksum!.value;
  const from = { kind: 'file', path: 'a' } as const;
  await run({ path: 'b', source: from, checksum: 'crc32c', expect: expected, verify: 'readback' }, 'b').done;
  expect(sha256('b')).toBe(sha256('a'));
  const files = Array.from({ length: 40 }, (_, index) => ({ path: `bulk/${index}`, source: from }));
  const bulk = await run({ files, checksum: 'crc32c', expect: expected }, 'bulk').done;
  expect(isBulkResult(bulk) && bulk.items).toEqual(
    files.map(({ path }) => ({ path, bytes: size, checksum: { algorithm: 'crc32c', value: expected } })),
  );
});

test('an IntegrityError crosses the thread as one', async () => {
  openPool();
  const failing = run({ path: 'a', size: 2_000_000, source, checksum: 'crc32c', expect: '00000001' }, 'a').done;
  await expect(failing).rejects.toMatchObject({
    name: 'IntegrityError',
    code: 'ECHECKSUM',
    expected: '00000001',
    offset: 0,
    length: 2_000_000,
    path: join(directory, 'a'),
    retryable: false,
  });
  expect(readdirSync(directory)).toEqual([]);
});

test('a write is cancelled amid its sum, and the thread sums up others afterwards', async () => {
  openPool();
  const { block, done } = run({ path: 'a', size: '8GiB', source, checksum: 'sha256' }, 'a');
  const outcome = done.catch((error: unknown) => error);
  while (block.read().bytesWritten === 0) await setImmediate();
  block.requestStop(STOP_CANCEL);
  expect(await outcome).toMatchObject({ code: 'ECANCELED' });
  expect(readdirSync(directory)).toEqual([]);
  const after = await run({ path: 'b', size: 3_000_000, source, checksum: 'sha256' }, 'b').done;
  expect(after).toMatchObject({ checksum: { value: sha256('b') } });
});

test('a writer thread that dies takes its digest thread along, with rows still queued for it', async () => {
  openPool(throwing);
  const size = 3_000_000;
  await Promise.all(
    [0, 1].map((index) => run({ path: `${index}`, size, source, checksum: 'sha256' }, `${index}`).done),
  );
  const withDigests = threads();
  const dying = run({ path: 'die.dat', size: '4GiB', source, checksum: 'sha256' }, 'dying').done;
  await expect(dying).rejects.toMatchObject({ code: 'EWRITERDIED', retryable: true });
  expect(readdirSync(directory).toSorted()).toEqual(['0', '1']);
  // Another writer took its place; its digest begins with the first write that wants one.
  const again = await Promise.all(
    [2, 3].map((index) => run({ path: `${index}`, size, source, checksum: 'sha256' }, `${index}`).done),
  );
  for (const result of again) expect(result).toMatchObject({ checksum: { value: sha256('2') } });
  expect(threads()).toBe(withDigests);
});

test('many writes with sums leave no memory and no thread behind', async () => {
  openPool();
  const round = async (first: number): Promise<void> => {
    const asked = { source, checksum: 'crc32c', verify: 'readback' } as const;
    const names = Array.from({ length: 16 }, (_, index) => `${first + index}`);
    await Promise.all(names.map((path, index) => run({ path, size: 100_000 * index, ...asked }, path).done));
  };
  for (let index = 0; index < 10; index += 1) await round(index * 16);
  const [rss, count] = [process.memoryUsage.rss(), threads()];
  for (let index = 0; index < 40; index += 1) await round(index * 16);
  expect(process.memoryUsage.rss() - rss).toBeLessThan(60_000_000);
  expect(threads()).toBe(count);
});
