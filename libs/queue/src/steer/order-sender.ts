/** Sends orders: records each with its job, and has the relay carry it to the host that runs the job. */
import { randomBytes } from 'node:crypto';
import { type Cancellation, RequestError, WriteAbortedError, cancelMessage } from '@penstock/contract';
import { type Queue, RedisRelayBackend, UnrecoverableError } from 'bullmq';
import type { Redis } from 'ioredis';
import { mendJob } from '../jobs/broken-jobs.ts';
import { isJobId, KEEP_FAILED } from '../names.ts';
import { ORDER_KEYS, ORDER_SCRIPT } from './order-script.ts';
import { sweepAfter } from './leftovers.ts';
import { LATER_STARTS_FIELD } from '../jobs/starts.ts';
import { JOB_TOPIC, LIMITS_KEY, LIMITS_TOPIC, RELAY_NAMESPACE, type Order, limitField, parseOrder } from './order.ts';
import { JobEndedError, UnknownJobError, unknown } from '../jobs/job-errors.ts';

/** Where a job stood when it was steered. */
export type SteeredState = 'waiting' | 'prioritized' | 'delayed' | 'waiting-children' | 'active';

interface Steered {
  state: SteeredState;
  /** What a job was told that is now active under the caller's token, for it to fail it; null of any other. */
  taken: Order | null;
}

type Verb = 'cancel' | 'pause' | 'resume' | 'limit';

/** For so long a job that is being cancelled belongs to whoever cancels it; whoever takes it after that cancels it. */
const CANCEL_LOCK_MS = 30_000;
/** A paused job that nobody runs is delayed until then: ten years, which the queue's scores still tell exactly. */
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

  /** null: what the host's own settings say holds again. */
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
    // Also where no host has it: one may take it at this moment.
    if (taken === '') await this.#publish(JOB_TOPIC, { id, steer: order });
    return { state: state as SteeredState, taken: taken === '' ? null : parseOrder(order) };
  }

  /** The job is out of every worker's reach: it ends as one that a worker failed, with all that BullMQ does then. */
  async #fail(id: string, order: Order, said: Cancellation, token: string): Promise<void> {
    // Beforehand: the script that ends it would stop halfway, with the job in no line.
    await mendJob(this.#redis, this.#queue.toKey(id));
    const job = await this.#queue.getJob(id);
    if (job === undefined) throw new UnknownJobError(id, `Job '${id}' was removed while it was cancelled.`);
    const later = await this.#redis.hget(this.#queue.toKey(id), LATER_STARTS_FIELD);
    job.opts.removeOnFail ??= KEEP_FAILED; // as a host does for producers that say nothing of it
    const error = new UnrecoverableError(cancelMessage(said));
    error.stack = new WriteAbortedError('cancel', { cancelled: said }).message; // our own stack tells nobody anything
    try {
      await job.moveToFailed(error, token, false);
    } catch (refusal) {
      // Sent twice over a broken connection, the second is refused: the first has done it.
      if (!(await job.isFailed())) throw refusal;
    }
    await sweepAfter(job, order, Number(later ?? 0) + 1, { redis: this.#redis, prefix: this.#prefix });
  }

  /** What `act` comes to, also of a job that cannot be read: that is mended then, and it acts again. */
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

  /** The sending half of a Relay: what only sends needs no inbox, and no connection of its own. */
  async #openSender(): Promise<RedisRelayBackend> {
    const sender = new RedisRelayBackend({
      connection: this.#redis,
      namespace: RELAY_NAMESPACE,
      ...(this.#prefix === undefined ? {} : { prefix: this.#prefix }),
    });
    sender.on('error', () => {}); // the commands themselves say so
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
