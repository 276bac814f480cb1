/**
 * Receives orders: what the relay brings for the jobs of this worker. A relay keeps what was sent while its connection
 * was broken; if it may have lost some, it reports that, and the orders to all running jobs are read again.
 */
import { type RelayMessage, Relay } from 'bullmq';
import { Redis } from 'ioredis';
import { type Connection, redisOptions } from '../connection/address.ts';
import { sever } from '../connection/sever.ts';
import { within } from '../connection/deadline.ts';
import {
  JOB_TOPIC,
  LIMITS_TOPIC,
  RELAY_NAMESPACE,
  type StandingLimits,
  type Order,
  limitsFor,
  parseOrder,
} from './order.ts';

export interface OrderFeedOptions {
  connection: Connection;
  prefix?: string;
  /** The name of this host. */
  host: string;
  /** The Redis key of a job. */
  jobKey: (jobId: string) => string;
  /** The Redis key of the standing limits. */
  limitsKey: string;
  /** Called with each order to any job of the queue, this worker's or not. */
  onOrder: (jobId: string, order: Order) => void;
  /** Called with the limits of this host and its roots: at the start, and when they change. */
  onLimits: (limits: StandingLimits) => void;
  /** Called if orders may have been missed: those to every running job are to be read again. */
  onGap: () => void;
  onError: (error: unknown) => void;
}

const CLOSE_MS_MAX = 500;

export class OrderFeed {
  readonly #options: OrderFeedOptions;
  readonly #redis: Redis;
  readonly #relay: Relay<Redis>;

  private constructor(o: OrderFeedOptions) {
    this.#options = o;
    this.#redis = new Redis(redisOptions(o.connection, 'worker'));
    this.#redis.on('error', o.onError);
    this.#relay = new Relay<Redis>({
      connection: this.#redis,
      namespace: RELAY_NAMESPACE,
      name: o.host,
      ...(o.prefix === undefined ? {} : { prefix: o.prefix }),
    });
    this.#relay.on('error', o.onError);
    this.#relay.on('recovered', () => {
      o.onGap();
      void this.#readLimits();
    });
  }

  /** Resolves when nothing that is sent from now on is missed, and onLimits has been called. */
  static async open(o: OrderFeedOptions): Promise<OrderFeed> {
    const feed = new OrderFeed(o);
    try {
      await feed.#relay.waitUntilReady();
      await Promise.all([
        feed.#relay.subscribe<{ id: string; steer: string }>(JOB_TOPIC, (message) => feed.#take(message)),
        feed.#relay.subscribe(LIMITS_TOPIC, () => feed.#readLimits()),
      ]);
      await feed.#readLimits();
      return feed;
    } catch (error) {
      await feed.close();
      throw error;
    }
  }

  /** The orders to the job so far; null: none. */
  async read(jobId: string): Promise<Order | null> {
    return parseOrder(await this.#redis.hget(this.#options.jobKey(jobId), 'steer'));
  }

  #take({ data: { id, steer } }: RelayMessage<{ id: string; steer: string }>): void {
    const order = parseOrder(steer);
    if (order !== null) this.#options.onOrder(id, order);
  }

  async #readLimits(): Promise<void> {
    const { host, limitsKey, onLimits, onError } = this.#options;
    try {
      onLimits(limitsFor(host, await this.#redis.hgetall(limitsKey)));
    } catch (error) {
      onError(error);
    }
  }

  async close(): Promise<void> {
    await within(CLOSE_MS_MAX, this.#relay.close()); // would wait for a Redis that is away
    sever(this.#redis);
  }
}
