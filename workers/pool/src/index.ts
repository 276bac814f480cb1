/** The writer pool: what a process that writes has of its threads. */
export { type Stoppable, stopRunning } from './stop.ts';
export { ProgressMeter } from './meter.ts';
export { WriterPool, type PoolOptions, type RunningStream, type RunningWrite, type WriterDied } from './pool.ts';
export { DevicePools, type DevicePoolsOptions, type SilenceNews, UNKNOWN_DEVICE } from './device-pools.ts';
export type { SlotTurn } from './slot-line.ts';
