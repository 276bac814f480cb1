/** What a pool takes, how its threads are started, and what they get. */
import { isMainThread } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { EngineChoice } from '@penstock/contract';
import type { RateTable } from '@penstock/matrix';
import { type AskQueue, CHECKPOINTS_DEFAULT, type PartFiles } from '@penstock/sink';
import type { RootConfig } from '@penstock/disk';
import { type WriterSetup, writerEntry } from '../protocol.ts';

export interface PoolOptions {
  threads: number;
  /** iocbs in flight at once, per thread. */
  depth: number;
  /** Writes that run at once on one thread. */
  jobs: number;
  /** Row memory of all threads together. */
  memoryBytes: number;
  roots: RootConfig[];
  /** The limits of the host and its roots, in the order of the roots, if several pools keep to them; absent: its own. */
  rates?: RateTable;
  /** Where segments of shared memory are looked for, when a job names one; absent: nowhere. */
  shmDirectory?: string;
  /** The group whose members may put them there, besides this process's user; absent: none. */
  shmGroupId?: number | undefined;
  engine: EngineChoice;
  /** A running write records how far it is after so many bytes. */
  checkpointBytes?: number;
  libaio?: string;
  /** Where partial files are recorded, so that they are found after this process was killed; absent: nowhere. */
  partFiles?: PartFiles | undefined;
  /** The thread's entry; for tests that need a thread to die. */
  entry?: URL;
  /** Answers what a write has to ask about the jobs that its file names; absent: there are none. */
  askQueue?: AskQueue;
  /** Called when a thread died and was cleaned up after. */
  onThreadDeath?: (error: Error) => void;
  /** Called when a write's slot is free again. */
  onFree?: () => void;
  /**
   * After so many milliseconds without a write the sessions end and their threads are parked, and then the pool keeps
   * its process alive no more; the next write wakes them. Absent: they stay awake, and the process with them.
   */
  idleMs?: number;
}

/** What all threads of a pool share, as the pool has made it. */
export type SharedParts = Pick<
  WriterSetup,
  'control' | 'tallies' | 'threadSlots' | 'jobSlots' | 'arenas' | 'rates' | 'rootWords'
> & { freeing: SharedArrayBuffer };

/** The workerData of every thread of a pool. */
export function setupOf(options: PoolOptions, { freeing, ...shared }: SharedParts): WriterSetup {
  const { depth, roots, engine, checkpointBytes, shmDirectory, shmGroupId, libaio, partFiles } = options;
  return {
    ...shared,
    depth,
    cleansUpItself: !isMainThread,
    // A thread that cleans up after itself must close each of its descriptors itself.
    ...(isMainThread ? { freeing } : {}),
    roots,
    engine,
    ...(checkpointBytes === undefined ? {} : { checkpoints: { ...CHECKPOINTS_DEFAULT, bytes: checkpointBytes } }),
    ...(shmDirectory === undefined ? {} : { segments: { directory: shmDirectory, groupId: shmGroupId } }),
    ...(libaio === undefined ? {} : { libaio }),
    ...(partFiles === undefined ? {} : { partFiles }),
  };
}

/** The threads of a pool, each with `setup`; one is started at once. */
export function startThreads({ entry, threads }: PoolOptions, setup: WriterSetup): Piscina {
  return new Piscina({
    filename: (entry ?? writerEntry).href,
    minThreads: 1, // a thread takes long to start, and memory: the others start when none is free
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
    workerData: setup,
    execArgv: [], // what the program preloads would run in each thread, and open its writer there again
    env: {}, // likewise NODE_OPTIONS
    // A worker that ends would close its files, under writes that are still in flight.
    trackUnmanagedFds: false,
    recordTiming: false,
  });
}
