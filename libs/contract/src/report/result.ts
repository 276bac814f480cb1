/** What a completed write returns: the job's return value in the queue. */
import type { WireError } from '../errors/wire-error.ts';
import type { ChecksumName } from '../fields/fields.ts';

/** A distribution of durations, in microseconds. */
export interface LatencySummary {
  count: number;
  p50: number;
  p90: number;
  p99: number;
  max: number;
}

/** One of the ways in which bytes go to a file: kernel AIO or blocking calls, past the page cache or through it. */
export type WriteMode = 'aio-direct' | 'aio-buffered' | 'sync-direct' | 'sync-buffered';

/** What carries the I/O: libaio, the raw AIO system calls, or plain positional writes. In the order of preference. */
const ENGINES = ['libaio', 'syscalls', 'positional'] as const;
/** What carries the I/O: libaio, the raw AIO system calls, or plain positional writes. */
export type Engine = (typeof ENGINES)[number];
/** What may be asked for: `'auto'` is the first engine that carries out a write on this machine. */
export type EngineChoice = 'auto' | Engine;
export const ENGINE_CHOICES: readonly EngineChoice[] = ['auto', ...ENGINES];

/** One of the ways in which a copy is made: each byte read and written, or the source's blocks shared. */
export type CopyWay = 'rows' | 'reflink';

/** What a completed write came to. */
export interface WriteResult {
  path: string;
  root: string;
  /** The bytes written: the file's exact size, unless it was overwritten in part or appended to. */
  bytes: number;
  /** Of a file that was overwritten in part or appended to: where the first byte went, and its size now. */
  offset?: number;
  fileBytes?: number;
  /** Of the bytes written, in hexadecimal digits, where the request named one. */
  checksum?: { algorithm: ChecksumName; value: string };
  /** How they were compared with what was to be written, where the request asked for it. */
  verified?: 'readback';
  /** Why they were not read by direct I/O, and how instead, where they were not. */
  noDirectReadbackReason?: string;
  /** Bytes that an earlier attempt had written and this one did not write again. */
  resumedFrom?: number;
  /** What the file that stood there had and this one has not: like "owner 1000 (EPERM)"; of the first twenty of them. */
  notKept?: string[];
  mode: WriteMode;
  engine: Engine;
  /** Why it is not 'aio-direct', or by raw system calls though there is a libaio, where that is so. */
  fallbackReason?: string;
  /** false: nothing of it survives power loss, whatever its durability; `fallbackReason` has the reason. Absent otherwise. */
  durable?: false;
  /** Of a copy alone. After a 'reflink' mode and matrix are those its rows would have had: there were none. */
  copied?: CopyWay;
  /** Why it is no reflink, where one was asked for. */
  noReflinkReason?: string;
  /** Bytes of the source's holes that are holes of the file too, where a copy by rows was asked to keep them. */
  holeBytes?: number;
  /** Of a file made of extents: where each ends, in the order of the request. */
  extentEnds?: number[];
  /** What direct I/O on this file demands of memory addresses and of offsets and lengths, in bytes; 1 if nothing. */
  alignment: { memory: number; offset: number };
  /** The matrix that was used; ioBytes is the length of one full write, a multiple of the offset alignment. */
  matrix: { rows: number; rowBytes: number; ioBytes: number };
  durationsMs: {
    waiting: number;
    opening: number;
    writing: number;
    syncing: number;
    verifying: number;
    publishing: number;
    /** Paused by an order, in none of the phases above. */
    paused: number;
    total: number;
  };
  /** bytes over the time of opening, writing, syncing, verifying and publishing, not of waiting or paused; 0 for an empty file. */
  bytesPerSecond: number;
  /** Per write iocb, from submit to reap. */
  writeLatencyUs: LatencySummary;
  /** Write and read iocbs that completed. */
  writes: number;
  reads: number;
  /** Writes that the kernel cut short and that were resubmitted for their residual. */
  shortWrites: number;
  /** Submissions of the thread repeated after EAGAIN or EINTR while this write ran. */
  retries: number;
  /** io_submit calls of the thread while this write ran: a batch may carry rows of several writes. */
  submitCalls: number;
  hugePages: boolean;
  /** The name of the host that wrote. */
  host?: string;
  /** The index of the writer thread. */
  thread: number;
}

/** What became of one file of a bulk. */
export type BulkItemResult =
  | { path: string; bytes: number; checksum?: WriteResult['checksum']; notKept?: string[] }
  | { path: string; error: WireError };

/** What a completed bulk returns. Each of its files was written as a single write is, or not at all. */
export interface BulkResult {
  /** In the order of the request's files. The first hundred that failed carry the whole error. */
  items: BulkItemResult[];
  /** How many files were asked for, and how many of them were not written. */
  files: number;
  failed: number;
  /** Of all files that were written. */
  bytes: number;
  /** How many files were written how. */
  modes: Partial<Record<WriteMode, number>>;
  engine: Engine;
  /** Why not all were written 'aio-direct': the reason of the first that was not. */
  fallbackReason?: string;
  /** false: nothing of them survives power loss; `fallbackReason` has the reason. Absent otherwise. */
  durable?: false;
  durationsMs: {
    /** From the begin of the first file to the end of the last. */
    total: number;
  };
  bytesPerSecond: number;
  filesPerSecond: number;
  /** Of all files, as in WriteResult. */
  writes: number;
  reads: number;
  shortWrites: number;
  /** Of the thread while this bulk ran. */
  retries: number;
  submitCalls: number;
  /** The name of the host that wrote. */
  host?: string;
  /** The index of the writer thread. */
  thread: number;
}

/** What a completed job returns. */
export type JobResult = WriteResult | BulkResult;
