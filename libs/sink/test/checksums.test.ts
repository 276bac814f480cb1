// Checksums, what is expected of them, and files read back: over the real disk, with every port that misbehaves.
import { createHash } from 'node:crypto';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { abi, faultyPort, positionalPort } from '@penstock/aio';
import { type BulkRequestInput, type WriteRequestInput, fromWire, toWire } from '@penstock/contract';
import { extendCrc32c, printCrc32c } from '@penstock/digest';
import { type JobReading, STOP_CANCEL, STOP_SHUTDOWN } from '@penstock/matrix';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Bench, type BenchOptions, openBench } from '../src/thread/thread.fixture.ts';

const EDGES = [0, 1, 511, 4095, 4096, 4097, 65_535, 65_536, 65_537, 1_048_575, 1_048_577, 5_000_001];
const MIB = 1_048_576;

let bench: Bench;
const open = (options: BenchOptions = {}): Bench => (bench = openBench(options));
afterEach(() => bench.end());

const stamp = (size: number, seed = 0): Uint8Array => readSource(createPatternSource('stamp', seed), 0, size);
const sumOf = (algorithm: 'crc32c' | 'sha256', bytes: Uint8Array): string =>
  algorithm === 'crc32c' ? printCrc32c(extendCrc32c(0, bytes)) : createHash('sha256').update(bytes).digest('hex');
const stampRequest = (size: number, fields: Partial<WriteRequestInput> = {}): WriteRequestInput => ({
  path: 'a.dat',
  size,
  source: { kind: 'pattern', pattern: 'stamp' },
  ...fields,
});

/** Calls `look` with each iocb as it completes, before it is carried out. */
function lookingPort(look: (opcode: number, offset: number) => void): ReturnType<typeof faultyPort> {
  const when = (iocb: { opcode: number; offset: number }): boolean => {
    look(iocb.opcode, iocb.offset);
    return false;
  };
  return faultyPort({ seed: 1, script: [{ fault: 'failed', when }] });
}

/** Calls `act` once, before the first read: of a write that copies nothing, when it is read back. */
function atReadback(act: () => void): ReturnType<typeof faultyPort> {
  let acted = false;
  return lookingPort((opcode) => {
    if (opcode !== abi.OPCODE_PREAD || acted) return;
    acted = true;
    act();
  });
}

/** Turns one bit of the partial file over, on the disk. */
function corruptPart(position: number): void {
  const part = bench.parts()[0]!;
  const path = join(bench.directory, part);
  const byte = readFileSync(path)[position]!;
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([byte ^ 4]), 0, 1, position);
  closeSync(fd);
}

test.each(['crc32c', 'sha256'] as const)(
  '%s of every edge size is that of the bytes, written and read back',
  async (checksum) => {
    open();
    for (const size of EDGES) {
      const bytes = stamp(size);
      const result = await bench.write(stampRequest(size, { checksum, verify: 'readback' }));
      expect(result.checksum).toEqual({ algorithm: checksum, value: sumOf(checksum, bytes) });
      expect(result).toMatchObject({ bytes: size, verified: 'readback' });
      expect(result).not.toHaveProperty('noDirectReadbackReason');
      expect(Buffer.compare(bench.read('a.dat'), bytes)).toBe(0);
      if (size > 0) expect(result.reads).toBe(result.writes);
      if (size > 0) expect(result.durationsMs.verifying).toBeGreaterThan(0);
    }
  },
);

test('a write that asks for none of it starts no thread', async () => {
  open();
  const result = await bench.write(stampRequest(3_000_000, { checksum: 'none', verify: 'none' }));
  expect(result).not.toHaveProperty('checksum');
  expect(result).not.toHaveProperty('verified');
  expect(result.durationsMs.verifying).toBe(0);
  expect(bench.thread.digests.running).toBe(false);
});

test('with two rows, and many writes that share the digest, every row waits for it and every sum is right', async () => {
  open();
  const matrix = { rows: 2, rowBytes: 4096 };
  const checksums = ['crc32c', 'sha256'] as const;
  const sizes = Array.from({ length: 8 }, (_, index) => 3_000_000 + index * 4099);
  const results = await Promise.all(
    sizes.map((size, index) =>
      bench.write(
        stampRequest(size, { path: `${index}`, matrix, checksum: checksums[index % 2]!, verify: 'readback' }),
      ),
    ),
  );
  expect(results.map(({ checksum }) => checksum!.value)).toEqual(
    sizes.map((size, index) => sumOf(checksums[index % 2]!, stamp(size))),
  );
});

test.each([1, 2, 3, 4])(
  'late, short and reordered completions change no sum, of writes and copies (seed %i)',
  async (seed) => {
    const rates = {
      submitBusy: 0.1,
      partialSubmit: 0.3,
      emptyWait: 0.1,
      delayed: 0.3,
      shortWrite: 0.1,
      shortRead: 0.1,
    };
    const port = faultyPort({ seed, faults: rates });
    open({ port, depth: 8 });
    const matrix = { rows: 4, rowBytes: 16_384 };
    const bytes = stamp(1_234_567, seed);
    writeFileSync(join(bench.archive, 'in'), bytes);
    const asked = { matrix, checksum: 'sha256', verify: 'readback' } as const;
    const [written, copied] = await Promise.all([
      bench.write({ ...asked, path: 'w', size: bytes.length, source: { kind: 'pattern', pattern: 'stamp', seed } }),
      bench.write({ ...asked, path: 'c', source: { kind: 'file', root: 'archive', path: 'in' } }),
    ]);
    expect(written.checksum!.value).toBe(sumOf('sha256', bytes));
    expect(copied.checksum!.value).toBe(sumOf('sha256', bytes));
    for (const fault of ['shortWrite', 'shortRead', 'delayed'] as const) expect(port.fired[fault]).toBeGreaterThan(0);
  },
);

test.each(['crc32c', 'sha256'] as const)(
  'holes that are kept count as the zeros that they read as (%s)',
  async (checksum) => {
    open();
    const path = join(bench.archive, 'in');
    const fd = openSync(path, 'w');
    for (const at of [0, 3_000_000, 40_000_000]) writeSync(fd, stamp(70_001, at), 0, 70_001, at);
    ftruncateSync(fd, 60_000_001);
    closeSync(fd);
    const result = await bench.write({
      path: 'out',
      source: { kind: 'file', root: 'archive', path: 'in', holes: 'keep' },
      checksum,
      verify: 'readback',
    });
    expect(result.holeBytes).toBeGreaterThan(50_000_000);
    expect(result.checksum!.value).toBe(sumOf(checksum, readFileSync(path)));
    expect(Buffer.compare(bench.read('out'), readFileSync(path))).toBe(0);
  },
);

test('a hole of 4 TiB is summed up by crc32c without being looked at', async () => {
  open();
  const path = join(bench.archive, 'in');
  const fd = openSync(path, 'w');
  ftruncateSync(fd, 4 * 2 ** 40);
  closeSync(fd);
  const source = { kind: 'file', root: 'archive', path: 'in', holes: 'keep' } as const;
  const { checksum, holeBytes } = await bench.write({ path: 'out', source, checksum: 'crc32c' });
  expect(holeBytes).toBe(4 * 2 ** 40);
  expect(checksum!.value).toMatch(/^[0-9a-f]{8}$/);
});

test('a write whose hole takes hours to be hashed is cancelled at once, and others have their sums meanwhile', async () => {
  open();
  const fd = openSync(join(bench.archive, 'in'), 'w');
  ftruncateSync(fd, 4 * 2 ** 40);
  closeSync(fd);
  const source = { kind: 'file', root: 'archive', path: 'in', holes: 'keep' } as const;
  const block = bench.control.job(63);
  const endless = bench.write({ path: 'out', source, checksum: 'sha256' }, { block }).catch((error: unknown) => error);
  const other = await bench.write(stampRequest(3 * MIB, { checksum: 'sha256' }));
  expect(other.checksum!.value).toBe(sumOf('sha256', stamp(3 * MIB)));
  expect(block.read().phase).toBe('syncing');
  block.requestStop(STOP_CANCEL);
  expect(await endless).toMatchObject({ code: 'ECANCELED' });
  expect(bench.names()).toEqual(['a.dat']);
});

test('a checksum that was expected is published, in whichever case it was given', async () => {
  open();
  const value = sumOf('sha256', stamp(2 * MIB));
  const request = stampRequest(2 * MIB, { checksum: 'sha256', expect: value.toUpperCase() });
  await expect(bench.write(request)).resolves.toMatchObject({ checksum: { value } });
});

test.each([100, 3 * MIB])(
  'of %i bytes with another checksum nothing is published, and the error names both sums',
  async (size) => {
    open();
    writeFileSync(join(bench.directory, 'a.dat'), 'old');
    const failure = await bench
      .write(stampRequest(size, { checksum: 'crc32c', expect: '01234567' }))
      .catch((e: unknown) => e);
    const found = sumOf('crc32c', stamp(size));
    const path = join(bench.directory, 'a.dat');
    expect(failure).toMatchObject({
      name: 'IntegrityError',
      code: 'ECHECKSUM',
      message: expect.stringContaining(`crc32c 01234567 was expected, ${found} came. Nothing was published.`),
      path,
      offset: 0,
      length: size,
      expected: '01234567',
      found,
      retryable: false,
    });
    const { stack: _, ...wire } = toWire(failure) as ReturnType<typeof toWire> & { stack?: string };
    expect(toWire(fromWire(wire))).toEqual(wire);
    expect(bench.names()).toEqual(['a.dat']);
    expect(readFileSync(path, 'latin1')).toBe('old');
  },
);

test('in place the bytes stand where they are, and the error says so', async () => {
  open();
  const request = stampRequest(100, { checksum: 'crc32c', expect: '01234567', publish: 'in-place' });
  writeFileSync(join(bench.directory, 'a.dat'), 'old');
  await expect(bench.write(request)).rejects.toThrow(/What was overwritten in place stays so/);
  expect(bench.read('a.dat').length).toBe(100);
});

test.each([
  [0, 4096],
  [65_536, 65_537],
  [700_001, 3 * MIB + 5],
  [3 * MIB + 4, 3 * MIB + 5],
])('one bit changed on the disk at %i of %i is found, and nothing is published', async (position, size) => {
  const port = atReadback(() => corruptPart(position));
  open({ port, depth: 8 });
  writeFileSync(join(bench.directory, 'a.dat'), 'old');
  const matrix = { rows: 8, rowBytes: 65_536 };
  const failure = await bench.write(stampRequest(size, { verify: 'readback', matrix })).catch((e: unknown) => e);
  expect(failure).toMatchObject({ name: 'IntegrityError', code: 'EINTEGRITY', retryable: true });
  const { offset, length, expected, found } = failure as {
    offset: number;
    length: number;
    expected: string;
    found: string;
  };
  expect(offset <= position && position < offset + length).toBe(true);
  const chunk = Buffer.from(stamp(size).subarray(offset, offset + length));
  expect(expected).toBe(sumOf('crc32c', chunk));
  chunk[position - offset]! ^= 4;
  expect(found).toBe(sumOf('crc32c', chunk));
  expect(bench.names()).toEqual(['a.dat']);
  expect(bench.read('a.dat').toString('latin1')).toBe('old');
});

test('a read that fails while the file is read back fails the write with its place', async () => {
  const failing = {
    fault: 'failed',
    when: ({ opcode, offset }: { opcode: number; offset: number }) => opcode === abi.OPCODE_PREAD && offset === MIB,
  } as const;
  open({ port: faultyPort({ seed: 1, script: [failing] }) });
  const failure = bench.write(stampRequest(3 * MIB, { verify: 'readback', matrix: { rows: 4, rowBytes: MIB } }));
  await expect(failure).rejects.toMatchObject({ code: 'EIO', syscall: 'pread', offset: MIB, retryable: true });
  expect(bench.names()).toEqual([]);
});

test('a file that became shorter meanwhile fails the write instead of waiting for ever', async () => {
  const port = atReadback(() => {
    const part = bench.parts()[0]!;
    const fd = openSync(join(bench.directory, part), 'r+');
    ftruncateSync(fd, 4096);
    closeSync(fd);
  });
  open({ port });
  const failure = bench.write(stampRequest(MIB, { verify: 'readback', matrix: { rows: 4, rowBytes: 65_536 } }));
  await expect(failure).rejects.toMatchObject({ code: 'EIO', syscall: 'pread' });
});

test('while a file is read back its progress stays whole, and its phase says so', async () => {
  const readings: JobReading[] = [];
  open({
    port: lookingPort((opcode) => opcode === abi.OPCODE_PREAD && readings.push(bench.control.job(63).read())),
    depth: 8,
  });
  const size = 3 * MIB;
  const block = bench.control.job(63);
  await bench.write(stampRequest(size, { verify: 'readback', matrix: { rows: 8, rowBytes: 65_536 } }), { block });
  expect(readings.length).toBeGreaterThan(5);
  for (const { phase, bytesWritten, bytesDurable, totalBytes } of readings) {
    expect({ phase, bytesWritten, bytesDurable, totalBytes }).toEqual({
      phase: 'verifying',
      bytesWritten: size,
      bytesDurable: size,
      totalBytes: size,
    });
  }
});

test('a write that is cancelled while it is read back stops, and leaves nothing', async () => {
  const port = atReadback(() => bench.control.job(63).requestStop(STOP_CANCEL));
  open({ port, depth: 4 });
  const block = bench.control.job(63);
  const request = stampRequest(3 * MIB, { verify: 'readback', matrix: { rows: 4, rowBytes: 65_536 } });
  await expect(bench.write(request, { block })).rejects.toMatchObject({ code: 'ECANCELED', reason: 'cancel' });
  expect(bench.names()).toEqual([]);
});

test('when the digest thread dies its writes fail as retryable and leave nothing, others go on', async () => {
  let died: Promise<void> | undefined;
  // Behind what the row memory holds: by then the thread has begun and given rows back.
  open({
    port: lookingPort((opcode, offset) => {
      if (opcode === abi.OPCODE_PWRITE && offset > 20 * MIB) died ??= bench.thread.digests.close();
    }),
  });
  const dying = bench.write(stampRequest(64 * MIB, { path: 'dying', checksum: 'sha256' })).catch((e: unknown) => e);
  const plain = bench.write(stampRequest(20 * MIB, { path: 'plain' }));
  expect(await dying).toMatchObject({ code: 'EDIGESTDIED', retryable: true });
  await plain;
  await died;
  expect(bench.names()).toEqual(['plain']);
  const after = await bench.write(stampRequest(MIB, { path: 'after', checksum: 'sha256' }));
  expect(after.checksum!.value).toBe(sumOf('sha256', stamp(MIB)));
});

test('a reflink gives way to rows where a sum or a readback is asked for, and the result says why', async () => {
  open();
  writeFileSync(join(bench.archive, 'in'), stamp(100_000));
  const source = { kind: 'file', root: 'archive', path: 'in', reflink: 'auto' } as const;
  for (const asked of [{ checksum: 'crc32c' }, { verify: 'readback' }] as const) {
    await expect(bench.write({ path: 'out', source, ...asked })).resolves.toMatchObject({
      copied: 'rows',
      noReflinkReason: 'a checksum or a readback was asked for, and a reflink passes no byte',
    });
  }
});

test('blocking calls are summed up and read back all the same, without a flush too', async () => {
  open({ port: positionalPort });
  const asked = { checksum: 'sha256', verify: 'readback', durability: 'none' } as const;
  const result = await bench.write(stampRequest(3 * MIB + 1, asked));
  expect(result).toMatchObject({ mode: 'sync-direct', verified: 'readback' });
  expect(result.checksum!.value).toBe(sumOf('sha256', stamp(3 * MIB + 1)));
});

test('where direct I/O is not to be had the page cache is dropped first, and the result says so', async () => {
  const directory = mkdtempSync('/dev/shm/penstock-');
  try {
    open({ directory });
    const result = await bench.write(stampRequest(MIB + 1, { verify: 'readback' }));
    expect(result.verified).toBe('readback');
    expect(result.noDirectReadbackReason).toMatch(/in memory.+page cache, which was dropped before/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('each file of a bulk tells its own checksum, and one that is not what was expected stops no other', async () => {
  open();
  const files: BulkRequestInput['files'] = Array.from({ length: 50 }, (_, index) => ({
    path: `${index}`,
    size: index * 3001,
  }));
  files[7]!.expect = '00000001';
  const result = await bench.bulk({
    files,
    checksum: 'crc32c',
    source: { kind: 'pattern', pattern: 'stamp' },
    verify: 'readback',
  });
  expect(result).toMatchObject({ files: 50, failed: 1 });
  for (const [index, item] of result.items.entries()) {
    if (index === 7) expect(item).toMatchObject({ error: { code: 'ECHECKSUM', expected: '00000001' } });
    else expect(item).toMatchObject({ checksum: { algorithm: 'crc32c', value: sumOf('crc32c', stamp(index * 3001)) } });
  }
});

test.each([
  ['overwrite', 777, 100_000],
  ['overwrite', 4096, 3_000_000],
  ['overwrite', 4_000_001, 2_000_000],
  ['append', 5_000_001, 1_234_567],
] as const)(
  '%s at %i: the sum is of the %i new bytes alone, and they are what is read back',
  async (mode, offset, size) => {
    open();
    const path = join(bench.directory, 'a.dat');
    const before = stamp(5_000_001, 9);
    writeFileSync(path, before);
    const place = mode === 'overwrite' ? { mode, offset } : { mode };
    const request = stampRequest(size, { ...place, checksum: 'sha256', verify: 'readback' });
    const result = await bench.write(request);
    expect(result).toMatchObject({ offset, verified: 'readback' });
    expect(result.checksum!.value).toBe(sumOf('sha256', stamp(size)));
    const right = Buffer.alloc(Math.max(before.length, offset + size));
    right.set(before);
    right.set(stamp(size), offset);
    expect(Buffer.compare(readFileSync(path), right)).toBe(0);
  },
);

test('an append with another checksum than expected is cut off again', async () => {
  open();
  writeFileSync(join(bench.directory, 'a.dat'), 'before');
  const request = stampRequest(100_000, { mode: 'append', checksum: 'crc32c', expect: '01234567' });
  await expect(bench.write(request)).rejects.toMatchObject({ code: 'ECHECKSUM', offset: 6, length: 100_000 });
  expect(bench.read('a.dat').toString('latin1')).toBe('before');
});

test('an overwrite that is read back as something else names the place in the file', async () => {
  const [offset, size, position] = [1_000_777, 2_000_000, 2_500_000];
  const path = (): string => join(bench.directory, 'a.dat');
  const port = atReadback(() => {
    const fd = openSync(path(), 'r+');
    writeSync(fd, Buffer.from('other'), 0, 5, position);
    closeSync(fd);
  });
  open({ port });
  writeFileSync(path(), stamp(5_000_001, 9));
  const request = stampRequest(size, { mode: 'overwrite', offset, verify: 'readback' });
  const failure = await bench.write(request).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'EINTEGRITY' });
  const { offset: at, length, expected } = failure as { offset: number; length: number; expected: string };
  expect(at <= position && position < at + length).toBe(true);
  expect(expected).toBe(sumOf('crc32c', stamp(size).subarray(at - offset, at - offset + length)));
});

test.each([
  ['a pattern', 'pattern', 0],
  ['a copy that keeps holes', 'file', 0],
  ['an overwrite inside blocks', 'pattern', 777],
] as const)('%s that goes on from a checkpoint has the sum of the whole', async (_, kind, offset) => {
  const size = 12 * MIB + 1001;
  open({ checkpoints: { bytes: MIB, ms: 60_000 } });
  const bytes = Buffer.from(stamp(size));
  if (kind === 'file') {
    bytes.fill(0, MIB, 2 * MIB);
    bytes.fill(0, 9 * MIB, 10 * MIB);
    const fd = openSync(join(bench.archive, 'in'), 'w');
    for (const [from, to] of [
      [0, MIB],
      [2 * MIB, 9 * MIB],
      [10 * MIB, size],
    ] as const) {
      writeSync(fd, bytes, from, to - from, from);
    }
    closeSync(fd);
  }
  const source =
    kind === 'file'
      ? ({ kind, root: 'archive', path: 'in', holes: 'keep' } as const)
      : ({ kind, pattern: 'stamp' } as const);
  if (offset > 0) writeFileSync(join(bench.directory, 'a'), stamp(1000, 4));
  const place = offset > 0 ? ({ mode: 'overwrite', offset } as const) : {};
  const asked = { checksum: 'sha256', verify: 'readback', matrix: { rows: 2, rowBytes: 4096 } } as const;
  const request = { path: 'a', size, source, ...place, ...asked };
  const block = bench.control.job(63);
  const first = bench.write(request, { block, jobKey: 'job', attemptToken: '1' });
  const stopped = first.catch((error: unknown) => error);
  while (block.read().bytesDurable < 4 * MIB) await setImmediate();
  block.requestStop(STOP_SHUTDOWN);
  expect(await stopped).toMatchObject({ code: 'ECANCELED' });
  const result = await bench.write(request, { jobKey: 'job', attemptToken: '2', again: true });
  expect(result.resumedFrom).toBeGreaterThanOrEqual(4 * MIB - 4096);
  expect(result.checksum!.value).toBe(sumOf('sha256', bytes));
  expect(Buffer.compare(bench.read('a').subarray(offset), bytes)).toBe(0);
});

test('a segment of shared memory is summed up as it is copied', async () => {
  const directory = mkdtempSync('/dev/shm/penstock-');
  try {
    open({ shmDirectory: directory });
    writeFileSync(join(directory, 'segment'), stamp(3 * MIB + 5));
    const source = { kind: 'shm', name: 'segment' } as const;
    const result = await bench.write({ path: 'a', source, checksum: 'sha256', verify: 'readback' });
    expect(result.checksum!.value).toBe(sumOf('sha256', stamp(3 * MIB + 5)));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('under a limit, whose rows are of any length, the sum is right and each of them is read back', async () => {
  open();
  const size = 6 * MIB + 5;
  const block = bench.control.job(63);
  block.rate.set(20 * MIB);
  const request = stampRequest(size, { checksum: 'sha256', verify: 'readback', matrix: { rows: 8, rowBytes: 65_536 } });
  const result = await bench.write(request, { block });
  expect(result.checksum!.value).toBe(sumOf('sha256', stamp(size)));
  expect(result.reads).toBe(result.writes);
});

test('a write that is paused and goes on with other rows has the right sum', async () => {
  open();
  const size = 40 * MIB + 5;
  const block = bench.control.job(63);
  const matrix = { rows: 16, rowBytes: 65_536 };
  const write = bench.write(stampRequest(size, { checksum: 'sha256', verify: 'readback', matrix }), { block });
  for (const bytes of [MIB, 10 * MIB, 20 * MIB]) {
    while (block.read().bytesWritten < bytes) await setImmediate();
    block.pause(true);
    bench.thread.loop.wake();
    while (!['paused', 'syncing', 'verifying', 'done'].includes(block.read().phase)) await setImmediate();
    // Meanwhile the rows are another's.
    await bench.write(stampRequest(9 * MIB, { path: 'between' }));
    block.pause(false);
    bench.thread.loop.wake();
  }
  const result = await write;
  expect(result.durationsMs.paused).toBeGreaterThan(0);
  expect(result.checksum!.value).toBe(sumOf('sha256', stamp(size)));
});

test('a sum is of bytes that are written: a file that an earlier attempt had finished is written again', async () => {
  open({ checkpoints: { bytes: 2 * MIB, ms: 60_000 } });
  const request: WriteRequestInput = { path: 'a', size: 8 * MIB, checksum: 'crc32c' };
  const first = await bench.write(request, { jobKey: 'job', attemptToken: '1' });
  const second = await bench.write(request, { jobKey: 'job', attemptToken: '2', again: true });
  expect(second.checksum).toEqual(first.checksum);
  expect(second.writes).toBeGreaterThan(0);
});
