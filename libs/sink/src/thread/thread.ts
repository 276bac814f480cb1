/** What all writes of one writer thread share: the AIO engine and its loop, the row memory, the roots, and the table of slots. */
import type { AioEngine, AioLoop } from '@penstock/aio';
import { DigestThread } from '@penstock/digest';
import { type Arena, RateTable, ThreadTally } from '@penstock/matrix';
import { type AskQueue, askNobody } from '../append/inquiry.ts';
import { CHECKPOINTS_DEFAULT, type CheckpointCadence } from '../attempt/checkpoint.ts';
import { RefusingDevices } from '../device/direct-refused.ts';
import { DeviceFlows } from '../device/device-flow.ts';
import { Freeing } from '../device/freeing.ts';
import { FlushGroups } from '../device/flush-groups.ts';
import { type PartFiles, PartRecords } from '../attempt/part-records.ts';
import type { Roots } from '@penstock/disk';
import { Histograms } from './latencies.ts';
import { SharedDirectories } from '../target/shared-directory.ts';
import { RowClock } from './row-clock.ts';
import { RowMemory } from './row-memory.ts';
import type { SegmentDirectory } from '../origin/segment-directory.ts';
import { StopClock } from './stop-clock.ts';
import { SlotTable } from './transfer.ts';

/** What all writes of one thread share. */
export class WriterThread {
  readonly engine: AioEngine;
  readonly loop: AioLoop;
  readonly arena: Arena;
  readonly roots: Roots;
  /** The directory of shared-memory segments; undefined if the writer has none. */
  readonly segments: SegmentDirectory | undefined;
  /** The limits of the host and its roots in bytes per second, shared with the host's other threads. */
  readonly rates: RateTable;
  /** The index of this thread on its host. */
  readonly index: number;
  /** Why its engine does not use libaio: that was refused, or another way was asked for; undefined if it does. */
  readonly engineReason: string | undefined;
  readonly checkpoints: CheckpointCadence;
  /** Asks the queue what has become of jobs that a file's record names. */
  readonly askQueue: AskQueue;
  /** Records the partial files that there are; null if this process keeps no such records. */
  readonly partRecords: PartRecords | null;
  readonly slots: SlotTable;
  readonly rowMemory: RowMemory;
  readonly flushGroups: FlushGroups = new FlushGroups();
  readonly flows: DeviceFlows = new DeviceFlows();
  readonly digests: DigestThread;
  readonly rowClock: RowClock;
  readonly refusingDevices: RefusingDevices = new RefusingDevices();
  readonly stopClock: StopClock;
  /** Frees the blocks of large files, or has them freed. */
  readonly freeing: Freeing;
  /** How many small files are being written: large writes leave them room in the device's queue. */
  smallWrites = 0;
  /** How many writes and bulks have been handed to the thread. */
  arrivals = 0;
  readonly directories: SharedDirectories;
  readonly histograms: Histograms;
  /** How many bulks are being written: they share the number of files that may be open at once. */
  bulks = 0;

  constructor(parts: {
    engine: AioEngine;
    loop: AioLoop;
    arena: Arena;
    roots: Roots;
    segments?: SegmentDirectory | undefined;
    index: number;
    engineReason?: string | undefined;
    /** If absent, there are no limits. */
    rates?: RateTable;
    checkpoints?: CheckpointCadence | undefined;
    /** If absent, there is no queue. */
    askQueue?: AskQueue | undefined;
    /** If absent, partial files are not recorded. */
    partFiles?: PartFiles | undefined;
    /** If absent, this thread frees the blocks of its files itself. */
    freeing?: Freeing | undefined;
    /** Where the thread counts what it does; if absent, nobody reads that. */
    tally?: ThreadTally;
  }) {
    const tally = parts.tally ?? new ThreadTally();
    this.engine = parts.engine;
    this.loop = parts.loop;
    this.arena = parts.arena;
    this.rowMemory = new RowMemory(parts.arena, tally);
    this.histograms = new Histograms(tally);
    this.digests = new DigestThread(parts.arena.bytes, () => parts.loop.wake());
    this.rowClock = new RowClock(parts.loop);
    this.stopClock = new StopClock(parts.loop);
    this.roots = parts.roots;
    this.directories = new SharedDirectories(parts.roots);
    this.segments = parts.segments;
    this.rates = parts.rates ?? new RateTable(parts.roots.count);
    this.index = parts.index;
    this.engineReason = parts.engineReason;
    this.checkpoints = parts.checkpoints ?? CHECKPOINTS_DEFAULT;
    this.askQueue = parts.askQueue ?? askNobody;
    this.partRecords = parts.partFiles === undefined ? null : new PartRecords(parts.partFiles);
    this.freeing = parts.freeing ?? new Freeing();
    this.slots = new SlotTable(parts.engine.depth);
  }
}
