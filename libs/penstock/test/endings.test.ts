// What a file that is changed where it stands has after its writer ended: real processes, ended in every way.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Bench, bytesFor } from '../src/bench.fixture.ts';

const program = fileURLToPath(new URL('endings.fixture.mjs', import.meta.url));
const MIB = 1_048_576;
/** Of a stream. */
const ROWS_BYTES = 8 * MIB;
/** So far its file may be longer than its bytes: the rows in flight, and a quarter more. */
const AHEAD_BYTES = ROWS_BYTES + ROWS_BYTES / 4;

let bench: Bench;
const children: ChildProcess[] = [];
beforeEach(() => {
  bench = new Bench();
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  expect(await bench.clear()).toEqual([]);
});

function start(way: string, flags: string, byteCount: number): ChildProcess {
  const child = spawn(process.execPath, [program, way, bench.path('a'), flags, `${byteCount}`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  return child;
}

/** Resolves with the next line of the child. */
const line = async (child: ChildProcess): Promise<string> => String((await once(child.stdout!, 'data'))[0]);

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setTimeout(2);
}

const sizeNow = (): number => statSync(bench.path('a')).size;

/** The next write of any kind lands right behind the bytes that stand: no zeros between. */
async function appendsNext(): Promise<void> {
  const writer = await bench.open();
  await writer.writeFile(bench.path('a'), 'NEXT', { mode: 'append' });
}

const OLD = Buffer.from('what stood there|');

test.each([
  ['exits', 'a', 7],
  ['throws', 'a', 1],
  ['exits', 'r+', 7],
  ['exits', 'as', 7],
])(
  'a process that %s amid a stream with flags %s has written all that the stream had taken, and not a byte more',
  async (way, flags, code) => {
    for (const size of way === 'exits' && flags === 'a' ? [1, 12 * MIB + 12_345] : [5 * MIB + 345]) {
      writeFileSync(bench.path('a'), OLD);
      const child = start(way, flags, size);
      expect(await once(child, 'exit')).toEqual([code, null]);
      const expected = flags === 'r+' ? bytesFor(size) : Buffer.concat([OLD, bytesFor(size)]);
      const rest = flags === 'r+' ? OLD.subarray(size) : Buffer.alloc(0);
      expect(bench.read('a').equals(Buffer.concat([expected, rest]))).toBe(true);
    }
  },
  60_000,
);

test.each(['SIGKILL', 'SIGTERM'] as const)(
  'killed by %s while it waits for more, a stream has lost nothing that it took a moment ago',
  async (signal) => {
    writeFileSync(bench.path('a'), OLD);
    const size = 3 * MIB + 777;
    const child = start('waits', 'a', size);
    await line(child);
    const expected = Buffer.concat([OLD, bytesFor(size)]);
    await until(() => sizeNow() === expected.length && bench.read('a').equals(expected));
    child.kill(signal);
    await once(child, 'exit');
    expect(bench.read('a').equals(expected)).toBe(true);
    await appendsNext();
    expect(bench.read('a').equals(Buffer.concat([expected, Buffer.from('NEXT')]))).toBe(true);
  },
  60_000,
);

test.each(['a', 'r+'])(
  'killed amid writing with flags %s, a stream leaves zeros for its rows at most, and the next write cuts them off',
  async (flags) => {
    const period = bytesFor(MIB + 12_344);
    const bytes = Buffer.concat(Array.from({ length: 120 }, () => period));
    const before = flags === 'a' ? OLD : Buffer.alloc(0);
    for (const killAt of flags === 'a' ? [0, 20 * MIB] : [20 * MIB]) {
      writeFileSync(bench.path('a'), before);
      const child = start('writes', flags, period.length);
      await line(child);
      await until(() => sizeNow() > before.length + killAt);
      child.kill('SIGKILL');
      await once(child, 'exit');
      const left = bench.read('a');
      const standing = commonLength(left.subarray(before.length), bytes);
      expect(left.length - before.length - standing).toBeLessThanOrEqual(AHEAD_BYTES);
      await appendsNext();
      const after = bench.read('a');
      expect(after.subarray(-4).toString()).toBe('NEXT');
      const kept = after.subarray(before.length, -4);
      expect(kept.equals(bytes.subarray(0, kept.length))).toBe(true);
      // What has come stays; the first of the bytes that have not may be zeros: the first word of all is, and parts of others.
      expect(standing - kept.length).toBeGreaterThanOrEqual(0);
      expect(standing - kept.length).toBeLessThan(8);
      await bench.close();
    }
  },
  120_000,
);

/** How many bytes the two have in common from their start, by pages and then one by one. */
function commonLength(a: Buffer, b: Buffer): number {
  let at = 0;
  while (at + 65_536 <= a.length && a.compare(b, at, at + 65_536, at, at + 65_536) === 0) at += 65_536;
  while (at < a.length && a[at] === b[at]) at += 1;
  return Math.min(at, a.length);
}

test('a stream that is read while it is written is never longer than its bytes by more than its rows', async () => {
  const writer = await bench.open({ threads: 1 });
  const bytes = bytesFor(24 * MIB);
  const stream = writer.createWriteStream(bench.path('a'), { flags: 'a' });
  let ahead = 0;
  const writing = pipeline(async function* pieces() {
    for (let at = 0; at < bytes.length; at += MIB) yield bytes.subarray(at, at + MIB);
  }, stream);
  await once(stream, 'ready');
  while (!stream.closed) {
    ahead = Math.max(ahead, sizeNow() - (stream.bytesWritten - ROWS_BYTES));
    await setTimeout(1);
  }
  await writing;
  expect(ahead).toBeLessThanOrEqual(ROWS_BYTES + AHEAD_BYTES);
  expect(bench.read('a').equals(bytes)).toBe(true);
});

test('a pipeline into r+ or a that is aborted settles when the file is as it stays: its old length, or its bytes', async () => {
  const writer = await bench.open();
  const bytes = bytesFor(12 * MIB);
  const names: string[] = [];
  for (const flags of ['r+', 'a'] as const) {
    for (const [oldLength, pieces] of [
      [0, 1],
      [1000, 0],
      [5 * MIB + 1, 3],
      [1000, 12],
    ] as const) {
      const old = Buffer.alloc(oldLength, 'o');
      const name = `${flags} ${pieces}`; // each its own file: one that has settled may still be flushed, and locked
      names.push(name);
      writeFileSync(bench.path(name), old);
      const stream = writer.createWriteStream(bench.path(name), { flags });
      const source = async function* broken(): AsyncGenerator<Buffer> {
        for (let piece = 0; piece < pieces; piece += 1) yield bytes.subarray(piece * MIB, (piece + 1) * MIB);
        throw new Error('broken');
      };
      await expect(pipeline(pieces % 2 === 0 ? source : Readable.from(source()), stream)).rejects.toThrow('broken');
      const settled = statSync(bench.path(name)).size;
      const written = stream.bytesWritten;
      const expected =
        flags === 'a'
          ? Buffer.concat([old, bytes.subarray(0, written)])
          : Buffer.concat([bytes.subarray(0, written), old.subarray(written)]);
      expect({ flags, oldLength, pieces, settled }).toEqual({ flags, oldLength, pieces, settled: expected.length });
      expect(readFileSync(bench.path(name)).equals(expected)).toBe(true);
    }
  }
  const append = (name: string): Promise<unknown> =>
    pipeline(Readable.from(['end']), writer.createWriteStream(bench.path(name), { flags: 'a' })).catch(
      (error: unknown) => ((error as NodeJS.ErrnoException).code === 'EBUSY' ? append(name) : Promise.reject(error)),
    );
  for (const name of names) {
    await append(name);
    expect(readFileSync(bench.path(name)).toString('latin1')).toMatch(/end$/);
  }
});
