/**
 * All watches of one queue. One stream of events serves them; each watch begins with the job's state, read together with
 * the stream's position in one transaction, so that nothing is missed or reported twice.
 */
import { QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { type Connection, redisOptions } from '../connection/address.ts';
import { within } from '../connection/deadline.ts';
import { sever } from '../connection/sever.ts';
import { isProgress } from '../jobs/foreign.ts';
import { LostJobError, lostAmong } from '../jobs/lost-jobs.ts';
import { readSnapshot } from './snapshot.ts';
import { type JobEvent, Watch, type WatchEvent } from './watch.ts';

export interface WatchHubOptions {
  /** The queue whose jobs are watched. */
  queueName: string;
  connection: Connection;
  prefix?: string;
  /** For reading jobs; not closed by the hub. */
  redis: Redis;
  /** The Redis key of a part of the queue ('completed') or of a job (its id). */
  toKey: (part: string) => string;
  onError: (error: unknown) => void;
}

const RECHECK_AFTER_MS = 250;
const CLOSE_MS_MAX = 1000;

/** All watches of one queue. */
export class WatchHub {
  readonly #options: WatchHubOptions;
  readonly #watches = new Map<string, Set<Watch>>();
  readonly #aborts = new Map<AbortSignal, { watches: Set<Watch>; listener: () => void }>();
  #events: Promise<QueueEvents> | null = null;
  #closed = false;
  #rechecking = false;

  constructor(o: WatchHubOptions) {
    this.#options = o;
  }

  /** Follows a job to its end. @throws UnknownJobError, LostJobError; the signal's reason */
  async *watch(jobId: string, signal?: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    signal?.throwIfAborted();
    const { queueName, redis, toKey } = this.#options;
    const watch = new Watch(jobId);
    this.#add(watch, signal);
    try {
      await this.#listen();
      const snapshot = await readSnapshot(redis, toKey, jobId);
      if (snapshot.state === 'waiting') {
        const lost = await lostAmong(redis, toKey, [jobId]);
        if (lost.length > 0) throw new LostJobError(jobId, queueName);
      }
      watch.adopt(snapshot);
      yield* watch.follow();
    } finally {
      this.#remove(watch, signal);
    }
  }

  /** Ends all watches; they reject. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const watch of this.#all()) watch.fail(new Error('the queue was closed'));
    const events = await this.#events?.catch(() => null);
    if (events == null) return;
    const client = await events.getBackend().client;
    const closed = events.close();
    sever(client);
    await within(CLOSE_MS_MAX, closed);
  }

  #all(): Watch[] {
    return [...this.#watches.values()].flatMap((watches) => Array.from(watches));
  }

  #add(watch: Watch, signal: AbortSignal | undefined): void {
    if (this.#closed) throw new Error('the queue was closed');
    const watches = this.#watches.get(watch.jobId) ?? new Set();
    this.#watches.set(watch.jobId, watches.add(watch));
    if (signal === undefined) return;
    // One listener per signal: a thousand watches under one signal are no leak.
    const known = this.#aborts.get(signal);
    if (known !== undefined) {
      known.watches.add(watch);
      return;
    }
    const aborted = new Set([watch]);
    const listener = (): void => {
      for (const each of aborted) each.fail(signal.reason);
    };
    this.#aborts.set(signal, { watches: aborted, listener });
    signal.addEventListener('abort', listener, { once: true });
  }

  #remove(watch: Watch, signal: AbortSignal | undefined): void {
    const watches = this.#watches.get(watch.jobId);
    watches?.delete(watch);
    if (watches?.size === 0) this.#watches.delete(watch.jobId);
    const known = signal === undefined ? undefined : this.#aborts.get(signal);
    if (signal === undefined || known === undefined) return;
    known.watches.delete(watch);
    if (known.watches.size > 0) return;
    signal.removeEventListener('abort', known.listener);
    this.#aborts.delete(signal);
  }

  async #listen(): Promise<void> {
    this.#events ??= this.#open();
    try {
      await this.#events;
    } catch (error) {
      this.#events = null; // the next watch tries again
      throw error;
    }
  }

  async #open(): Promise<QueueEvents> {
    const { queueName, connection, prefix, redis, toKey } = this.#options;
    // From a known position on: '$' would be where the stream is after a reconnect, with a gap before it.
    const newest = await redis.xrevrange(toKey('events'), '+', '-', 'COUNT', 1);
    const events = new QueueEvents(queueName, {
      connection: redisOptions(connection, 'worker'),
      ...(prefix === undefined ? {} : { prefix }),
      lastEventId: newest[0]?.[0] ?? '0-0',
    });
    events.on('error', (error) => this.#options.onError(error));
    events.on('waiting', ({ jobId, prev }, at) => this.#apply(jobId, at, { name: 'waiting', prev }));
    events.on('active', ({ jobId }, at) => this.#apply(jobId, at, { name: 'active' }));
    events.on('delayed', ({ jobId, delay }, at) => this.#apply(jobId, at, { name: 'delayed', until: delay }));
    events.on('progress', ({ jobId, data }, at) => {
      if (isProgress(data)) this.#apply(jobId, at, { name: 'progress', progress: data });
    });
    // Typed as text; QueueEvents has parsed it.
    events.on('completed', ({ jobId, returnvalue }, at) => this.#apply(jobId, at, { name: 'completed', returnvalue }));
    events.on('failed', ({ jobId, failedReason }, at) => this.#apply(jobId, at, { name: 'failed', failedReason }));
    events.on('removed', ({ jobId }, at) => this.#apply(jobId, at, { name: 'removed' }));
    await events.waitUntilReady();
    // From now on it is ready again only after a break, in which the stream may have lost its beginning.
    events.getBackend().on('ready', () => void this.#recheck());
    return events;
  }

  #apply(jobId: string, at: string, event: JobEvent): void {
    for (const watch of this.#watches.get(jobId) ?? []) watch.apply(at, event);
  }

  /** Reads every watched job again; after a failure, again a little later. */
  async #recheck(): Promise<void> {
    if (this.#rechecking) return;
    this.#rechecking = true;
    const { redis, toKey } = this.#options;
    try {
      await Promise.all(
        this.#all().map(async (watch) => {
          const { position } = watch;
          const snapshot = await readSnapshot(redis, toKey, watch.jobId);
          // If an event came meanwhile, the watch follows the stream again and the snapshot is older.
          if (watch.position === position) watch.adopt(snapshot);
        }),
      );
      this.#rechecking = false;
    } catch (error) {
      this.#rechecking = false;
      this.#options.onError(error);
      if (!this.#closed) setTimeout(() => void this.#recheck(), RECHECK_AFTER_MS).unref();
    }
  }
}
