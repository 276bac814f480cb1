// Segments of shared memory: whole files from what another process filled, and what becomes of one that is cut.
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type PortFactory, abi, libaioPort, positionalPort, syscallPort } from '@penstock/aio';
import type { WriteRequestInput } from '@penstock/contract';
import { type Bench, openBench, sha256 } from '../src/thread/thread.fixture.ts';
import { watchedPort } from '../src/thread/watched-port.fixture.ts';

const EDGE_SIZES = [0, 1, 511, 512, 4095, 4096, 4097, 65_537, 1_048_575, 1_048_577, 9_000_001];
/** Of the segment: at the disk's alignment, at a sector of it, and at no boundary at all. */
const OFFSETS = [0, 512, 4096, 1, 4099];

/** What the engine submitted, in order. */
interface Recording {
  iocbs: abi.Iocb[];
  /** Called before each submit. */
  onSubmit: () => void;
}

let shm: string;
let bench: Bench;
let recording: Recording;

beforeEach(() => {
  shm = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'penstock-test-'));
  recording = { iocbs: [], onSubmit: () => {} };
  bench = openBench({ port: recorded(() => libaioPort() ?? syscallPort()), shmDirectory: shm });
});
afterEach(async () => {
  expect(readFileSync('/proc/self/maps', 'latin1')).not.toContain(shm);
  await bench.end();
  rmSync(shm, { recursive: true, force: true });
});

/** The port that `make` makes, with what passes through it written down. */
const recorded = (make: PortFactory): PortFactory =>
  watchedPort(make, (submitted) => {
    recording.onSubmit();
    recording.iocbs.push(...submitted);
  });

/** Has another process fill `name`, and returns what it put there. */
function fillSegment(name: string, sizeBytes: number): Buffer {
  const program = `
    const { createCipheriv } = require('node:crypto');
    const stream = createCipheriv('aes-128-ctr', Buffer.alloc(16, process.argv[2]), Buffer.alloc(16));
    require('node:fs').writeFileSync(process.argv[1], stream.update(Buffer.alloc(Number(process.argv[2]))));`;
  execFileSync(process.execPath, ['-e', program, join(shm, name), `${sizeBytes}`]);
  return readFileSync(join(shm, name));
}

const fromSegment = (offset = 0): WriteRequestInput => ({
  path: 'out.dat',
  source: { kind: 'shm', name: 'segment', offset },
});
const written = (): Buffer => bench.read('out.dat');

/** Writes among what was submitted whose memory is the thread's own rows. */
function copiedWrites(): abi.Iocb[] {
  const { address, sizeBytes } = bench.thread.arena;
  const writes = recording.iocbs.filter((iocb) => iocb.opcode === abi.OPCODE_PWRITE);
  return writes.filter((iocb) => iocb.address >= address && iocb.address < address + sizeBytes);
}

test('a file has exactly the bytes that another process put into the segment, at every edge size and offset', async () => {
  const segment = fillSegment('segment', 9_004_100);
  for (const offset of OFFSETS) {
    for (const size of EDGE_SIZES) {
      const result = await bench.write({ ...fromSegment(offset), size });
      expect(result.bytes).toBe(size);
      expect(result.copied).toBeUndefined();
      expect(sha256(written())).toBe(sha256(segment.subarray(offset, offset + size)));
    }
  }
  for (const publish of ['atomic', 'in-place'] as const) {
    const result = await bench.write({ ...fromSegment(77), publish });
    expect(result.bytes).toBe(segment.length - 77);
    expect(sha256(written())).toBe(sha256(segment.subarray(77)));
  }
});

test('rows go to the disk from where they stand: only the padded end is copied, and all of it where the offset suits no disk', async () => {
  fillSegment('segment', 9_000_001);
  const matrix = { rows: 4, rowBytes: 1_048_576 };
  const { alignment } = await bench.write({ ...fromSegment(), matrix });
  if (alignment.offset === 1) return; // a disk without direct I/O asks for nothing, and nothing is padded
  const [end, ...more] = copiedWrites();
  expect(more).toEqual([]);
  expect(end).toMatchObject({ offset: 8 * 1_048_576 });
  expect(recording.iocbs.filter((iocb) => iocb.opcode === abi.OPCODE_PREAD)).toHaveLength(1);
  recording.iocbs.length = 0;
  await bench.write({ ...fromSegment(), size: 8_388_608, matrix });
  expect(copiedWrites()).toEqual([]);
  expect(recording.iocbs.filter((iocb) => iocb.opcode === abi.OPCODE_PWRITE)).toHaveLength(8);
  recording.iocbs.length = 0;
  await bench.write({ ...fromSegment(1), size: 8_388_608, matrix });
  expect(copiedWrites()).toHaveLength(8);
});

test('a segment that needs no rows does not wait for the memory of a large one', async () => {
  const segment = fillSegment('segment', 8_388_608);
  const held = bench.thread.arena.acquire(bench.thread.arena.sizeBytes - 1_048_576)!;
  await bench.write(fromSegment());
  expect(sha256(written())).toBe(sha256(segment));
  bench.thread.arena.release(held);
});

test.each([
  ['kernel AIO, from where it stands', 0, () => libaioPort() ?? syscallPort()],
  ['kernel AIO, copied', 1, () => libaioPort() ?? syscallPort()],
  ['plain calls, from where it stands', 0, positionalPort],
  ['plain calls, copied', 1, positionalPort],
])('a segment that is cut while it is written fails the write and kills nobody: %s', async (_name, offset, port) => {
  bench.close();
  bench = openBench({ port: recorded(port), shmDirectory: shm });
  fillSegment('segment', 30_000_000);
  let submits = 0;
  recording.onSubmit = () => {
    submits += 1;
    if (submits === 4) truncateSync(join(shm, 'segment'), 3_000_000);
  };
  const cut = bench.write({ ...fromSegment(offset), matrix: { rows: 4, rowBytes: 1_048_576 } });
  await expect(cut).rejects.toMatchObject({
    name: 'IoError',
    code: 'ESTALE',
    path: join(shm, 'segment'),
    retryable: true,
  });
  expect(submits).toBeGreaterThan(3);
  expect(bench.names()).toEqual([]);
});

/** Writes the segment while `change` is made to it. */
function writeDuring(change: () => void): Promise<unknown> {
  let changed = false;
  recording.onSubmit = () => {
    if (!changed) change();
    changed = true;
  };
  return bench.write(fromSegment());
}

test('a segment that grows or is written by a call meanwhile fails the write, though its time is put back', async () => {
  const path = join(shm, 'segment');
  for (const change of [
    () => appendFileSync(path, 'more'),
    () => writeFileSync(path, 'over', { flag: 'r+' }),
    () => {
      writeFileSync(path, 'over', { flag: 'r+' });
      utimesSync(path, 1_600_000_000, 1_600_000_000);
    },
  ]) {
    fillSegment('segment', 1_000_000);
    utimesSync(path, 1_600_000_000, 1_600_000_000);
    await expect(writeDuring(change)).rejects.toMatchObject({ code: 'ESTALE' });
    expect(bench.names()).toEqual([]);
  }
});

test('a segment that is unlinked or replaced by another of its name meanwhile is written whole', async () => {
  const path = join(shm, 'segment');
  for (const change of [
    () => rmSync(path),
    () => {
      writeFileSync(join(shm, 'next'), 'another');
      renameSync(join(shm, 'next'), path);
    },
  ]) {
    const segment = fillSegment('segment', 1_000_000);
    await expect(writeDuring(change)).resolves.toMatchObject({ bytes: 1_000_000 });
    expect(written().equals(segment)).toBe(true);
  }
});

test('more than there is is refused, with both figures', async () => {
  fillSegment('segment', 1000);
  await expect(bench.write({ ...fromSegment(), size: 1001 })).rejects.toMatchObject({
    code: 'EBADREQUEST',
    field: 'size',
    message: expect.stringMatching(/1001.*at most the 1000 bytes/),
  });
  await expect(bench.write({ ...fromSegment(300), size: 701 })).rejects.toMatchObject({
    field: 'size',
    message: expect.stringMatching(/701.*at most the 700 bytes.*from 300 on/),
  });
  await expect(bench.write(fromSegment(1001))).rejects.toMatchObject({
    field: 'source.offset',
    message: expect.stringMatching(/1001.*at most the 1000 bytes/),
  });
  expect(bench.names()).toEqual([]);
  await expect(bench.write(fromSegment(1000))).resolves.toMatchObject({ bytes: 0 });
});

test('nothing but a regular file below the shared-memory root is a segment', async () => {
  const from = (name: string): Promise<unknown> => bench.write({ path: 'out.dat', source: { kind: 'shm', name } });
  await expect(from('none')).rejects.toMatchObject({ code: 'ENOENT', path: join(shm, 'none') });
  mkdirSync(join(shm, 'directory'));
  await expect(from('directory')).rejects.toMatchObject({ code: 'EISDIR' });
  execFileSync('mkfifo', [join(shm, 'fifo')]);
  await expect(from('fifo')).rejects.toMatchObject({
    code: 'EINVAL',
    message: expect.stringContaining('regular file'),
  });
  writeFileSync(join(bench.archive, 'secret'), 'secret');
  symlinkSync(join(bench.archive, 'secret'), join(shm, 'link'));
  symlinkSync(bench.archive, join(shm, 'away'));
  await expect(from('link')).rejects.toMatchObject({ code: expect.stringMatching(/^(EXDEV|ELOOP)$/) });
  await expect(from('away/secret')).rejects.toMatchObject({ code: expect.stringMatching(/^(EXDEV|ELOOP|ENOTDIR)$/) });
  fillSegment('directory/deep', 5000);
  await expect(from('directory/deep')).resolves.toMatchObject({ bytes: 5000 });
});

test('without the directory of segments the error says where they are looked for', async () => {
  bench.close();
  const absent = join(shm, 'absent');
  bench = openBench({ shmDirectory: absent });
  const write = (): Promise<unknown> => bench.write(fromSegment());
  await expect(write()).rejects.toMatchObject({
    code: 'EBADREQUEST',
    field: 'source.name',
    message: expect.stringContaining(absent),
  });
  mkdirSync(absent); // by whoever fills the first segment, long after the host was started
  fillSegment('absent/segment', 10);
  await expect(write()).resolves.toMatchObject({ bytes: 10 });
  expect(readdirSync(bench.directory)).toEqual(['out.dat']);
});

test('segments are items of a bulk too', async () => {
  const segment = fillSegment('segment', 100_000);
  const files = [0, 4096, 99_999].map((offset) => ({
    path: `${offset}`,
    source: { kind: 'shm', name: 'segment', offset } as const,
  }));
  await expect(bench.bulk({ files })).resolves.toMatchObject({ failed: 0 });
  for (const { path, source } of files) {
    expect(bench.read(path).equals(segment.subarray(source.offset))).toBe(true);
  }
});
