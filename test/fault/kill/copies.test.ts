// Copies with reflinks and holes, on file systems that have both, that lack one, and between two. As root only: they
// are loop-mounted.
import {
  appendFileSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { AioEngine, AioLoop, libaioPort, syscallPort } from '@penstock/aio';
import type { FileSource, WriteRequestInput, WriteResult } from '@penstock/contract';
import { parseRequest } from '@penstock/contract/judging';
import { Arena, Control, type JobBlock, STOP_CANCEL, createArenaMemory } from '@penstock/matrix';
import { NO_JOB, WriterThread, runWrite } from '@penstock/sink';
import { Roots } from '@penstock/disk';
import { createPatternSource, readSource } from '@penstock/sources';
import { type Undo, has, mayMount, mountLoop, run } from '../../support/loop-disk.fixture.ts';

const scratch = fileURLToPath(new URL('../../../.cache/scratch/', import.meta.url));
const MIB = 1_048_576;
const PIECE_BYTES = 64 * MIB;

let home: string;
let undo: Undo = [];
beforeEach(() => {
  mkdirSync(scratch, { recursive: true });
  home = mkdtempSync(join(scratch, 'copies-'));
});
afterEach(() => {
  for (const step of undo.toReversed()) step();
  undo = [];
  rmSync(home, { recursive: true, force: true });
});

const stamp = (size: number): Uint8Array => readSource(createPatternSource('stamp', 5), 0, size);

/** A writer thread's parts over the roots "data" (at `disk`) and "archive" (at `archive`, or the same disk). */
class Disk {
  readonly path: string;
  readonly archive: string;
  readonly block: JobBlock;
  readonly #thread: WriterThread;
  readonly #roots: Roots;
  readonly #fatal: unknown[] = [];
  #jobs = 0;

  constructor(path: string, archive = path) {
    this.path = path;
    this.archive = archive;
    const engine = new AioEngine(libaioPort() ?? syscallPort(), 32);
    const loop = new AioLoop(engine, (error) => this.#fatal.push(error));
    this.#roots = new Roots([
      { name: 'data', path, writable: true },
      { name: 'archive', path: archive, writable: false },
    ]);
    const arena = new Arena(createArenaMemory(16 * MIB));
    this.#thread = new WriterThread({ engine, loop, arena, roots: this.#roots, index: 0 });
    this.block = new Control(1, 1).job(0);
    undo.push(() => {
      engine.destroy();
      this.#roots.close();
      expect(this.#fatal).toEqual([]);
    });
  }

  /** Copies "in" of the archive to "out". */
  copy(reflink: FileSource['reflink'], fields: Partial<WriteRequestInput> = {}): Promise<WriteResult> {
    this.#jobs += 1;
    this.block.reset();
    const source = { kind: 'file', root: 'archive', path: 'in', reflink } as const;
    const order = { jobKey: `job${this.#jobs}`, attemptToken: 'a', again: false, job: NO_JOB };
    const request = parseRequest({ path: 'out', source, ...fields });
    return runWrite(this.#thread, { ...order, request }, this.block);
  }

  get #out(): string {
    return join(this.path, 'out');
  }

  writeSource(bytes: Uint8Array): void {
    writeFileSync(join(this.archive, 'in'), bytes);
  }

  expectCopied(bytes: Uint8Array): void {
    expect(statSync(this.#out).size).toBe(bytes.length);
    expect(Buffer.compare(readFileSync(this.#out), bytes)).toBe(0);
  }

  /** Bytes that are free once all that was written is settled. */
  free(): number {
    run('sync', '-f', this.path);
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }
}

const failureOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'copied',
    (error: unknown) => error,
  );

const canMount = mayMount();

describe.each([
  ['XFS', 'mkfs.xfs', ['-q', '-m', 'reflink=1'], 400 * MIB],
  ['btrfs', 'mkfs.btrfs', ['-q'], 400 * MIB],
] as const)('on %s', (_, make, options, sizeBytes) => {
  const where = canMount && has(make) ? test : test.skip;
  const open = (): Disk => new Disk(mountLoop(home, undo, [make, ...options], sizeBytes, 4096));

  where('a reflink has the bytes of its source at every size, none of them written', async () => {
    const disk = open();
    for (const size of [1, 511, 4095, 4096, 4097, 65_537, MIB, 9_000_001]) {
      const bytes = stamp(size);
      disk.writeSource(bytes);
      const result = await disk.copy('always');
      expect(result).toMatchObject({ bytes: size, copied: 'reflink', writes: 0, reads: 0 });
      expect(disk.block.read()).toMatchObject({ bytesWritten: size, bytesDurable: size, totalBytes: size });
      disk.expectCopied(bytes);
      expect(readdirSync(disk.path)).toEqual(['in', 'out']);
    }
  });

  where('a reflink takes no space', async () => {
    const disk = open();
    disk.writeSource(stamp(64 * MIB));
    const before = disk.free();
    await disk.copy('auto');
    expect(before - disk.free()).toBeLessThan(MIB);
    disk.expectCopied(stamp(64 * MIB));
  });

  where('a reflink of a part ends exactly where it was asked to', async () => {
    const disk = open();
    disk.writeSource(stamp(3 * MIB));
    for (const size of [1, 4096, 65_536, 65_537, MIB + 13, 3 * MIB - 1]) {
      expect(await disk.copy('always', { size })).toMatchObject({ bytes: size, copied: 'reflink' });
      disk.expectCopied(stamp(size));
    }
  });

  where('a reflink of nothing is an empty file', async () => {
    const disk = open();
    disk.writeSource(stamp(5000));
    expect(await disk.copy('auto', { size: 0 })).toMatchObject({ bytes: 0, copied: 'rows' });
    disk.expectCopied(new Uint8Array(0));
  });

  where('in place over a longer file and over a shorter one nothing of the old one is left', async () => {
    const disk = open();
    disk.writeSource(stamp(70_001));
    for (const oldBytes of [1, 70_000, 300_000]) {
      writeFileSync(join(disk.path, 'out'), Buffer.alloc(oldBytes, 1));
      const { ino } = statSync(join(disk.path, 'out'));
      expect(await disk.copy('always', { publish: 'in-place' })).toMatchObject({ copied: 'reflink' });
      disk.expectCopied(stamp(70_001));
      expect(statSync(join(disk.path, 'out')).ino).toBe(ino);
    }
  });

  where(
    'a large file is shared piece by piece: a stop or a change between two fails it and leaves nothing',
    async () => {
      const disk = open();
      const fd = openSync(join(disk.path, 'in'), 'w');
      ftruncateSync(fd, 40 * PIECE_BYTES + 7); // all hole: pieces count, not bytes
      closeSync(fd);
      const stopped = failureOf(disk.copy('auto'));
      while (disk.block.read().bytesWritten === 0) await setImmediate();
      disk.block.requestStop(STOP_CANCEL);
      expect(await stopped).toMatchObject({ code: 'ECANCELED', reason: 'cancel' });
      expect(disk.block.read().bytesWritten).toBeLessThan(40 * PIECE_BYTES);

      const changed = failureOf(disk.copy('auto'));
      while (disk.block.read().bytesWritten === 0) await setImmediate();
      appendFileSync(join(disk.path, 'in'), 'more');
      expect(await changed).toMatchObject({ code: 'ESTALE' });
      expect(readdirSync(disk.path)).toEqual(['in']);

      expect(await disk.copy('auto')).toMatchObject({ bytes: 40 * PIECE_BYTES + 11, copied: 'reflink' });
      expect(statSync(join(disk.path, 'out')).size).toBe(40 * PIECE_BYTES + 11);
    },
  );

  where('holes are kept where rows are copied', async () => {
    const disk = open();
    const bytes = Buffer.alloc(20 * MIB + 11);
    const fd = openSync(join(disk.path, 'in'), 'w');
    for (const start of [100_000, 5 * MIB + 1, 17 * MIB]) {
      bytes.set(stamp(300_000), start);
      writeSync(fd, bytes, start, 300_000, start);
    }
    ftruncateSync(fd, bytes.length);
    closeSync(fd);
    const source = { kind: 'file', root: 'archive', path: 'in', holes: 'keep' } as const;
    const result = await disk.copy('never', { source });
    expect(result.copied).toBe('rows');
    expect(result.holeBytes).toBeGreaterThan(18 * MIB);
    disk.expectCopied(bytes);
    disk.free(); // what is allocated is told once it is settled
    const allocated = (name: string): number => statSync(join(disk.path, name)).blocks * 512;
    expect(allocated('out')).toBeLessThanOrEqual(allocated('in') + 65_536);
  });

  where(
    'from another file system "auto" copies rows and says why; "always" refuses, and the old file stays',
    async () => {
      const archive = join(home, 'archive');
      mkdirSync(archive);
      const disk = new Disk(open().path, archive);
      disk.writeSource(stamp(1_000_001));
      expect(await disk.copy('auto')).toMatchObject({
        copied: 'rows',
        noReflinkReason: 'source and target are on different file systems (EXDEV)',
      });
      disk.expectCopied(stamp(1_000_001));
      disk.writeSource(stamp(10));
      for (const publish of ['atomic', 'in-place'] as const) {
        expect(await failureOf(disk.copy('always', { publish }))).toMatchObject({
          code: 'EXDEV',
          syscall: 'ioctl',
          retryable: false,
          message: expect.stringMatching(/different file systems .* "auto"/),
        });
      }
      disk.expectCopied(stamp(1_000_001));
      expect(readdirSync(disk.path)).toEqual(['out']);
    },
  );
});

describe('on ext4, which has no reflinks', () => {
  const where = canMount ? test : test.skip;

  where('"auto" copies rows, keeps holes if asked, and says that it was no reflink', async () => {
    const disk = new Disk(mountLoop(home, undo, ['mkfs.ext4', '-q'], 64 * MIB, 4096));
    const bytes = Buffer.concat([Buffer.alloc(MIB), stamp(5000)]);
    const fd = openSync(join(disk.path, 'in'), 'w');
    ftruncateSync(fd, MIB);
    closeSync(fd);
    appendFileSync(join(disk.path, 'in'), stamp(5000));
    const source = { kind: 'file', path: 'in', reflink: 'auto', holes: 'keep' } as const;
    expect(await disk.copy('auto', { source })).toMatchObject({
      copied: 'rows',
      noReflinkReason: 'this file system has no reflinks (EOPNOTSUPP)',
      holeBytes: MIB,
    });
    disk.expectCopied(bytes);
  });

  where('"always" refuses before the file that stands there is touched', async () => {
    const disk = new Disk(mountLoop(home, undo, ['mkfs.ext4', '-q'], 64 * MIB, 4096));
    disk.writeSource(stamp(5000));
    writeFileSync(join(disk.path, 'out'), 'precious');
    for (const publish of ['atomic', 'in-place'] as const) {
      const failure = await failureOf(disk.copy('always', { publish }));
      expect(failure).toMatchObject({ code: 'EOPNOTSUPP', syscall: 'ioctl', retryable: false });
    }
    disk.expectCopied(Buffer.from('precious'));
    expect(readdirSync(disk.path).toSorted()).toEqual(['in', 'lost+found', 'out']);
  });
});
