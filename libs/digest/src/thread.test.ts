/** The digest thread: rows in any order, more files than the ring holds, and its death. */
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { afterEach, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { extendCrc32c, printCrc32c } from './crc32c.ts';
import type { DigestOrder, FileDigest } from './file-digest.ts';
import { RING_ENTRIES } from './ring.ts';
import { DigestThread } from './thread.ts';

const SEED = 20_261_124;
const ROW_BYTES = 4096;
const ROWS = 64;
const LARGE = 1_000_000_000; // the size that is declared, so that a thread does it

const memory = new Uint8Array(new SharedArrayBuffer(ROWS * ROW_BYTES + 100), 100);
let thread: DigestThread;
let wake: () => void = () => {};

function open(order: Partial<DigestOrder> = {}, sizeBytes = LARGE): FileDigest {
  const whole = { algorithm: 'sha256', keepsChunks: false, rowCount: ROWS, rowBytes: ROW_BYTES } as const;
  return thread.open({ ...whole, ...order }, sizeBytes);
}

function begin(): void {
  thread = new DigestThread(memory, () => wake());
}
afterEach(async () => {
  await thread.close();
});

/** Looks again whenever the digest wakes this thread, as the loop does. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }
}

const sumKnown = (file: FileDigest) => () => {
  file.advance();
  return file.sum !== null;
};

/** Takes row `row` for `bytes` as soon as the digest is done with what it holds. */
async function feed(file: FileDigest, row: number, bytes: Uint8Array, position: number): Promise<void> {
  await until(() => {
    if (file.isDone(row)) return true;
    file.advance();
    file.awaitProgress();
    return file.isDone(row);
  });
  memory.set(bytes, row * ROW_BYTES);
  file.add(row, row * ROW_BYTES, bytes.length, position);
}

const bytesOf = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 17 + (index >>> 7)) & 255);

test.each(['inline', 'thread'])('sums of known answers, by %s', async (way) => {
  begin();
  const size = way === 'inline' ? 9 : LARGE;
  const sums: (string | null)[] = [];
  for (const algorithm of ['crc32c', 'sha256', null] as const) {
    const file = open({ algorithm }, size);
    await feed(file, 0, Buffer.from('123456789'), 0);
    file.finish();
    await until(sumKnown(file));
    sums.push(file.sum);
    file.close();
  }
  expect(sums).toEqual(['e3069283', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225', '']);
  expect(thread.running).toBe(way === 'thread');
});

test('rows that come in any order are summed up in the order of the file', async () => {
  begin();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: ROW_BYTES }), { minLength: 1, maxLength: ROWS }),
      fc.infiniteStream(fc.nat()),
      async (lengths, keys) => {
        const file = open({ keepsChunks: true });
        let position = 0;
        const rows = lengths.map((length, row) => {
          const begun = { row, position, bytes: bytesOf(length, row) };
          position += length;
          return { ...begun, key: keys.next().value as number };
        });
        for (const { row, bytes, position: at } of rows.toSorted((one, other) => one.key - other.key)) {
          await feed(file, row, bytes, at);
        }
        file.finish();
        await until(sumKnown(file));
        expect(file.sum).toBe(sha256(...rows.map(({ bytes }) => bytes)));
        file.close();
      },
    ),
    { seed: SEED, numRuns: 30 },
  );
});

const sha256 = (...pieces: Uint8Array[]): string => createHash('sha256').update(Buffer.concat(pieces)).digest('hex');

test('a row is not done before it is read, and far more rows than memory holds pass through', async () => {
  begin();
  const file = open({ algorithm: 'sha256' });
  const hash = createHash('sha256');
  for (let index = 0; index < 3000; index += 1) {
    const bytes = bytesOf(ROW_BYTES - (index % 7 === 0 ? 5 : 0), index);
    hash.update(bytes);
    await feed(file, index % ROWS, bytes, position(index));
  }
  file.finish();
  await until(sumKnown(file));
  expect(file.sum).toBe(hash.digest('hex'));
  // Each row but the ones of every seventh index is full.
  function position(index: number): number {
    return index * ROW_BYTES - Math.ceil(index / 7) * 5;
  }
  file.close();
});

test('more orders at once than the ring holds: all are carried out', async () => {
  begin();
  const files = Array.from({ length: RING_ENTRIES }, () => open({ algorithm: 'crc32c' }));
  const bytes = bytesOf(ROW_BYTES, 1);
  memory.set(bytes, 0);
  for (const file of files) {
    file.add(0, 0, ROW_BYTES, 0);
    file.finish();
  }
  await until(() => {
    for (const file of files) file.advance();
    return files.every((file) => file.sum !== null);
  });
  expect(new Set(files.map((file) => file.sum))).toEqual(new Set([printCrc32c(extendCrc32c(0, bytes))]));
  for (const file of files) file.close();
  // They are forgotten over there, or one more would find them in its way.
  const after = open();
  after.finish();
  await until(sumKnown(after));
  expect(after.sum).toBe(sha256());
});

test.each(['crc32c', 'sha256'] as const)(
  'holes count as zeros, before, between and behind rows (%s)',
  async (algorithm) => {
    begin();
    const file = open({ algorithm });
    const bytes = bytesOf(ROW_BYTES, 3);
    const [first, second] = [40_000_000, 70_000_001];
    file.addHole(0, first);
    await feed(file, 0, bytes, first);
    file.addHole(first + ROW_BYTES, second);
    await feed(file, 1, bytes, second);
    file.addHole(second + ROW_BYTES, second + ROW_BYTES + 10);
    file.finish();
    await until(sumKnown(file));
    const whole = Buffer.alloc(second + ROW_BYTES + 10);
    whole.set(bytes, first);
    whole.set(bytes, second);
    const right = algorithm === 'sha256' ? sha256(whole) : printCrc32c(extendCrc32c(0, whole));
    expect(file.sum).toBe(right);
  },
);

test('what was added is reported as runs of full chunks, and each chunk is compared with what was read', async () => {
  begin();
  const file = open({ algorithm: null, keepsChunks: true });
  const lengths = [ROW_BYTES, ROW_BYTES, 100, ROW_BYTES];
  let at = 1000;
  file.addHole(0, 1000);
  for (const [row, length] of lengths.entries()) {
    await feed(file, row, bytesOf(length, row), at);
    at += length;
  }
  file.finish();
  await until(sumKnown(file));
  expect(file.runs).toEqual([
    { start: 1000, end: 1100 + 2 * ROW_BYTES, firstChunk: 0 },
    { start: 1100 + 2 * ROW_BYTES, end: 1100 + 3 * ROW_BYTES, firstChunk: 3 },
  ]);
  memory[3 * ROW_BYTES + 77]! ^= 1;
  // In any order.
  for (const [row, position] of [
    [3, 1100 + 2 * ROW_BYTES],
    [0, 1000],
    [1, 1000 + ROW_BYTES],
  ] as const) {
    file.compare(row, row * ROW_BYTES, ROW_BYTES, position, row);
  }
  file.endComparison();
  await until(() => file.compared);
  const written = extendCrc32c(0, bytesOf(ROW_BYTES, 3));
  const read = extendCrc32c(0, memory.subarray(3 * ROW_BYTES, 4 * ROW_BYTES));
  expect(file.mismatch).toEqual({ position: 1100 + 2 * ROW_BYTES, length: ROW_BYTES, written, read });
});

test('a thread that dies fails its files as retryable, and the next file gets another', async () => {
  begin();
  const file = open();
  file.addHole(0, 100_000_000_000); // a minute of work
  file.finish();
  const small = open({}, 5);
  await thread.close();
  expect(() => file.advance()).toThrow(expect.objectContaining({ code: 'EDIGESTDIED', retryable: true }));
  expect(thread.running).toBe(false);
  file.close();
  small.finish();
  expect(small.sum).toBe(sha256());
  const next = open();
  next.finish();
  await until(sumKnown(next));
  expect(next.sum).toBe(sha256());
});

test('a hundred thousand rows leave no memory behind, and a thread that is closed no thread', async () => {
  begin();
  const threads = (): number => readdirSync('/proc/self/task').length;
  const before = threads();
  const pass = async (rows: number): Promise<void> => {
    const file = open({ algorithm: 'crc32c', keepsChunks: true });
    for (let index = 0; index < rows; index += 1) await feed(file, index % ROWS, memory.subarray(0, 64), index * 64);
    file.finish();
    await until(sumKnown(file));
    file.close();
  };
  await pass(50_000);
  const warm = process.memoryUsage.rss();
  await pass(100_000);
  expect(process.memoryUsage.rss() - warm).toBeLessThan(40_000_000);
  await thread.close();
  expect(threads()).toBe(before);
});
