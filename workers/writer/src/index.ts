/** The writer threads: the pool that a process has of them, and what crosses to a thread and back. */
export {
  type BulkTask,
  type FromWriter,
  type QueueAnswer,
  type ToWriter,
  type WriterAnswer,
  type WriterQuestion,
  type WriterSession,
  type WriteTask,
  type WriterSetup,
  type WriterUp,
  type WriterTask,
  writerEntry,
} from './protocol.ts';
export { DevicePools, type DevicePoolsOptions, type SilenceNews, UNKNOWN_DEVICE } from './pool/device-pools.ts';
export { ProgressMeter } from './pool/meter.ts';
export type { PoolOptions } from './pool/options.ts';
export { WriterPool } from './pool/pool.ts';
export type { RunningStream, RunningWrite, WriterDied } from './pool/running.ts';
export type { SlotTurn } from './pool/slot-line.ts';
export { type Stoppable, stopRunning } from './pool/stop.ts';
