// The BullMQ side of Penstock: producers add and watch, hosts take and perform.
export type { Capacity, WhenFull } from './capacity/scripts.ts';
export type { AppendAnswer, AppendQuestion } from './records/append-places.ts';
export { BrokenJobError } from './jobs/broken-jobs.ts';
export { CapacityError, type WaitForRoom } from './capacity/gate.ts';
export {
  checkRedis,
  ConnectionError,
  describeConnection,
  redisOptions,
  type Connection,
  type RedisFacts,
  type Role,
} from './connection/check.ts';
export type { FlowIds, FlowOptions, WriteFlow } from './produce/flow.ts';
export { defaultJobOptions, JOB_NAME, QUEUE_NAME, queueNameOf, queueOfHost } from './names.ts';
export { type LostJobs, LostJobError } from './jobs/lost-jobs.ts';
export { standstillOf } from './jobs/standstill.ts';
export { type HostProcess, type HostRecord, readHosts, registryKey, TwinHostError } from './host-registry.ts';
export { oncePerPath } from './produce/once-per-path.ts';
export { LockLostError } from './work/attempt.ts';
export type { Repeat, Schedule } from './produce/schedule.ts';
export type { ShardOutcome } from './flow/shards.ts';
export { ShardError } from './flow/whole-flow.ts';
export type { PartOwner } from './records/part-owners.ts';
export { JobLimit } from './work/job-limit.ts';
export { type StandingLimits, type Order } from './steer/order.ts';
export { JobEndedError, type SteeredState } from './steer/order-sender.ts';
export { UnknownJobError, type WatchEvent } from './watch/watch.ts';
export { WriteQueue, type AddOptions, type WriteJob, type WriteQueueOptions } from './produce/write-queue.ts';
export { WriteWorker, type WriteJobInfo, type WriteWorkerOptions } from './work/write-worker.ts';
