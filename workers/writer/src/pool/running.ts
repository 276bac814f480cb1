/** A write that a pool has running, and how its caller reaches it. */
import type { ShortResult } from '@penstock/contract';
import type { JobBlock, RingInlet } from '@penstock/matrix';

/** One attempt that runs now. */
export interface RunningWrite {
  readonly block: JobBlock;
  /**
   * Rejects with a WireError if its thread reports a failure, and with an Error if this side ends it: its thread died, or
   * it was left behind.
   */
  readonly done: Promise<ShortResult>;
  /** To be called after a change of the block, so that the thread notices it even if all its writes wait. */
  wake(): void;
  /** True while nothing comes back from the disk, as far as watch() has seen. */
  isSilent(): boolean;
  /**
   * For a write that did not end though it was asked to stop: `done` rejects with `error` now. Its slot, its rows and what
   * it has open stay its thread's until that has ended it. A thread that hangs in no call is terminated; its other writes
   * reject as retryable once it is gone, its context destroyed and what it had open closed, and another takes its place.
   */
  leave(error: Error): void;
}

/** What a write rejects with if its thread ended. */
export interface WriterDied extends Error {
  code: 'EWRITERDIED';
  retryable: true;
  /** True if it was most likely not this write that ended the thread: others ran beside it. */
  blameless: boolean;
}

/** One attempt whose bytes arrive while it runs. */
export interface RunningStream extends RunningWrite {
  /** For a RingProducer, here or on another thread: the port is transferred then. */
  readonly inlet: RingInlet;
}
