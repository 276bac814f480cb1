/** What a worker works with once Redis was found usable. */
import type { Redis } from 'ioredis';
import type { Socket } from 'node:net';
import type { ScriptClient } from '../connection/script-client.ts';
import { registryKey } from '../hosts/registry.ts';
import type { BrokenJobs } from '../jobs/broken-jobs.ts';
import { StartCounter } from '../jobs/starts.ts';
import { anyHostKey } from '../names.ts';
import { AppendPlaces } from '../records/append-places.ts';
import { PartOwners } from '../records/part-owners.ts';
import { OtherHosts } from '../wait/other-hosts.ts';
import { Conclusion } from './conclusion.ts';
import { Executor, type Perform } from './executor.ts';
import type { Seat } from './job-limit.ts';
import type { JobWorker } from './patient-worker.ts';

/** What is used of BullMQ's client beside BullMQ. */
export type Client = ScriptClient & {
  readonly stream?: Socket;
  hget(key: string, field: string): Promise<string | null>;
};

export interface Opened {
  worker: JobWorker;
  broken: BrokenJobs;
  /** The connection that ends of jobs are recorded over. */
  client: Client;
  /** The same, with the commands that BullMQ's type has not. */
  redis: Redis;
  places: AppendPlaces;
  owners: PartOwners;
  executor: Executor;
  conclusion: Conclusion;
}

export interface OpenOptions {
  worker: JobWorker;
  broken: BrokenJobs;
  /** The name of this host. */
  host: string;
  /** BullMQ's key prefix. */
  prefix: string;
  queueName: string;
  /** True if the queue is this host's own. */
  isOwnQueue: boolean;
  seat: Seat;
  /** For how long a job may wait in all; 0: never. */
  waitMsMax: number;
  perform: Perform;
  onError: (error: unknown) => void;
}

/** Makes it, over the connection that `worker` has. */
export async function open(o: OpenOptions): Promise<Opened> {
  const { worker, broken, host, prefix, queueName, isOwnQueue, seat, waitMsMax, perform, onError } = o;
  const backend = worker.getBackend();
  const client = await backend.client; // an ioredis client
  const redis = client as unknown as Redis;
  const toKey = (part: string): string => worker.toKey(part);
  const places = await AppendPlaces.open(client, prefix);
  const executor = new Executor({
    host,
    queueName,
    isOwnQueue,
    seat,
    mayWait: waitMsMax > 0,
    perform,
    redis,
    toKey,
    starts: new StartCounter(client),
    places,
  });
  const otherHosts = isOwnQueue ? null : new OtherHosts(redis, seenKey(prefix), host);
  const conclusion = new Conclusion({ host, waitMsMax, client, backend, toKey, otherHosts, onError });
  return { worker, broken, client, redis, places, owners: new PartOwners(client, places, host), executor, conclusion };
}

/** The key of the registry of hosts, which is beside the queue of any host. */
const seenKey = (prefix: string): string => registryKey((part) => anyHostKey(prefix, part));
