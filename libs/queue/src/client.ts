/** The producer's side alone, for programs that may never use it: BullMQ is loaded when it connects, not before. */
export { ConnectionError } from './connection/connection-error.ts';
export type { Connection } from './connection/address.ts';
export type { HostProcess, HostRecord, HostRoot, HostState, HostVitals } from './hosts/record.ts';
export { UnknownJobError } from './jobs/job-errors.ts';
export type { FlowIds, FlowOptions, WriteFlow } from './produce/flow.ts';
export type { JobDetails } from './inspect/details.ts';
export type { JobState, JobView } from './inspect/job-view.ts';
export type { JobFilter, ListedState } from './inspect/listing.ts';
export { type CleanOptions, JobStateError } from './inspect/tending.ts';
export { oncePerPath } from './produce/once-per-path.ts';
export type { WriteJob } from './produce/open-queues.ts';
export type { WriteQueueOptions } from './produce/producer-connection.ts';
export type { Repeat, Schedule } from './produce/schedule.ts';
export { WriteQueue } from './produce/write-queue.ts';
export type { SteeredState } from './steer/order-sender.ts';
export type { WatchEvent } from './watch/watch.ts';
