/** Sends orders: records each with its job, and has the relay carry it to the host that runs the job. */
import { randomBytes } from 'node:crypto';
import { type Cancellation, RequestError, WriteAbortedError, cancelMessage } from '@penstock/contract';
import { type Queue, RedisRelayBackend, UnrecoverableError } from 'bullmq';
import type { Redis } from 'ioredis';
import { mendJob } from '../jobs/broken-jobs.ts';
import { isJobId, KEEP_FAILED } from '../names.ts';
import { ORDER_KEYS, ORDER_SCRIPT, TAKE_BACK_SCRIPT } from './order-script.ts';
import { sweepAfter } from './leftovers.ts';
import { LATER_STARTS_FIELD } from '../jobs/starts.ts';
import { JOB_TOPIC, LIMITS_KEY, LIMITS_TOPIC, RELAY_NAMESPACE, type Order, limitField, parseOrder } from './order.ts';
import { JobEndedError, UnknownJobError, unknown } from '../jobs/job-errors.ts';

/** Where a job stood when it was steered. */
export type SteeredState = 'waiting' | 'prioritized' | 'delayed' | 'waiting-children' | 'active';

interface Steered {
  state: SteeredState;
  /** The orders to a job that is now active under the caller's token, which must fail it; null for any other job. */
  taken: Order | null;
}

type Verb = 'cancel' | 'pause' | 'resume' | 'limit';

/** For so long a job belongs to the client that cancels it; a worker that takes it after that reads the order. */
const CANCEL_LOCK_MS = 30_000;
/** A paused job that no host runs is delayed by this much: ten years, which the scores of the queue still hold exactly. */
const PARKED_MS = 315_360_000_000;
const BY_CHARACTERS_MAX = 200;
const WHY_CHARACTERS_MAX = 1000;
const MESSAGE_BYTES_MAX = 65_536;

export class OrderSender {
  readonly #redis: Redis;
  readonly #queue: Queue;
  readonly #prefix: string | undefined;
  #sender: Promise<RedisRelayBackend> | null = null;

  /** @param redis not closed by it */
  constructor(redis: Redis, queue: Queue, prefix: string | undefined) {
    this.#redis = redis;
    this.#queue = queue;
    this.#prefix = prefix;
  }

  async cancel(id: string, cancellation: Cancellation): Promise<SteeredState> {
    assertText('by', cancellation.by, 1, BY_CHARACTERS_MAX);
    assertText('why', cancellation.why ?? '', 0, WHY_CHARACTERS_MAX);
    const { by, why } = cancellation;
    const said = { by, ...(why === undefined || why === '' ? {} : { why }) };
    const token = `cancel-${randomBytes(12).toString('hex')}`;
    const { state, taken } = await this.#send(id, 'cancel', JSON.stringify(said), token);
    if (taken !== null) await this.#fail(id, taken, said, token);
    return state;
  }

  async pause(id: string): Promise<SteeredState> {
    return (await this.#send(id, 'pause', '')).state;
  }

  async resume(id: string): Promise<SteeredState> {
    return (await this.#send(id, 'resume', '')).state;
  }

  async limit(id: string, bytesPerSecond: number): Promise<SteeredState> {
    assertRate(bytesPerSecond);
    return (await this.#send(id, 'limit', String(bytesPerSecond))).state;
  }

  /**
   * Takes back what ended or held a job that has failed, before it is put in line again; its limit stays. Hosts that have kept
   * the order for a job which might still come to them learn of it too. Of a job that has not failed any more, or is gone,
   * nothing is changed.
   */
  async takeBack(id: string): Promise<void> {
    const keys = [id, 'failed'].map((part) => this.#queue.toKey(part));
    const steer = (await this.#redis.eval(TAKE_BACK_SCRIPT, keys.length, ...keys, id)) as string | null;
    if (steer !== null) await this.#publish(JOB_TOPIC, { id, steer });
  }

  /** null: the host's own settings apply again. */
  limitHost(host: string, bytesPerSecond: number | null): Promise<void> {
    assertText('host', host, 1, BY_CHARACTERS_MAX);
    return this.#limit(limitField.host(host), bytesPerSecond);
  }

  /** Without `host`: on every host that has this root, each for itself. */
  limitRoot(root: string, bytesPerSecond: number | null, host?: string): Promise<void> {
    assertText('root', root, 1, BY_CHARACTERS_MAX);
    return this.#limit(limitField.root(root, host), bytesPerSecond);
  }

  async #limit(field: string, bytesPerSecond: number | null): Promise<void> {
    const key = this.#queue.toKey(LIMITS_KEY);
    if (bytesPerSecond === null) {
      await this.#redis.hdel(key, field);
    } else {
      assertRate(bytesPerSecond);
      await this.#redis.hset(key, field, String(bytesPerSecond));
    }
    await this.#publish(LIMITS_TOPIC, field);
  }

  async #send(id: string, verb: Verb, argument: string, token = ''): Promise<Steered> {
    if (!isJobId(id)) throw unknown(id);
    const keys = [id, ...ORDER_KEYS].map((part) => this.#queue.toKey(part));
    const now = Date.now();
    const args = [id, verb, argument, now, now + PARKED_MS, token, CANCEL_LOCK_MS];
    const evaluate = (): Promise<unknown> => this.#redis.eval(ORDER_SCRIPT, keys.length, ...keys, ...args);
    const reply = (await this.#readable(id, evaluate)) as string[];
    const [outcome, state = '', order = '', taken = ''] = reply;
    if (outcome === 'unknown') throw unknown(id);
    if (outcome === 'ended') throw new JobEndedError(id, state as JobEndedError['state']);
    // Also if no host has it: one may take it at this moment.
    if (taken === '') await this.#publish(JOB_TOPIC, { id, steer: order });
    return { state: state as SteeredState, taken: taken === '' ? null : parseOrder(order) };
  }

  /** No worker can take the job: it ends as if a worker had failed it, with all that BullMQ does then. */
  async #fail(id: string, order: Order, said: Cancellation, token: string): Promise<void> {
    // Beforehand: the script that ends a job that cannot be read stops halfway, with the job in no list.
    await mendJob(this.#redis, this.#queue.toKey(id));
    const job = await this.#queue.getJob(id);
    if (job === undefined) throw new UnknownJobError(id, `Job '${id}' was removed while it was cancelled.`);
    const later = await this.#redis.hget(this.#queue.toKey(id), LATER_STARTS_FIELD);
    job.opts.removeOnFail ??= KEEP_FAILED; // as a host does for producers that leave it open
    const error = new UnrecoverableError(cancelMessage(said));
    error.stack = new WriteAbortedError('cancel', { cancelled: said }).message; // the stack of this client is not about the job
    try {
      await job.moveToFailed(error, token, false);
    } catch (refusal) {
      // Sent twice over a broken connection: the second is refused, for the first has failed the job.
      if (!(await job.isFailed())) throw refusal;
    }
    await sweepAfter(job, order, Number(later ?? 0) + 1, { redis: this.#redis, prefix: this.#prefix });
  }

  /** Resolves with what `act` does. A job that cannot be read is mended first, and `act` called again. */
  async #readable<T>(id: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!(await mendJob(this.#redis, this.#queue.toKey(id)))) throw error;
      return act();
    }
  }

  async #publish(topic: string, data: unknown): Promise<void> {
    this.#sender ??= this.#openSender();
    const sender = await this.#sender;
    await sender.publish(topic, JSON.stringify(data), {
      ts: Date.now(),
      retainMs: 0,
      maxSize: MESSAGE_BYTES_MAX,
    });
  }

  /** The sending half of a Relay: a client that only sends needs no inbox, and no connection of its own. */
  async #openSender(): Promise<RedisRelayBackend> {
    const sender = new RedisRelayBackend({
      connection: this.#redis,
      namespace: RELAY_NAMESPACE,
      ...(this.#prefix === undefined ? {} : { prefix: this.#prefix }),
    });
    sender.on('error', () => {}); // the commands reject with it
    try {
      await sender.waitUntilReady();
      return sender;
    } catch (error) {
      this.#sender = null; // the next order tries again
      throw error;
    }
  }
}

function assertText(field: string, value: string, min: number, max: number): void {
  if (typeof value === 'string' && value.length >= min && value.length <= max) return;
  throw new RequestError({ field, value, accepted: `a text of ${min} to ${max} characters` });
}

function assertRate(bytesPerSecond: number): void {
  if (Number.isSafeInteger(bytesPerSecond) && bytesPerSecond >= 0) return;
  const accepted = 'whole bytes a second; 0 is no limit';
  throw new RequestError({ field: 'bytesPerSecond', value: bytesPerSecond, accepted });
}
