/** What crosses between a host's main thread and its writer threads: plain data and shared memory, no errors thrown. */
import type { JobResult, WireError, WriteRequest } from '@penstock/contract';
import type { ArenaMemory } from '@penstock/matrix';
import type { BulkOrder, Root } from '@penstock/sink';

/** Which port the threads use; 'auto' is libaio, else raw system calls, else plain positional writes. */
export type EngineChoice = 'auto' | 'libaio' | 'syscalls' | 'positional';

/** The workerData of every writer thread. */
export interface WriterSetup {
  /** The words of Control: `threadSlots` thread blocks, then `jobSlots` job blocks. */
  control: SharedArrayBuffer;
  threadSlots: number;
  jobSlots: number;
  /** One arena for each thread slot. */
  arenas: ArenaMemory[];
  /** iocbs in flight at once, a thread. */
  depth: number;
  /** Opened by the main thread: descriptors belong to the process, and would outlive the thread that opened them. */
  roots: Root[];
  engine: EngineChoice;
  /** The libaio to load, where it is not under its usual name. */
  libaio?: string;
}

/** One attempt at a job. */
export interface WriterTask {
  request: WriteRequest;
  jobKey: string;
  attemptToken: string;
  /** True when an earlier attempt was begun. */
  again: boolean;
  /** The job block this attempt reports to. */
  jobSlot: number;
}

/** One attempt at a bulk. */
export interface BulkTask extends BulkOrder {
  /** The words of a Control of no thread: a job block for each item that runs at a time. */
  lanes: SharedArrayBuffer;
  laneCount: number;
  /** The job block this attempt reports to. */
  jobSlot: number;
}

/** Errors lose their name, code and fields on the way out of a worker thread: they travel as data. */
export type WriterAnswer = { ok: true; result: JobResult } | { ok: false; error: WireError };

/** The compiled entry of the writer thread; the same file from `src/` and from `dist/`. */
export const writerEntry: URL = new URL('../dist/worker.js', import.meta.url);
