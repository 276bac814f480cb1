/** What all writes of one thread share: the context's engine and loop, the arena, the roots, and what each slot does. */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';
import type { AioEngine, AioLoop } from '@penstock/aio';
import { DigestThread } from '@penstock/digest';
import { type Arena, RateTable } from '@penstock/matrix';
import { type AskQueue, askNobody } from '../attempt/append-inquiry.ts';
import { CHECKPOINTS_DEFAULT, type CheckpointCadence } from '../attempt/checkpoint.ts';
import { RefusingDevices } from '../device/direct-refused.ts';
import { DeviceFlows } from '../device/device-flow.ts';
import { FlushGroups } from '../device/flush-groups.ts';
import { type PartFiles, PartRecords } from '../attempt/part-records.ts';
import type { Roots } from '@penstock/disk';
import { RowClock } from './row-clock.ts';
import { RowMemory } from './row-memory.ts';
import type { SegmentPlace } from '../origin/segment-directory.ts';
import { StopClock } from './stop-clock.ts';

/** The slowest write that the histogram tells apart: an hour, in microseconds. */
const LATENCY_US_MAX = 3_600_000_000;

// What a slot's iocb is for.
export const READ_ROW = 0;
export const WRITE_ROW = 1;
export const SYNC_FILE = 2;
export const SYNC_DIRECTORY = 3;
export const SYNC_CHECKPOINT = 4;
export const READ_BACK = 5;
/** Of what an earlier attempt wrote, for a sum of the whole. */
export const READ_PREFIX = 6;
/** Of the source, before its holes are believed. */
export const SYNC_ORIGIN = 7;
/** Of a stream, before its end. */
export const SYNC_PARTIAL = 8;
/** Of the file that this one has replaced. */
export const SYNC_REPLACED = 9;
/** Of what is in the page cache, amid the rows. */
export const SYNC_CACHE = 10;

/** By slot: what its iocb is for. A slot belongs to one write at a time, so one table serves them all. */
export interface SlotTable {
  /** The buffer row it moves. */
  row: Int32Array;
  /** Position in the file of the row's first byte. */
  position: Float64Array;
  /** Bytes the iocb covers in all, padding included. */
  length: Int32Array;
  /** Bytes of it already done by earlier submits: more than 0 after a short write or read. */
  done: Int32Array;
  /** Short reads or writes in a row that moved no whole block. */
  stalls: Uint8Array;
  /** READ_ROW and the others above. */
  purpose: Uint8Array;
  /** 1 where its file was open for direct I/O when it was prepared. */
  direct: Uint8Array;
  /** Of a row: the longest piece of it that goes at once, what counts as in flight of it, and what went last. */
  pieceBytes: Int32Array;
  flowBytes: Int32Array;
  askedBytes: Int32Array;
  /** 1 while it is read from another device than the one it is written to. */
  reads: Uint8Array;
}

export class WriterThread {
  readonly engine: AioEngine;
  readonly loop: AioLoop;
  readonly arena: Arena;
  readonly roots: Roots;
  /** Where segments of shared memory are looked for; undefined where the writer has no such place. */
  readonly segments: SegmentPlace | undefined;
  /** The byte-rate limits of the host and its roots, shared with the host's other threads. */
  readonly rates: RateTable;
  /** The index of this thread on its host. */
  readonly index: number;
  /** Why its context is not libaio's, where something refused that or other ways were asked for. */
  readonly engineReason: string | undefined;
  readonly checkpoints: CheckpointCadence;
  /** Asks the queue what becomes of jobs that a file names. */
  readonly askQueue: AskQueue;
  /** Where it is recorded which partial files there are; null where nobody would look. */
  readonly partRecords: PartRecords | null;
  readonly slots: SlotTable;
  readonly rowMemory: RowMemory;
  readonly flushGroups: FlushGroups = new FlushGroups();
  readonly flows: DeviceFlows = new DeviceFlows();
  readonly digests: DigestThread;
  readonly rowClock: RowClock;
  readonly refusingDevices: RefusingDevices = new RefusingDevices();
  readonly stopClock: StopClock;
  /** Small files that are being written now: large writes leave them room in the device's queue. */
  smallWrites = 0;
  /** Bulks that are carried out now: they share what may be open at once. */
  bulks = 0;
  readonly #histograms: RecordableHistogram[] = [];

  constructor(parts: {
    engine: AioEngine;
    loop: AioLoop;
    arena: Arena;
    roots: Roots;
    segments?: SegmentPlace | undefined;
    index: number;
    engineReason?: string | undefined;
    /** Absent: no limits. */
    rates?: RateTable;
    checkpoints?: CheckpointCadence | undefined;
    /** Absent: there is no queue. */
    askQueue?: AskQueue | undefined;
    /** Absent: partial files are not recorded. */
    partFiles?: PartFiles | undefined;
  }) {
    this.engine = parts.engine;
    this.loop = parts.loop;
    this.arena = parts.arena;
    this.rowMemory = new RowMemory(parts.arena);
    this.digests = new DigestThread(parts.arena.bytes, () => parts.loop.wake());
    this.rowClock = new RowClock(parts.loop);
    this.stopClock = new StopClock(parts.loop);
    this.roots = parts.roots;
    this.segments = parts.segments;
    this.rates = parts.rates ?? new RateTable(parts.roots.count);
    this.index = parts.index;
    this.engineReason = parts.engineReason;
    this.checkpoints = parts.checkpoints ?? CHECKPOINTS_DEFAULT;
    this.askQueue = parts.askQueue ?? askNobody;
    this.partRecords = parts.partFiles === undefined ? null : new PartRecords(parts.partFiles);
    const { depth } = parts.engine;
    this.slots = {
      row: new Int32Array(depth),
      position: new Float64Array(depth),
      length: new Int32Array(depth),
      done: new Int32Array(depth),
      stalls: new Uint8Array(depth),
      purpose: new Uint8Array(depth),
      direct: new Uint8Array(depth),
      pieceBytes: new Int32Array(depth),
      flowBytes: new Int32Array(depth),
      askedBytes: new Int32Array(depth),
      reads: new Uint8Array(depth),
    };
  }

  /** A histogram of microseconds: made once and used again, because each takes tens of kilobytes. */
  borrowHistogram(): RecordableHistogram {
    return this.#histograms.pop() ?? createHistogram({ lowest: 1, highest: LATENCY_US_MAX, figures: 2 });
  }

  returnHistogram(histogram: RecordableHistogram): void {
    histogram.reset();
    this.#histograms.push(histogram);
  }
}
