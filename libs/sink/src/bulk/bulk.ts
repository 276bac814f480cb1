/**
 * A bulk: many files written by one job. Each item is a write of its own, with its own temporary name and its own end; as
 * many run at once as there are lanes.
 *
 * The decision: libs/README.md#bulk-as-one-job.
 */
import { performance } from 'node:perf_hooks';
import {
  type BulkItemResult,
  type BulkRequest,
  type BulkResult,
  type Engine,
  PHASES,
  WriteAbortedError,
  type WriteMode,
  type ShortWriteResult,
  requestOf,
  textOfCode,
  toWire,
} from '@penstock/contract';
import { type Control, type JobBlock, STOP_NONE, STOP_REASONS } from '@penstock/matrix';
import { sweepDirectory } from '../earlier/sweep.ts';
import { earlierPartsOfAll } from '../attempt/earlier-parts.ts';
import { jobKeyOf, splitPath } from '../attempt/parts.ts';
import type { WriterThread } from '../thread/thread.ts';
import { runTask } from '../write/lane.ts';
import { BulkProgress, ItemControl } from './progress.ts';

const OPENING: number = PHASES.indexOf('opening');
const WRITING: number = PHASES.indexOf('writing');
const DONE: number = PHASES.indexOf('done');

/**
 * Files of one bulk that are open at once: half of the default depth, so that a bulk leaves slots to the other writes of
 * its thread. Measured with 4 KiB files, 64 were no faster.
 */
export const BULK_LANES = 32;

/** The same for all bulks of a thread together: a file takes two or three descriptors, and a process may have only 1024. */
const THREAD_LANES = 64;

/** How many errors a result has in full: a hundred show what is wrong, a thousand would only fill the queue's memory. */
const ERRORS_IN_FULL_MAX = 100;

/** One attempt at a bulk. */
export interface BulkOrder {
  bulk: BulkRequest;
  /** The job's name, which never changes. */
  jobName: string;
  /** Different for every attempt of the job. */
  attemptToken: string;
  /** True if an earlier attempt of the job was begun. */
  again: boolean;
  /** As in AttemptIdentity. */
  job: string;
  /** The first of its places among the records of partial files (PartRecords): it has one for each of BULK_LANES. */
  partPlace?: number;
  /** What this thread has to do with it, if several carry it out; absent: it alone does. */
  share?: BulkShare;
}

/** A thread's part in a bulk of several threads. */
interface BulkShare {
  /** How many threads there are. */
  count: number;
  /** False of the one that leads; the others publish their progress in the last block of their lanes. */
  helps: boolean;
  /** One word: the index of the next file that none of them has taken. */
  next: SharedArrayBuffer;
}

/**
 * Writes all items of `order` on `thread`. Progress is published in `control`, and its stop word is obeyed; the items'
 * descriptors are recorded in the blocks of `lanes`, one for each item that runs.
 *
 * An item that fails stops no other: its error is in the result. If several threads share the bulk, `items` has those that this
 * one has written.
 * @throws (rejects with) WriteAbortedError if stopped; what was published by then stays
 */
export function runBulk(
  thread: WriterThread,
  order: BulkOrder,
  control: JobBlock,
  lanes: Control,
): Promise<BulkResult> {
  const helps = order.share?.helps === true;
  const shown = helps ? lanes.job(lanes.jobs - 1) : control;
  return new BulkRun(thread, order, control, shown).run(lanes, helps ? lanes.jobs - 1 : lanes.jobs);
}

/** One attempt at a bulk, while it runs. */
class BulkRun {
  readonly #thread: WriterThread;
  readonly #order: BulkOrder;
  readonly #control: JobBlock;
  readonly #progress: BulkProgress;
  /** One word: the index of the first item that no lane has taken. */
  readonly #next: Int32Array;
  #aborted = false;

  readonly #items: BulkItemResult[];
  #failed = 0;
  #bytes = 0;
  readonly #modes: Partial<Record<WriteMode, number>> = {};
  #fallbackReason: string | undefined;
  #isKept = true;
  readonly #arrival: number;
  #writes = 0;
  #reads = 0;
  #shortWrites = 0;

  constructor(thread: WriterThread, order: BulkOrder, control: JobBlock, shown: JobBlock) {
    this.#thread = thread;
    this.#order = order;
    this.#control = control;
    thread.arrivals += 1;
    this.#arrival = thread.arrivals;
    const { bulk, share } = order;
    this.#items = Array.from({ length: bulk.files.length });
    this.#next = new Int32Array(share?.next ?? new ArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    this.#progress = new BulkProgress(shown);
    if (share?.helps === true) return; // the total is shown once
    for (const { size = bulk.size ?? 0 } of bulk.files) this.#progress.totalBytes += size;
  }

  async run(lanes: Control, laneCount: number): Promise<BulkResult> {
    const begunAt = performance.now();
    const { engine, index } = this.#thread;
    const { retries, submitCalls } = engine;
    this.#progress.publish(OPENING);
    if (this.#order.again) this.#sweep();
    this.#progress.publish(WRITING);
    this.#thread.bulks += 1;
    const share = Math.max(1, Math.floor(THREAD_LANES / this.#thread.bulks));
    const length = Math.min(laneCount, share);
    await Promise.all(Array.from({ length }, (_, lane) => this.#work(lanes.job(lane), lane)));
    this.#thread.bulks -= 1;
    if (this.#aborted || !this.#allTaken) {
      throw new WriteAbortedError(STOP_REASONS[this.#control.stop] ?? 'lost'); // no stop word: the job's lease has expired
    }
    // 100 % only if every file is in its place.
    if (this.#failed === 0) this.#progress.publish(DONE);
    const total = performance.now() - begunAt;
    const files = this.#items.length;
    return {
      items: this.#items,
      files,
      failed: this.#failed,
      bytes: this.#bytes,
      modes: this.#modes,
      engine: engine.port.name as Engine,
      ...(this.#fallbackReason === undefined ? {} : { fallbackReason: this.#fallbackReason }),
      ...(this.#isKept ? {} : { durable: false as const }),
      durationsMs: { total },
      bytesPerSecond: (this.#bytes / total) * 1000,
      filesPerSecond: ((files - this.#failed) / total) * 1000,
      writes: this.#writes,
      reads: this.#reads,
      shortWrites: this.#shortWrites,
      retries: engine.retries - retries,
      submitCalls: engine.submitCalls - submitCalls,
      thread: index,
    };
  }

  /**
   * Removes what earlier attempts left, one directory after the other. To be called before the first item begins: a symbolic
   * link may be another name of a directory in which an item is written.
   */
  #sweep(): void {
    const directories = new Map<string, { root: string; directory: string; keys: Set<string> }>();
    const { bulk } = this.#order;
    for (const { root = bulk.root, path } of bulk.files) {
      const { directory } = splitPath(path);
      const name = `${root}\0${directory}`;
      const entry = directories.get(name) ?? { root, directory, keys: new Set() };
      directories.set(name, entry);
      entry.keys.add(jobKeyOf(this.#order.jobName, { root, path }));
    }
    for (const { root, directory, keys } of directories.values()) {
      const open = this.#thread.roots.find(root);
      if (open === undefined) continue;
      const names = (dirFd: number): readonly string[] => earlierPartsOfAll(dirFd, keys, this.#order.attemptToken);
      sweepDirectory(open, directory, names, this.#thread.freeing);
    }
  }

  get #allTaken(): boolean {
    return Atomics.load(this.#next, 0) >= this.#items.length;
  }

  /** Writes one item after the other, until none is left or the job is stopped. */
  async #work(block: JobBlock, lane: number): Promise<void> {
    while (!this.#allTaken && this.#control.stop === STOP_NONE && !this.#aborted) {
      const index = Atomics.add(this.#next, 0, 1);
      if (index >= this.#items.length) return; // another thread was faster
      // A lane is one write at a time.
      await this.#write(index, block, lane);
    }
  }

  async #write(index: number, block: JobBlock, lane: number): Promise<void> {
    const { bulk, jobName, attemptToken, again, job, partPlace } = this.#order;
    const request = requestOf(bulk, bulk.files[index]!);
    const control = new ItemControl(this.#control, block, this.#progress, request.size ?? 0);
    const place = partPlace === undefined ? {} : { partPlace: partPlace + lane };
    const order = {
      request,
      jobKey: jobKeyOf(jobName, request),
      attemptToken,
      again,
      job,
      swept: true,
      arrival: this.#arrival,
      ...place,
    };
    try {
      this.#succeed(index, await runTask(this.#thread, order, control));
    } catch (error) {
      control.takeBack();
      this.#fail(index, error);
    }
  }

  #succeed(index: number, result: ShortWriteResult): void {
    const { path, bytes, checksum, notKept, mode, fallbackReason } = result;
    const item = checksum === undefined ? { path, bytes } : { path, bytes, checksum };
    this.#items[index] = notKept === undefined ? item : { ...item, notKept };
    this.#bytes += bytes;
    this.#modes[mode] = (this.#modes[mode] ?? 0) + 1;
    this.#fallbackReason ??= fallbackReason;
    if (result.durable === false) this.#isKept = false;
    this.#writes += result.writes;
    this.#reads += result.reads ?? 0;
    this.#shortWrites += result.shortWrites ?? 0;
  }

  #fail(index: number, error: unknown): void {
    if (error instanceof WriteAbortedError) this.#aborted = true;
    this.#failed += 1;
    const wire = toWire(error);
    const { name, code, retryable } = wire;
    const { path } = this.#order.bulk.files[index]!;
    const inFull = this.#failed <= ERRORS_IN_FULL_MAX / (this.#order.share?.count ?? 1);
    this.#items[index] = {
      path,
      error: inFull ? wire : { name, code, retryable, message: `${code}: ${textOfCode(code)}` },
    };
  }
}
