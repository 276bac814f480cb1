// Whole files under faults: the seeded double misbehaves in every way kernel AIO may, on the real disk.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type FaultyOptions, faultyPort } from '@penstock/aio';
import type { WriteRequestInput } from '@penstock/contract';
import { type Bench, openBench, sha256, stamp } from '../src/thread/thread.fixture.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8];
/** What a write must survive: everything that is not an error. */
const HARMLESS = {
  submitBusy: 0.1,
  submitInterrupted: 0.1,
  partialSubmit: 0.3,
  waitInterrupted: 0.1,
  emptyWait: 0.1,
  delayed: 0.2,
  shortWrite: 0.1,
  shortRead: 0.1,
};

let bench: Bench;
afterEach(() => bench.end());

function openFaulty(options: FaultyOptions): ReturnType<typeof faultyPort> {
  const port = faultyPort(options);
  bench = openBench({ port, depth: 8 });
  return port;
}

/** Eight writes and copies of odd sizes at once, in rows of 16 KiB, and eight files of one row. */
function startAll(): { path: string; expected: Uint8Array; done: Promise<unknown> }[] {
  return Array.from({ length: 16 }, (_, index) => {
    const isOneRow = index >= 8;
    const size = isOneRow ? index * 1021 : index * 123_456 + (index % 3);
    const expected = stamp(index, size);
    const matrix = { rows: 4, rowBytes: 16_384 };
    const request: WriteRequestInput = {
      path: `${index}.dat`,
      size,
      matrix,
      source: { kind: 'pattern', pattern: 'stamp', seed: index },
    };
    if (!isOneRow && index % 2 === 1) {
      writeFileSync(join(bench.archive, `${index}.in`), expected);
      request.source = { kind: 'file', root: 'archive', path: `${index}.in` };
    }
    return { path: request.path, expected, done: bench.write(request) };
  });
}

test.each(SEEDS)(
  'short, partial, interrupted, busy, late and reordered: every file is right all the same (seed %i)',
  async (seed) => {
    const port = openFaulty({ seed, faults: HARMLESS });
    for (const { path, expected, done } of startAll()) {
      await done;
      expect(sha256(bench.read(path))).toBe(sha256(expected));
    }
    for (const fault of ['partialSubmit', 'shortWrite', 'shortRead', 'delayed'] as const) {
      expect(port.fired[fault]).toBeGreaterThan(0);
    }
  },
);

test.each(SEEDS)('with errors among them a write is right or fails and leaves nothing (seed %i)', async (seed) => {
  const port = openFaulty({ seed, faults: { ...HARMLESS, failed: 0.01, refused: 0.005 } });
  const writes = startAll();
  const outcomes = await Promise.allSettled(writes.map((write) => write.done));
  const allowed = new Set<string>();
  for (const [index, outcome] of outcomes.entries()) {
    const { path, expected } = writes[index]!;
    if (outcome.status === 'fulfilled') {
      expect(sha256(bench.read(path))).toBe(sha256(expected));
      allowed.add(path);
    } else {
      expect(outcome.reason).toMatchObject({
        name: 'IoError',
        code: expect.stringMatching(/^E(IO|NOSPC|INVAL|BADF)$/),
      });
      // Renamed already, but nobody can say whether the name survives power loss: the next attempt writes it again.
      if ((outcome.reason as { syscall: string }).syscall === 'fsync') allowed.add(path);
    }
  }
  expect(bench.names()).toEqual([...allowed].toSorted());
  const failed = outcomes.some((outcome) => outcome.status === 'rejected');
  // Not the other way round: EINVAL for direct I/O may be the file system's, and is survived once through the page cache.
  if (failed) expect(port.fired.failed + port.fired.refused).toBeGreaterThan(0);
});

test('an error in res is told with the offset and length of its row', async () => {
  openFaulty({
    seed: 1,
    script: [{ fault: 'failed', errno: 5, when: (iocb) => iocb.opcode === 1 && iocb.offset === 8192 }],
  });
  const failure = bench.write({ path: 'a', size: 1_048_576, matrix: { rows: 4, rowBytes: 4096 } });
  await expect(failure).rejects.toMatchObject({ code: 'EIO', syscall: 'pwrite', offset: 8192, length: 4096 });
  expect(bench.names()).toEqual([]);
});

test('a refusal by io_submit is told as such', async () => {
  openFaulty({ seed: 1, script: [{ fault: 'refused', errno: 9 }] });
  await expect(bench.write({ path: 'a', size: 4096 })).rejects.toMatchObject({ code: 'EBADF', syscall: 'io_submit' });
});

test('a flush that fails once fails the write: it is not repeated, and the old file stays', async () => {
  // What takes the place of a file is flushed with its attributes, which are set last.
  const port = openFaulty({ seed: 1, script: [{ fault: 'failed', errno: 5, when: (iocb) => iocb.opcode >= 2 }] });
  writeFileSync(join(bench.directory, 'a'), 'old');
  await expect(bench.write({ path: 'a', size: 4096 })).rejects.toMatchObject({ code: 'EIO', syscall: 'fsync' });
  expect(port.fired.failed).toBe(1);
  expect(bench.read('a').toString('utf8')).toBe('old');
});

test('a write that makes no progress fails instead of trying for ever', async () => {
  openFaulty({ seed: 1, script: [{ fault: 'shortWrite', amount: 0, times: 99 }] });
  await expect(bench.write({ path: 'a', size: 4096 })).rejects.toMatchObject({ code: 'EIO', syscall: 'pwrite' });
});

test('a kernel without AIO fsync is flushed by the plain call', async () => {
  const noFsync = {
    fault: 'refused',
    errno: 22,
    times: 99,
    when: (iocb: { opcode: number }) => iocb.opcode >= 2,
  } as const;
  const port = openFaulty({ seed: 1, script: [noFsync] });
  await expect(bench.write({ path: 'a', size: 5 })).resolves.toMatchObject({ bytes: 5 });
  expect(port.fired.refused).toBe(2);
});
