/** The writer pool: what a process that writes has of its threads. */
export { type Stoppable, stopRunning } from './stop.ts';
export { ProgressMeter } from './meter.ts';
export { WriterPool, type PoolOptions, type RunningStream, type RunningWrite, type WriterDied } from './pool.ts';
