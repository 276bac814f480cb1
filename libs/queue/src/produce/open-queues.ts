/** What a producer has open: the queue of any host and those of single hosts, all on one connection to Redis. */
import type { JobRequest, ShortResult } from '@penstock/contract';
import { type FlowJob, FlowProducer, type Job, Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import { FreedSubscription } from '../capacity/freed-subscription.ts';
import { CapacityGate } from '../capacity/gate.ts';
import { CapacityScripts } from '../capacity/scripts.ts';
import type { Connection } from '../connection/address.ts';
import { connected } from '../connection/check.ts';
import type { ScriptClient } from '../connection/script-client.ts';
import { sever } from '../connection/sever.ts';
import type { HostRecord } from '../hosts/record.ts';
import { readHosts, registryKey } from '../hosts/registry.ts';
import { DEFAULT_PREFIX, defaultJobOptions, type JOB_NAME, QUEUE_NAME, queueOfHost } from '../names.ts';
import { OrderSender } from '../steer/order-sender.ts';
import { WatchHub } from '../watch/hub.ts';

/** A job of the queue, as BullMQ has it. */
export type WriteJob = Job<JobRequest, ShortResult, typeof JOB_NAME>;

/** A queue, the watches of its jobs and the orders to them. */
export interface OpenQueue {
  queue: Queue<JobRequest, ShortResult, typeof JOB_NAME>;
  hub: WatchHub;
  orders: OrderSender;
}

export interface OpenQueuesOptions {
  /** Severed when the queues are closed. */
  redis: Redis;
  /** Where `redis` is connected to, for what needs a connection of its own. */
  connection: Connection;
  /** BullMQ's key prefix. */
  prefix: string | undefined;
  onError: (error: unknown) => void;
}

export class OpenQueues {
  readonly redis: Redis;
  readonly capacity: CapacityScripts;
  readonly gate: CapacityGate;
  readonly #options: OpenQueuesOptions;
  readonly #flows: FlowProducer;
  /** By name; each is made when it is first used. */
  readonly #queues = new Map<string, OpenQueue>();

  private constructor(o: OpenQueuesOptions, first: OpenQueue, client: ScriptClient) {
    const { queue } = first;
    this.redis = o.redis;
    this.#options = o;
    this.#queues.set(QUEUE_NAME, first);
    this.capacity = new CapacityScripts(client, o.prefix ?? DEFAULT_PREFIX, (part) => queue.toKey(part));
    this.gate = new CapacityGate(
      this.capacity,
      new FreedSubscription(o.connection, this.capacity.freed, (error) => o.onError(error)),
    );
    this.#flows = new FlowProducer({ connection: o.redis, ...(o.prefix === undefined ? {} : { prefix: o.prefix }) });
    this.#flows.on('error', (error) => o.onError(error));
  }

  /** @throws ConnectionError if Redis does not answer in time */
  static async open(o: OpenQueuesOptions): Promise<OpenQueues> {
    const first = openQueue(o, QUEUE_NAME);
    await connected(first.queue, o.connection);
    return new OpenQueues(o, first, await first.queue.getBackend().client);
  }

  /** The queue of that name. */
  named(queueName: string): OpenQueue {
    let open = this.#queues.get(queueName);
    if (open === undefined) {
      open = openQueue(this.#options, queueName);
      this.#queues.set(queueName, open);
    }
    return open;
  }

  /** The queue that any host takes from. */
  get anyHost(): Queue {
    return this.named(QUEUE_NAME).queue as Queue;
  }

  /** The queue of any host, and those of all hosts that were there in the last month. */
  async all(): Promise<Queue[]> {
    const names = [QUEUE_NAME, ...(await this.hosts()).map(({ name }) => queueOfHost(name))];
    return names.map((name) => this.named(name).queue as Queue);
  }

  /** Adds a job and the jobs that it waits for, all or none. */
  async addFlow(flow: FlowJob): Promise<void> {
    await this.#flows.add(flow);
  }

  /** The hosts that were there in the last month. */
  hosts(): Promise<HostRecord[]> {
    return readHosts(
      this.redis,
      registryKey((part) => this.anyHost.toKey(part)),
    );
  }

  /** Ends all watches and waits, and the connection. */
  async close(): Promise<void> {
    this.gate.close();
    const queues = [...this.#queues.values()];
    await Promise.all(queues.map(({ hub }) => hub.close()));
    await this.#flows.close();
    await Promise.all(queues.map(({ queue }) => queue.close()));
    sever(this.redis);
  }
}

function openQueue({ redis, connection, prefix, onError }: OpenQueuesOptions, queueName: string): OpenQueue {
  const prefixed = prefix === undefined ? {} : { prefix };
  const queue = new Queue<JobRequest, ShortResult, typeof JOB_NAME>(queueName, {
    connection: redis,
    ...prefixed,
    defaultJobOptions,
  });
  queue.on('error', onError);
  const toKey = (part: string): string => queue.toKey(part);
  const hub = new WatchHub({ queueName, connection, ...prefixed, redis, toKey, onError });
  return { queue, hub, orders: new OrderSender(redis, queue, prefix) };
}
