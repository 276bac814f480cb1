// Following jobs to their end. One stream of events serves all watches of a queue; each watch begins with the job's
// state, read together with the stream's position in one transaction, so that nothing is missed or told twice.
import {
  type JobResult,
  type WireError,
  WriteAbortedError,
  type WriteProgress,
  parseCancelMessage,
  toWire,
} from '@penstock/contract';
import { QueueEvents } from 'bullmq';
import type { Redis } from 'ioredis';
import { redisOptions, sever, type Connection } from '../connection/check.ts';
import { within } from '../connection/deadline.ts';
import { foreignResult, isJobResult, isProgress } from '../jobs/foreign.ts';
import { LostJobError, lostAmong } from '../jobs/lost-jobs.ts';
import { queueNameOf } from '../names.ts';

/** What is told of a job that is followed. */
export type WatchEvent =
  /**
   * It waits in the queue. With a note it was begun, and waits for what somebody else must end, such as a full disk; the
   * attempt does not count, and it is tried again after `delayMs`.
   */
  | { type: 'waiting'; note?: string; delayMs?: number }
  | { type: 'active' }
  | { type: 'progress'; progress: WriteProgress }
  /** An attempt failed, and another will be made. `attempt` is the one that failed, 1 for the first. */
  | { type: 'retrying'; error: WireError; attempt: number; delayMs: number }
  | { type: 'completed'; result: JobResult }
  /**
   * It failed for good. A cancelled one has the error code ECANCELED, and `by` and `why` tell who and why; one that a
   * worker of another program has completed has EFOREIGNRESULT.
   */
  | { type: 'failed'; error: WireError; attemptsMade: number };

/** There is no such job, or there is none any more. */
export class UnknownJobError extends Error {
  override readonly name: string = 'UnknownJobError';
  readonly code = 'ENOJOB';
  readonly retryable = false;
  readonly jobId: string;

  constructor(jobId: string, message: string) {
    super(message);
    this.jobId = jobId;
  }
}

export interface WatchHubOptions {
  /** The queue whose jobs are watched. */
  queueName: string;
  connection: Connection;
  prefix?: string;
  /** For looking at jobs; not closed by the hub. */
  redis: Redis;
  /** The Redis key of a part of the queue ('completed') or of a job (its id). */
  toKey: (part: string) => string;
  onError: (error: unknown) => void;
}

const recheckAfterMs = 250;
const closeMsMax = 1000;

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

  async *watch(jobId: string, signal?: AbortSignal): AsyncGenerator<WatchEvent, void, undefined> {
    signal?.throwIfAborted();
    const watch = new Watch(jobId);
    this.#add(watch, signal);
    try {
      await this.#listen();
      const sight = await this.#look(jobId);
      if (sight.state === 'waiting' && (await this.#isLost(jobId)))
        throw new LostJobError(jobId, this.#options.queueName);
      watch.adopt(sight);
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
    await within(closeMsMax, closed);
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
    events.on('waiting', ({ jobId, prev }, at) => this.#tell(jobId, at, { name: 'waiting', prev }));
    events.on('active', ({ jobId }, at) => this.#tell(jobId, at, { name: 'active' }));
    events.on('delayed', ({ jobId, delay }, at) => this.#tell(jobId, at, { name: 'delayed', until: delay }));
    events.on('progress', ({ jobId, data }, at) => {
      if (isProgress(data)) this.#tell(jobId, at, { name: 'progress', progress: data });
    });
    // Typed as text; QueueEvents has parsed it.
    events.on('completed', ({ jobId, returnvalue }, at) => this.#tell(jobId, at, { name: 'completed', returnvalue }));
    events.on('failed', ({ jobId, failedReason }, at) => this.#tell(jobId, at, { name: 'failed', failedReason }));
    events.on('removed', ({ jobId }, at) => this.#tell(jobId, at, { name: 'removed' }));
    await events.waitUntilReady();
    // From now on it is ready again only after a break, in which the stream may have lost its beginning.
    events.getBackend().on('ready', () => void this.#recheck());
    return events;
  }

  async #isLost(jobId: string): Promise<boolean> {
    const { redis, toKey } = this.#options;
    return (await lostAmong(redis, toKey, [jobId])).length > 0;
  }

  #tell(jobId: string, at: string, event: JobEvent): void {
    for (const watch of this.#watches.get(jobId) ?? []) watch.apply(at, event);
  }

  async #recheck(): Promise<void> {
    if (this.#rechecking) return;
    this.#rechecking = true;
    try {
      await Promise.all(
        this.#all().map(async (watch) => {
          const { position } = watch;
          const found = await this.#look(watch.jobId);
          // Told something meanwhile, it has its place in the stream, and needs no other.
          if (watch.position === position) watch.adopt(found);
        }),
      );
      this.#rechecking = false;
    } catch (error) {
      this.#rechecking = false;
      this.#options.onError(error);
      if (!this.#closed) setTimeout(() => void this.#recheck(), recheckAfterMs).unref();
    }
  }

  async #look(jobId: string): Promise<Sight> {
    const { redis, toKey } = this.#options;
    const replies = await redis
      .multi()
      .xrevrange(toKey('events'), '+', '-', 'COUNT', 1)
      .hgetall(toKey(jobId))
      .zscore(toKey('completed'), jobId)
      .zscore(toKey('failed'), jobId)
      .zscore(toKey('delayed'), jobId)
      .lpos(toKey('active'), jobId)
      .exec();
    const [newest, job, completed, failed, delayed, active] = (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    });
    return {
      at: positionIn(newest),
      job: recordOf(job),
      state: completed != null ? 'completed' : failed != null ? 'failed' : active != null ? 'active' : 'waiting',
      // BullMQ keeps the time in the upper bits of the score, above a counter of 12 bits.
      delayedUntil: typeof delayed === 'string' ? Math.floor(Number(delayed) / 4096) : null,
    };
  }
}

type JobEvent =
  | { name: 'waiting'; prev: string | undefined }
  | { name: 'active' }
  | { name: 'delayed'; until: number }
  | { name: 'progress'; progress: WriteProgress }
  | { name: 'completed'; returnvalue: unknown }
  | { name: 'failed'; failedReason: string }
  | { name: 'removed' };

/** A job as it was at one position of the stream. */
interface Sight {
  at: string;
  /** The job's hash; empty if there is no job. */
  job: Record<string, string>;
  state: 'waiting' | 'active' | 'completed' | 'failed';
  /** Milliseconds since 1970, or null. */
  delayedUntil: number | null;
}

class Watch {
  readonly jobId: string;
  /** The position of the stream up to which everything is known; null before the first sight. */
  position: string | null = null;
  /** What came before the first sight. */
  readonly #early: { at: string; event: JobEvent }[] = [];
  #state: 'waiting' | 'active' | null = null;
  #attemptsMade = 0;
  /** Why the attempt under way failed, once that is known: it precedes the job's move out of 'active'. */
  #error: WireError | null = null;
  /** What it waited for when it was last heard of; counts if it is put off next. */
  #note: string | undefined;

  readonly #ready: WatchEvent[] = [];
  #ended = false;
  #failure: { reason: unknown } | null = null;
  #wake: () => void = () => {};

  constructor(jobId: string) {
    this.jobId = jobId;
  }

  /** Yields until the job has ended; rejects if the watch cannot go on. */
  async *follow(): AsyncGenerator<WatchEvent, void, undefined> {
    for (;;) {
      const event = this.#ready.shift();
      if (event !== undefined) {
        yield event;
      } else if (this.#failure !== null) {
        throw this.#failure.reason;
      } else if (this.#ended) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }

  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#wake();
  }

  /** Takes the job as it was seen; what the stream tells of before is known from then on. */
  adopt(sight: Sight): void {
    if (this.#ended) return;
    const first = this.position === null;
    this.position = sight.at; // further back than before, if Redis came back without its latest
    if (Object.keys(sight.job).length === 0) {
      this.fail(first ? unknown(this.jobId) : vanished(this.jobId));
      return;
    }
    this.#adoptState(sight);
    for (const { at, event } of this.#early.splice(0)) this.apply(at, event);
  }

  #adoptState({ at, job, state, delayedUntil }: Sight): void {
    const progress = parse(job['progress']);
    this.#attemptsMade = Number(job['atm'] ?? 0);
    this.#error = isProgress(progress) ? (progress.error ?? null) : null;
    this.#note = isProgress(progress) ? noteOf(progress) : undefined;
    if (state === 'completed') {
      this.#endCompleted(parse(job['returnvalue']));
    } else if (state === 'failed') {
      this.#endFailed(job['failedReason'] ?? '', this.#attemptsMade);
    } else {
      if (delayedUntil !== null && this.#error !== null) this.#retrying(delayedUntil - timeOf(at), this.#attemptsMade);
      else if (delayedUntil !== null) this.#putOff(delayedUntil - timeOf(at));
      this.#enter(state);
      if (state === 'active' && isProgress(progress)) this.#push({ type: 'progress', progress });
    }
  }

  apply(at: string, event: JobEvent): void {
    if (this.position === null) {
      this.#early.push({ at, event });
      return;
    }
    if (this.#ended || !isAfter(at, this.position)) return;
    this.position = at;
    switch (event.name) {
      case 'active':
        this.#error = null;
        this.#note = undefined;
        this.#enter('active');
        break;
      case 'progress':
        this.#error = event.progress.error ?? null;
        this.#note = noteOf(event.progress);
        this.#push({ type: 'progress', progress: event.progress });
        break;
      case 'delayed':
        if (this.#error === null) this.#putOff(event.until - timeOf(at));
        this.#leftActive(event.until - timeOf(at));
        break;
      case 'waiting':
        if (event.prev === 'active') this.#leftActive(0);
        else this.#enter('waiting');
        break;
      case 'completed':
        this.#endCompleted(event.returnvalue);
        break;
      case 'failed':
        this.#endFailed(event.failedReason, this.#attemptsMade + 1);
        break;
      case 'removed':
        this.fail(vanished(this.jobId));
        break;
    }
  }

  /** Without an error of its attempt it was put back: by a shutdown, or because it stalled. */
  #leftActive(delayMs: number): void {
    if (this.#error !== null) {
      this.#attemptsMade += 1;
      this.#retrying(delayMs, this.#attemptsMade);
    }
    this.#enter('waiting');
  }

  /** It waits for something, if it said so. */
  #putOff(delayMs: number): void {
    if (this.#note === undefined) return;
    this.#state = 'waiting';
    this.#push({ type: 'waiting', note: this.#note, delayMs: Math.max(0, delayMs) });
    this.#note = undefined;
  }

  #retrying(delayMs: number, attempt: number): void {
    if (this.#error === null) return;
    this.#push({ type: 'retrying', error: this.#error, attempt, delayMs: Math.max(0, delayMs) });
    this.#error = null;
  }

  #enter(state: 'waiting' | 'active'): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#push({ type: state });
  }

  #endCompleted(returned: unknown): void {
    if (isJobResult(returned)) this.#end({ type: 'completed', result: returned });
    else {
      const error = foreignResult(this.jobId, returned);
      this.#end({ type: 'failed', error, attemptsMade: this.#attemptsMade + 1 });
    }
  }

  #endFailed(failedReason: string, attemptsMade: number): void {
    const error = this.#error?.message === failedReason ? this.#error : errorOf(failedReason);
    this.#end({ type: 'failed', error, attemptsMade });
  }

  #end(event: WatchEvent): void {
    this.#push(event);
    this.#ended = true;
  }

  #push(event: WatchEvent): void {
    const last = this.#ready.at(-1);
    // A slow reader gets the newest progress, not all there was; one that tells of an error is always told.
    if (event.type === 'progress' && last?.type === 'progress' && last.progress.error === undefined) this.#ready.pop();
    this.#ready.push(event);
    this.#wake();
  }
}

/** The error of a job that is not there. */
export function unknown(jobId: string): UnknownJobError {
  return new UnknownJobError(
    jobId,
    `There is no job '${jobId}' in the queue '${queueNameOf(jobId)}': there never was, or it ended and was not kept.`,
  );
}

function vanished(jobId: string): UnknownJobError {
  return new UnknownJobError(jobId, `Job '${jobId}' is gone: it was removed from the queue '${queueNameOf(jobId)}'.`);
}

/** The error of a job whose failure BullMQ itself recorded, or another program's worker. */
function errorOf(failedReason: string): WireError {
  const cancelled = parseCancelMessage(failedReason);
  if (cancelled !== null) return toWire(new WriteAbortedError('cancel', { cancelled }));
  if (failedReason.startsWith('job stalled')) {
    return {
      name: 'StalledError',
      message: 'Host after host died, or lost Redis, while it worked on this job.',
      code: 'ESTALLED',
      hint: "Look at the hosts' logs at the times of its attempts before it is added again.",
      retryable: false,
    };
  }
  const shard = /^child (\S+) failed$/.exec(failedReason)?.[1];
  if (shard !== undefined) {
    const id = shard.slice(shard.lastIndexOf(':') + 1);
    return {
      name: 'ShardError',
      message: `Job ${id}, which this one waited for, failed for good.`,
      code: 'ESHARD',
      hint: `Look at why: penstock watch ${id}`,
      retryable: false,
    };
  }
  return { name: 'Error', message: failedReason, code: 'EUNKNOWN', retryable: false };
}

const noteOf = ({ phase, note }: WriteProgress): string | undefined => (phase === 'waiting' ? note : undefined);

function parse(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
}

function recordOf(reply: unknown): Record<string, string> {
  if (typeof reply !== 'object' || reply === null) return {};
  return Object.fromEntries(Object.entries(reply).map(([key, value]) => [key, String(value)]));
}

/** The id of the one entry in a reply of XREVRANGE. */
function positionIn(reply: unknown): string {
  const entry: unknown = Array.isArray(reply) ? reply[0] : undefined;
  return Array.isArray(entry) ? String(entry[0]) : '0-0';
}

/** Stream ids are `<milliseconds>-<number>`. */
function isAfter(one: string, other: string): boolean {
  const [oneMs = 0, oneNumber = 0] = one.split('-').map(Number);
  const [otherMs = 0, otherNumber = 0] = other.split('-').map(Number);
  return oneMs > otherMs || (oneMs === otherMs && oneNumber > otherNumber);
}

function timeOf(id: string): number {
  return Number(id.split('-')[0]);
}
