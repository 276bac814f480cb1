/** The progress of a bulk: each item publishes its own, and the job's control block shows the sum. */
import { PHASES, SIZE_BYTES_MAX } from '@penstock/contract';
import type { JobBlock, Mapping, RateCell } from '@penstock/matrix';
import type { WriteControl } from '../write/order.ts';

const WRITING: number = PHASES.indexOf('writing');
const PAUSED: number = PHASES.indexOf('paused');

/** The progress of all items of a bulk together. */
export class BulkProgress {
  bytesWritten = 0;
  bytesDurable = 0;
  /** As far as it is known: a copy's size is known once its source is open. */
  totalBytes = 0;
  inFlight = 0;
  readonly #control: JobBlock;

  constructor(control: JobBlock) {
    this.#control = control;
  }

  publish(phase: number): void {
    const totalBytes = Math.min(this.totalBytes, SIZE_BYTES_MAX);
    this.#control.publish(phase, this.bytesWritten, this.bytesDurable, totalBytes, this.inFlight);
  }
}

/**
 * What one item sees of the job: it stops and pauses with the job, and adds to the job's progress what has changed since it
 * last published its own. Descriptors are recorded in the item's own block.
 */
export class ItemControl implements WriteControl {
  readonly #job: JobBlock;
  readonly #block: JobBlock;
  readonly #progress: BulkProgress;
  #bytesWritten = 0;
  #bytesDurable = 0;
  #totalBytes: number;
  #inFlight = 0;

  constructor(job: JobBlock, block: JobBlock, progress: BulkProgress, totalBytes: number) {
    this.#job = job;
    this.#block = block;
    this.#progress = progress;
    this.#totalBytes = totalBytes;
  }

  get stop(): number {
    return this.#job.stop;
  }

  get lapsed(): boolean {
    return this.#job.lapsed;
  }

  get paused(): boolean {
    return this.#job.paused;
  }

  /** The limit of all items together. */
  get rate(): RateCell {
    return this.#job.rate;
  }

  recordFd(index: number, fd: number): void {
    this.#block.recordFd(index, fd);
  }

  recordMapping(mapping: Mapping | null): void {
    this.#block.recordMapping(mapping);
  }

  publish(_phase: number, written: number, durable: number, total: number, inFlight: number): void {
    const known = Math.max(total, this.#totalBytes); // a write publishes 0 until its source is known
    this.#progress.bytesWritten += written - this.#bytesWritten;
    this.#progress.bytesDurable += durable - this.#bytesDurable;
    this.#progress.totalBytes += known - this.#totalBytes;
    this.#progress.inFlight += inFlight - this.#inFlight;
    this.#bytesWritten = written;
    this.#bytesDurable = durable;
    this.#totalBytes = known;
    this.#inFlight = inFlight;
    this.#progress.publish(this.#job.paused && this.#progress.inFlight === 0 ? PAUSED : WRITING);
  }

  /** The item has failed, and what it had written is removed. */
  takeBack(): void {
    this.publish(WRITING, 0, 0, 0, 0);
  }
}
