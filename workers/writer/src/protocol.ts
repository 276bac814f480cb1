/** What crosses between a host's main thread and its writer threads: plain data and shared memory, no errors thrown. */
import type { MessagePort } from 'node:worker_threads';
import type {
  AppendAnswer,
  AppendQuestion,
  EngineChoice,
  ShortResult,
  WireError,
  WriteRequest,
} from '@penstock/contract';
import type { ArenaMemory, RingOutlet } from '@penstock/matrix';
import type { BulkOrder, CheckpointCadence, PartFiles, SegmentDirectory } from '@penstock/sink';
import type { RootConfig } from '@penstock/disk';

/** The workerData of every writer thread. */
export interface WriterSetup {
  /** The words of Control: `threadSlots` thread blocks, then `jobSlots` job blocks. */
  control: SharedArrayBuffer;
  threadSlots: number;
  jobSlots: number;
  /** The words of ThreadTallies, for as many thread slots. */
  tallies: SharedArrayBuffer;
  /** One arena for each thread slot. */
  arenas: ArenaMemory[];
  /** The words of RateTable: the limits of the host and its roots. */
  rates: SharedArrayBuffer;
  /** iocbs in flight at once, per thread. */
  depth: number;
  roots: RootConfig[];
  /** The words of RootWords, with a block for each thread slot. */
  rootWords: SharedArrayBuffer;
  /** Where segments of shared memory are looked for; absent: nowhere. */
  segments?: SegmentDirectory;
  engine: EngineChoice;
  /** True if the thread that opened the pool may be terminated: then a writer thread has to clean up after itself. */
  cleansUpItself?: boolean;
  /** How often a running write records how far it is; absent: as the sink has it. */
  checkpoints?: CheckpointCadence;
  /** Where partial files are recorded; absent: nowhere. */
  partFiles?: PartFiles;
  /** The words of FreeingTable, for as many thread slots; absent: each thread frees the blocks of its files itself. */
  freeing?: SharedArrayBuffer;
  /** The libaio to load, if it is not under its usual name. */
  libaio?: string;
}

/** One attempt at a job of one file. */
export interface WriteTask {
  request: WriteRequest;
  jobKey: string;
  attemptToken: string;
  /** True when an earlier attempt was begun. */
  again: boolean;
  /** The job, as the queue that answers questions about it names it. */
  job: string;
  /** True if another attempt follows a failure of the source. */
  willRetry?: boolean;
  /** Its place among the records of partial files. */
  partPlace: number;
  /** The job block this attempt reports to; no other attempt has it while this one runs. */
  jobSlot: number;
  /** Where the bytes arrive, if another thread brings them; its port is transferred with the task. */
  ring?: RingOutlet;
}

/** One attempt at a bulk, or a thread's share in it. */
export interface BulkTask extends BulkOrder {
  /**
   * The words of a Control of no thread: a job block for each item that runs at a time, and behind them one for the progress
   * of a thread that helps.
   */
  lanes: SharedArrayBuffer;
  laneCount: number;
  /** As of a WriteTask. */
  jobSlot: number;
}

export type WriterTask = WriteTask | BulkTask;

/** How the attempt on `jobSlot` ended. Errors lose their name, code and fields between threads: they travel as data. */
export type WriterAnswer = { jobSlot: number } & ({ ok: true; result: ShortResult } | { ok: false; error: WireError });

/** What a write has to ask the queue; `number` is unique among the thread's questions. */
export interface WriterQuestion {
  number: number;
  question: AppendQuestion;
}

/** The queue's answer, or the error that it failed with. */
export type QueueAnswer = { number: number } & ({ answer: AppendAnswer } | { error: WireError });

/**
 * What Piscina hands to a thread: the port that it serves until 'end'. Tasks come through it as they are
 * taken from the queue and answers go back as writes end, each time all of one turn of the event loop in one message:
 * waking the other side costs more than a small write itself.
 */
export interface WriterSession {
  port: MessagePort;
}

/**
 * Main thread to writer thread; 'end' ends the session, when every answer has been received. 'wake' wakes a thread
 * whose writes all wait: words in shared memory have changed.
 */
export type ToWriter = WriterTask[] | QueueAnswer | 'end' | 'wake';
/** The first message of a session: the thread is up, and has this block of the Control. */
interface WriterUp {
  threadIndex: number;
}
/** Writer thread to main thread; 'frees' when it has put something into the FreeingTable. */
export type FromWriter = WriterAnswer[] | WriterQuestion | WriterUp | 'frees';

/** The compiled entry of the writer thread; the same file from `src/` and from `dist/`. */
export const writerEntry: URL = new URL('../dist/thread/worker.js', import.meta.url);
