// The BullMQ side of Penstock: producers add and watch, hosts take and perform.
export type { Capacity, WhenFull } from './capacity-scripts.ts';
export type { AppendAnswer, AppendQuestion } from './append-places.ts';
export { BrokenJobError } from './broken-jobs.ts';
export { CapacityError, type WaitForRoom } from './capacity.ts';
export {
  checkRedis,
  ConnectionError,
  describeConnection,
  redisOptions,
  type Connection,
  type RedisFacts,
  type Role,
} from './connection.ts';
export type { FlowIds, FlowOptions, WriteFlow } from './flow.ts';
export { defaultJobOptions, JOB_NAME, QUEUE_NAME, queueNameOf, queueOfHost } from './names.ts';
export { type LostJobs, LostJobError } from './lost-jobs.ts';
export { standstillOf } from './standstill.ts';
export { type HostProcess, type HostRecord, readHosts, registryKey, TwinHostError } from './host-registry.ts';
export { oncePerPath } from './once-per-path.ts';
export { LockLostError } from './run.ts';
export type { Repeat, Schedule } from './schedule.ts';
export type { ShardOutcome } from './shards.ts';
export { ShardError } from './whole-flow.ts';
export type { PartOwner } from './part-owners.ts';
export { Slots } from './slots.ts';
export { type StandingLimits, type Steer } from './steer.ts';
export { JobEndedError, type SteeredState } from './steering.ts';
export { UnknownJobError, type WatchEvent } from './watch.ts';
export { WriteQueue, type AddOptions, type WriteJob, type WriteQueueOptions } from './write-queue.ts';
export { WriteWorker, type WriteJobInfo, type WriteWorkerOptions } from './write-worker.ts';
