/** The writer threads: the pool that a process has of them, and what crosses to a thread and back. */
export { PoolSum } from './pool/census.ts';
export { DevicePools, type SilenceNews } from './pool/device-pools.ts';
export { ProgressMeter } from './pool/meter.ts';
export { WriterPool } from './pool/pool.ts';
export type { RunningStream, RunningWrite } from './pool/running.ts';
export type { SlotTurn } from './pool/slot-line.ts';
export { type Stoppable, stopRunning } from './pool/stop.ts';
