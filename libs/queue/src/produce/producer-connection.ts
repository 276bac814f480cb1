/** A producer's connection: made and checked when it is first used, made anew after a failover, its errors explained. */
import { RequestError } from '@penstock/contract';
import { type Connection, redisOptions } from '../connection/address.ts';
import type { ConnectionError } from '../connection/connection-error.ts';
import { ErrorRelay } from '../connection/error-relay.ts';
import { explain } from '../connection/explain.ts';
import { againAfterFailover } from '../connection/failover.ts';
import { refusalOf } from '../connection/refusals.ts';
import { sever } from '../connection/sever.ts';
import type { OpenQueues } from './open-queues.ts';

/** Which queue, and who is notified of its errors. */
export interface WriteQueueOptions {
  connection: Connection;
  /** BullMQ's key prefix; its default unless given. */
  prefix?: string;
  /** Called when the connection breaks; it is made again by itself. Repetitions are left out. */
  onError?: (error: Error) => void;
}

export class ProducerConnection {
  readonly #options: WriteQueueOptions;
  readonly #errors: ErrorRelay;
  #queues: Promise<OpenQueues> | null = null;
  #closed = false;
  /** Why the connection is broken now; null while it is not. */
  #brokeBy: ConnectionError | null = null;

  /** @throws RequestError without a connection */
  constructor(o: WriteQueueOptions) {
    const connection: unknown = (o as WriteQueueOptions | null | undefined)?.connection;
    if (typeof connection !== 'object' || connection === null) {
      const accepted = 'where Redis is: {"url": "redis://host:6379"} or {"socketPath": "/path/redis.sock"}';
      throw new RequestError({ field: 'connection', value: connection, accepted });
    }
    this.#options = o;
    this.#errors = new ErrorRelay((error) => o.onError?.(error));
  }

  /** Connects, unless that is done. @throws ConnectionError */
  async open(): Promise<OpenQueues> {
    if (this.#closed) throw new Error('the queue was closed');
    this.#queues ??= this.#connect();
    try {
      return await this.#queues;
    } catch (error) {
      this.#queues = null; // the next call tries again
      throw error;
    }
  }

  /** What `act` comes to, also over a failover. @throws its error, explained if the connection is the cause */
  async use<T>(act: (queues: OpenQueues) => Promise<T>): Promise<T> {
    const queues = await this.open();
    try {
      return await againAfterFailover(() => act(queues));
    } catch (error) {
      throw this.explained(error);
    }
  }

  /** The error of a command that was given up names only the tries: the connection's own error has the reason. */
  explained(error: unknown): unknown {
    const explained = explain(error, this.#options.connection);
    if (explained === null || refusalOf(error) !== null) return explained ?? error;
    return this.#brokeBy ?? explained;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const queues = await this.#queues?.catch(() => null);
    await queues?.close();
  }

  async #connect(): Promise<OpenQueues> {
    const { connection, prefix } = this.#options;
    // BullMQ is by far the largest part of the client: a program that imports it and adds no job is not to load it.
    const [{ Redis }, { checkRedis }, queues] = await Promise.all([
      import('ioredis'),
      import('../connection/check.ts'),
      import('./open-queues.ts'),
    ]);
    await checkRedis(connection, undefined, prefix);
    const redis = new Redis(redisOptions(connection));
    redis.on('error', (error) => {
      this.#brokeBy = explain(error, connection);
      this.#report(error);
    });
    redis.on('ready', () => {
      this.#brokeBy = null;
    });
    try {
      return await queues.OpenQueues.open({ redis, connection, prefix, onError: (error) => this.#report(error) });
    } catch (error) {
      sever(redis);
      throw this.explained(error);
    }
  }

  #report(error: unknown): void {
    if (!this.#closed) this.#errors.report(explain(error, this.#options.connection) ?? error);
  }
}
