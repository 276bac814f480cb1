/** Listens for room in the queue, over a connection that is there only while somebody waits for it. */
import { Redis } from 'ioredis';
import { redisOptions, type Connection } from '../connection/address.ts';
import { sever } from '../connection/sever.ts';

/** Reports that there may be room; used by one gate, which has one listener. */
export class FreedSubscription {
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

  /**
   * Resolves when it is subscribed: `listener` is called for whatever is freed from then on. While it is open already,
   * its first listener goes on listening.
   */
  async open(listener: () => void): Promise<void> {
    if (this.#redis === null) {
      const redis = new Redis(redisOptions(this.#connection, 'worker'));
      this.#redis = redis;
      redis.on('error', this.#onError);
      redis.on('message', listener);
      // During a break nothing is reported: there may be room by now.
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
