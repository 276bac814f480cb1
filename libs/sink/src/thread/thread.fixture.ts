/** For tests: a writer thread's parts in this thread, over a fresh root on the disk that holds the checkout. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AioEngine, AioLoop, type AioPort, type PortFactory, libaioPort, syscallPort } from '@penstock/aio';
import type { BulkRequest, BulkRequestInput, BulkResult, WriteRequestInput, WriteResult } from '@penstock/contract';
import { parseJob, parseRequest } from '@penstock/contract/judging';
import {
  Arena,
  type ArenaMemory,
  Control,
  type FreeingTable,
  type JobBlock,
  type RingOutlet,
  createArenaMemory,
} from '@penstock/matrix';
import type { AskQueue } from '../append/inquiry.ts';
import { BULK_LANES, runBulk } from '../bulk/bulk.ts';
import type { CheckpointCadence } from '../attempt/checkpoint.ts';
import { Freeing } from '../device/freeing.ts';
import { type RootConfig, type RootWords, Roots } from '@penstock/disk';
import { createPatternSource, readSource } from '@penstock/sources';
import { WriterThread } from './thread.ts';
import { runWrite } from '../write/lane.ts';

// The checkout's disk, not os.tmpdir(): that is often a tmpfs, where direct I/O proves nothing.
const scratch = fileURLToPath(new URL('../../../../.cache/scratch/', import.meta.url));

export interface Bench {
  /** The directory of the root "data". */
  directory: string;
  /** A second root, read only, named "archive". */
  archive: string;
  thread: WriterThread;
  /** Of all its rows: what a ring's producer needs. */
  arenas: ArenaMemory[];
  engine: AioEngine;
  fatal: unknown[];
  control: Control;
  /** Runs one request on the thread; `block` is its job block, by default a fresh one. */
  write(request: WriteRequestInput, options?: WriteOptions): Promise<WriteResult>;
  /** Runs a bulk on the thread; `jobKey` is its job's name here. */
  bulk(request: BulkRequestInput, options?: WriteOptions): Promise<BulkResult>;
  /** Names in the root, temporary ones included. */
  names(): string[];
  /** The temporary ones among them. */
  parts(): string[];
  /** The bytes of a file in the root. */
  read(path: string): Buffer;
  /** Destroys the context, removes the files; throws if a descriptor is still open. */
  close(): void;
  /** What each test ends with: nothing was fatal to the loop; then the digest thread and all else are closed. */
  end(): Promise<void>;
}

export interface WriteOptions {
  block?: JobBlock;
  jobKey?: string;
  attemptToken?: string;
  again?: boolean;
  /** The job as its queue names it; one of its own unless given. */
  job?: string;
  /** Where the bytes of a stream arrive. */
  ring?: RingOutlet;
}

export interface BenchOptions {
  /** Below /var/tmp, where any user gets to: a checkout may be in a home that is its user's alone. */
  forAllUsers?: boolean;
  port?: AioPort | PortFactory;
  depth?: number;
  arenaBytes?: number;
  directory?: string;
  /** Of both roots. */
  direct?: RootConfig['direct'];
  checkpoints?: CheckpointCadence;
  shmDirectory?: string;
  shmGroupId?: number;
  askQueue?: AskQueue;
  /** Where the thread, which is number 0, records the directories that it has open. */
  rootWords?: RootWords;
  /** Where files are left to be freed by the test; absent: the thread frees them itself. */
  freeing?: FreeingTable;
  /** For how long nothing may be freed, until writes do not wait for it any more. */
  stalledMs?: number;
}

/** The bytes of the pattern "stamp", which are different at every position. */
export const stamp = (seed: number, size: number): Uint8Array =>
  readSource(createPatternSource('stamp', seed), 0, size);

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

const openDescriptors = (): string[] => readdirSync('/proc/self/fd');

export function openBench(options: BenchOptions = {}): Bench {
  mkdirSync(scratch, { recursive: true });
  const home = mkdtempSync(join(options.forAllUsers === true ? '/var/tmp' : scratch, 'sink-'));
  if (options.forAllUsers === true) chmodSync(home, 0o755);
  const directory = options.directory ?? join(home, 'data');
  const archive = join(home, 'archive');
  mkdirSync(directory, { recursive: true });
  mkdirSync(archive);
  // libuv opens descriptors of its own on first use: have it done before counting.
  closeSync(openSync(home, 'r'));
  const before = openDescriptors().length;
  const engine = new AioEngine(options.port ?? libaioPort() ?? syscallPort(), options.depth ?? 32);
  const fatal: unknown[] = [];
  const loop = new AioLoop(engine, (error) => fatal.push(error));
  const arenas = [createArenaMemory(options.arenaBytes ?? 16_777_216)];
  const arena = new Arena(arenas[0]!);
  const { direct = 'auto' } = options;
  const roots = new Roots(
    [
      { name: 'data', path: directory, writable: true, direct },
      { name: 'archive', path: archive, writable: false, direct },
    ],
    options.rootWords,
  );
  const thread = new WriterThread({
    engine,
    loop,
    arena,
    roots,
    segments:
      options.shmDirectory === undefined ? undefined : { directory: options.shmDirectory, groupId: options.shmGroupId },
    index: 0,
    checkpoints: options.checkpoints,
    askQueue: options.askQueue,
    freeing: options.freeing === undefined ? undefined : new Freeing(options.freeing, 0, () => {}, options.stalledMs),
  });
  const control = new Control(1, 64);
  let jobs = 0;
  function close(): void {
    engine.destroy();
    roots.close();
    rmSync(home, { recursive: true, force: true });
    const after = openDescriptors().length;
    if (after > before) throw new Error(`${after - before} descriptors were left open`);
    if (arena.freeBytes !== arena.sizeBytes) throw new Error('rows were not given back');
  }
  return {
    directory,
    archive,
    thread,
    arenas,
    engine,
    fatal,
    control,
    write(request, { block, jobKey, attemptToken = '1', again = false, job, ring } = {}) {
      const index = jobs % 64;
      jobs += 1;
      const key = jobKey ?? `job${jobs}`;
      const attempt = { jobKey: key, attemptToken, again, job: job ?? `test//${key}/1` };
      const order = { request: parseRequest(request), ...attempt, ...(ring === undefined ? {} : { ring }) };
      return runWrite(thread, order, block ?? control.job(index));
    },
    bulk(request, { block, jobKey, attemptToken = '1', again = false, job = 'test//bulk/1' } = {}) {
      const index = jobs % 64;
      jobs += 1;
      const order = {
        bulk: parseJob(request) as BulkRequest,
        jobName: jobKey ?? `job${jobs}`,
        attemptToken,
        again,
        job,
      };
      return runBulk(thread, order, block ?? control.job(index), new Control(0, BULK_LANES));
    },
    names: () => readdirSync(directory).toSorted(),
    parts: () => readdirSync(directory).filter((name) => name.endsWith('.part')),
    read: (path) => readFileSync(join(directory, path)),
    close,
    async end() {
      await thread.digests.close();
      assert.deepEqual(fatal, []);
      close();
    },
  };
}
