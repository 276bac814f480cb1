import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type FaultyOptions, faultyPort } from '@penstock/aio';
import { native } from '@penstock/native';
import { createPatternSource, readSource } from '@penstock/sources';
import { RefusingDevices, isRefusal } from './direct-refused.ts';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

const { EINVAL, EIO, EOPNOTSUPP } = constants.errno;
const PREAD = 0;
const PWRITE = 1;
const SIZE = 1_000_001;
const MATRIX = { rows: 8, rowBytes: 65_536 };
const stamp = (size: number): Uint8Array => readSource(createPatternSource('stamp', 3), 0, size);
const source = { kind: 'pattern', pattern: 'stamp', seed: 3 } as const;

let bench: Bench;
afterEach(() => bench.end());

const isDirect = (fd: number): boolean => (native.statusFlags(fd) & native.O_DIRECT) !== 0;

/** A disk that takes O_DIRECT and refuses its writes or its reads: all iocbs of `opcode`. */
function openRefusing(opcode: number, fault: 'failed' | 'refused', errno = EINVAL): ReturnType<typeof faultyPort> {
  const when = (iocb: { opcode: number; fd: number }): boolean => iocb.opcode === opcode && isDirect(iocb.fd);
  return openFaulty({ seed: 1, faults: { delayed: 0.3 }, script: [{ fault, errno, times: 1e9, when }] });
}

function openFaulty(options: FaultyOptions): ReturnType<typeof faultyPort> {
  const port = faultyPort(options);
  bench = openBench({ port, depth: 8 });
  return port;
}

const expectStamp = (path: string, size: number): void => {
  expect(Buffer.compare(bench.read(path), stamp(size))).toBe(0);
};

test.each([
  ['by their events', 'failed', EINVAL],
  ['by io_submit', 'refused', EINVAL],
  ['as not supported', 'failed', EOPNOTSUPP],
] as const)(
  'direct writes that are refused %s are written again through the page cache, and it is said',
  async (_, fault, errno) => {
    const port = openRefusing(PWRITE, fault, errno);
    const result = await bench.write({
      path: 'a',
      size: SIZE,
      matrix: MATRIX,
      source,
      checksum: 'sha256',
      verify: 'readback',
    });
    expectStamp('a', SIZE);
    expect(port.fired[fault]).toBeGreaterThan(1); // all that were in flight
    expect(port.fired[fault]).toBeLessThanOrEqual(MATRIX.rows); // and none after
    expect(result).toMatchObject({
      mode: 'aio-buffered',
      fallbackReason: expect.stringContaining('refuses to write them so'),
      verified: 'readback',
      noDirectReadbackReason: expect.any(String),
    });
  },
);

test.each(['overwrite', 'append'] as const)('so are those of an %s, whose ends stand inside blocks', async (mode) => {
  openRefusing(PWRITE, 'failed');
  writeFileSync(join(bench.directory, 'a'), Buffer.alloc(5003, 7));
  const place = mode === 'overwrite' ? { mode, offset: 1001 } : { mode };
  await bench.write({ path: 'a', size: 300_007, matrix: MATRIX, source, ...place });
  const offset = mode === 'overwrite' ? 1001 : 5003;
  const expected = Buffer.concat([Buffer.alloc(offset, 7), stamp(300_007)]);
  expect(Buffer.compare(bench.read('a'), expected)).toBe(0);
});

test('direct reads of a source that are refused are read through the page cache', async () => {
  const port = openRefusing(PREAD, 'failed');
  writeFileSync(join(bench.archive, 'in'), stamp(SIZE));
  const copy = { kind: 'file', root: 'archive', path: 'in' } as const;
  const result = await bench.write({ path: 'a', matrix: MATRIX, source: copy });
  expectStamp('a', SIZE);
  expect(port.fired.failed).toBeGreaterThan(0);
  expect(result.mode).toBe('aio-direct'); // only the source was not
});

test('with both refused, a copy is right', async () => {
  const when = (iocb: { fd: number }): boolean => isDirect(iocb.fd);
  openFaulty({ seed: 1, script: [{ fault: 'failed', errno: EINVAL, times: 1e9, when }] });
  writeFileSync(join(bench.archive, 'in'), stamp(SIZE));
  const copy = { kind: 'file', root: 'archive', path: 'in' } as const;
  await expect(bench.write({ path: 'a', matrix: MATRIX, source: copy, verify: 'readback' })).resolves.toMatchObject({
    mode: 'aio-buffered',
  });
  expectStamp('a', SIZE);
});

test('direct reads of a readback that are refused go past the page cache as well as they can, and it is said', async () => {
  const port = openRefusing(PREAD, 'failed');
  const result = await bench.write({ path: 'a', size: SIZE, matrix: MATRIX, source, verify: 'readback' });
  expectStamp('a', SIZE);
  expect(port.fired.failed).toBeGreaterThan(0);
  expect(result).toMatchObject({
    mode: 'aio-direct',
    verified: 'readback',
    noDirectReadbackReason: expect.stringContaining('refuses direct reads'),
  });
});

test.each([1, 2, 3, 4, 5, 6])(
  'where some direct writes are refused and others done, every byte is right (seed %i)',
  async (seed) => {
    let count = 0;
    const when = (iocb: { opcode: number; fd: number }): boolean =>
      iocb.opcode === PWRITE && isDirect(iocb.fd) && (count += 1) % 4 === seed % 4;
    openFaulty({
      seed,
      faults: { delayed: 0.3, shortWrite: 0.2 },
      script: [{ fault: 'failed', errno: EINVAL, times: 1e9, when }],
    });
    const sizes = [1, 4096, 70_000, SIZE];
    const matrix = { rows: 8, rowBytes: 512 * (seed + 1) };
    await Promise.all(sizes.map((size) => bench.write({ path: `${size}`, size, matrix, source })));
    for (const size of sizes) expectStamp(`${size}`, size);
  },
);

test('a write that is refused through the page cache too fails as before', async () => {
  openFaulty({
    seed: 1,
    script: [{ fault: 'failed', errno: EINVAL, times: 1e9, when: ({ opcode }) => opcode === PWRITE }],
  });
  await expect(bench.write({ path: 'a', size: SIZE, matrix: MATRIX, source })).rejects.toMatchObject({
    code: 'EINVAL',
    syscall: 'pwrite',
  });
  expect(bench.names()).toEqual([]);
});

test('where direct I/O is off for a root, nothing is opened for it, sources neither', async () => {
  let direct = 0;
  const when = (iocb: { fd: number }): boolean => {
    if (isDirect(iocb.fd)) direct += 1;
    return false;
  };
  const port = faultyPort({ seed: 1, script: [{ fault: 'failed', when }] });
  bench = openBench({ port, depth: 8, direct: 'off' });
  writeFileSync(join(bench.archive, 'in'), stamp(SIZE));
  const copy = { kind: 'file', root: 'archive', path: 'in' } as const;
  await expect(bench.write({ path: 'a', matrix: MATRIX, source: copy })).resolves.toMatchObject({
    mode: 'aio-buffered',
    fallbackReason: expect.stringContaining('turned off'),
  });
  expectStamp('a', SIZE);
  expect(direct).toBe(0);
});

test('only what kept to the alignment counts as refused: the rest is a mistake of ours', () => {
  bench = openBench();
  const alignment = { memory: 512, offset: 4096 };
  expect(isRefusal(-EINVAL, alignment, 1024, 8192, 4096)).toBe(true);
  expect(isRefusal(-EIO, alignment, 1024, 8192, 4096)).toBe(false);
  expect(isRefusal(-EINVAL, alignment, 1000, 8192, 4096)).toBe(false);
  expect(isRefusal(-EINVAL, alignment, 1024, 512, 4096)).toBe(false);
  expect(isRefusal(-EINVAL, alignment, 1024, 8192, 512)).toBe(false);
});

test('a device that refuses is remembered, and no other', () => {
  bench = openBench();
  const devices = new RefusingDevices();
  devices.note({ major: 0, minor: 39 });
  expect(devices.has({ major: 0, minor: 39 })).toBe(true);
  expect(devices.has({ major: 0, minor: 40 })).toBe(false);
});

test('a pause that comes as the only row of a small file is refused lets that row end, from memory that is still its own', async () => {
  openRefusing(PWRITE, 'failed');
  const block = bench.control.job(0);
  const { engine } = bench;
  const reap = engine.reap.bind(engine);
  engine.reap = (timeoutMs) => {
    const completed = reap(timeoutMs);
    if (completed > 0) block.pause(true); // before the lane learns of the refusal
    return completed;
  };
  const result = await bench.write({ path: 'a', size: 150_001, source }, { block });
  expect(result.mode).toBe('aio-buffered');
  expectStamp('a', 150_001);
});
