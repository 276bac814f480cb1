// The BullMQ side of Penstock: producers add and watch, hosts take and perform.
export {
  checkRedis,
  ConnectionError,
  describeConnection,
  redisOptions,
  type Connection,
  type RedisFacts,
  type Role,
} from './connection.ts';
export { defaultJobOptions, JOB_NAME, QUEUE_NAME } from './names.ts';
export { LockLostError } from './run.ts';
export { type StandingLimits, type Steer } from './steer.ts';
export { JobEndedError, type SteeredState } from './steering.ts';
export { UnknownJobError, type WatchEvent } from './watch.ts';
export { WriteQueue, type WriteJob, type WriteQueueOptions } from './write-queue.ts';
export { WriteWorker, type WriteJobInfo, type WriteWorkerOptions } from './write-worker.ts';
