// Listens for room in the queue, over a connection that is there only while somebody waits for it.
import { Redis } from 'ioredis';
import type { FreedChannel } from './gate.ts';
import { redisOptions, sever, type Connection } from '../connection/check.ts';

export class FreedSubscription implements FreedChannel {
  readonly #connection: Connection;
  readonly #channel: string;
  readonly #onError: (error: unknown) => void;
  #redis: Redis | null = null;
  #opening: Promise<unknown> = Promise.resolve();

  constructor(connection: Connection, channel: string, onError: (error: unknown) => void) {
    this.#connection = connection;
    this.#channel = channel;
    this.#onError = onError;
  }

  /** While it is open already, its first listener goes on listening. */
  async open(listener: () => void): Promise<void> {
    if (this.#redis === null) {
      const redis = new Redis(redisOptions(this.#connection, 'worker'));
      this.#redis = redis;
      redis.on('error', this.#onError);
      redis.on('message', listener);
      // After a break there may be room that nobody was told of.
      redis.on('ready', listener);
      this.#opening = redis.subscribe(this.#channel);
    }
    await this.#opening;
  }

  close(): void {
    if (this.#redis !== null) sever(this.#redis);
    this.#redis = null;
  }
}
