/** The producer's side of the queue: adds jobs, follows them and steers them. */
import { randomBytes } from 'node:crypto';
import {
  type Cancellation,
  type JobRequest,
  type JobRequestInput,
  type JobResult,
  parseJob,
  parseSize,
  RequestError,
} from '@penstock/contract';
import { FlowProducer, Queue, type Job, type JobsOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { checkRedis, connected } from '../connection/check.ts';
import { explain } from '../connection/explain.ts';
import { redisOptions, type Connection } from '../connection/address.ts';
import { sever } from '../connection/sever.ts';
import type { ConnectionError } from '../connection/connection-error.ts';
import { brokenJob } from '../jobs/broken-jobs.ts';
import { type Capacity, CapacityScripts, type Held, type WhenFull } from '../capacity/scripts.ts';
import { CapacityGate, type WaitForRoom } from '../capacity/gate.ts';
import { ErrorRelay } from '../connection/error-relay.ts';
import { againAfterFailover } from '../connection/failover.ts';
import { type FlowIds, flowJobs, type FlowOptions, type WriteFlow } from './flow.ts';
import { assertId, assertList, optionsOf } from './given.ts';
import { FreedSubscription } from '../capacity/freed-subscription.ts';
import { type HostRecord, readHosts, registryKey } from '../host-registry.ts';
import { knownBytes } from './known-bytes.ts';
import { findLostJobs, type LostJobs } from '../jobs/lost-jobs.ts';
import {
  DEFAULT_PREFIX,
  defaultJobOptions,
  idForHost,
  isJobId,
  JOB_NAME,
  QUEUE_NAME,
  queueNameOf,
  queueOfHost,
} from '../names.ts';
import { refusalOf } from '../connection/refusals.ts';
import { listSchedules, type Repeat, type Schedule, upsertSchedule } from './schedule.ts';
import { standstillOf } from '../jobs/standstill.ts';
import { type SteeredState, OrderSender } from '../steer/order-sender.ts';
import { unknown } from '../jobs/job-errors.ts';
import { WatchHub } from '../watch/hub.ts';
import type { WatchEvent } from '../watch/watch.ts';
import { whoAsks } from './who-asks.ts';

/** Which queue, and who is told of its troubles. */
export interface WriteQueueOptions {
  connection: Connection;
  /** BullMQ's key prefix; its default unless given. */
  prefix?: string;
  /** Told when the connection breaks; it is made again by itself. Repetitions are left out. */
  onError?: (error: Error) => void;
}

/** BullMQ's options of a job, and how long to wait for room in a queue whose capacity is limited. */
export type AddOptions = JobsOptions & WaitForRoom;

/** Jobs in one round trip: so few that the last is answered in time, so many that the round trip does not matter. */
const bulkJobsMax = 1000;

/** A job of the queue, as BullMQ has it. */
export type WriteJob = Job<JobRequest, JobResult, typeof JOB_NAME>;

interface Opened {
  redis: Redis;
  flows: FlowProducer;
  capacity: CapacityScripts;
  gate: CapacityGate;
  /** By name; made when they are first used, all on one connection. */
  places: Map<string, Place>;
}

/** A queue and the watches of its jobs. */
interface Place {
  queue: Queue<JobRequest, JobResult, typeof JOB_NAME>;
  hub: WatchHub;
  orders: OrderSender;
}

/**
 * The producer's side of the queue: adds writes and follows them.
 *
 * It connects when it is first used. Every method rejects with ConnectionError, within seconds, if Redis cannot be
 * reached; a break in between is mended in silence if it is shorter than that.
 */
export class WriteQueue {
  readonly #options: WriteQueueOptions;
  readonly #errors: ErrorRelay;
  #opened: Promise<Opened> | null = null;
  #closed = false;
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

  /** Connects now, for those who want to know at once whether they can. */
  async connect(): Promise<void> {
    await this.#open();
  }

  /**
   * Adds a write, or a bulk of them as one job; resolves with its job's id when Redis has it. Rejects with RequestError
   * if the request cannot be carried out as it is. `options` are BullMQ's own and go before the defaults (three
   * attempts).
   *
   * Where the queue's capacity is limited (setCapacity) and the write does not fit, it rejects with CapacityError, or
   * waits for room, as the limit says: until `signal` is aborted or `waitMsMax` is over.
   *
   * A write for one host goes into that host's queue, and its id ends with "@" and the host's name.
   */
  async add(request: JobRequestInput, options?: AddOptions | null): Promise<string> {
    const [id = ''] = await this.addBulk([request], options);
    return id;
  }

  /** Adds many jobs; none if one of the requests is refused. The ids are in the order of the requests. */
  async addBulk(requests: readonly JobRequestInput[], options?: AddOptions | null): Promise<string[]> {
    assertList('requests', requests);
    const { signal, waitMsMax, ...jobOptions } = optionsOf(options);
    if (jobOptions.jobId !== undefined && requests.length > 1) {
      // BullMQ would add the first alone, and report all of them as added.
      const accepted = 'no id for several writes: each has one of its own';
      throw new RequestError({ field: 'jobId', value: jobOptions.jobId, accepted });
    }
    const jobs = requests.map((request, index): Added => {
      const data = requests.length === 1 ? parseJob(request) : parseNth(request, index);
      // An id of our own making, so that a command sent again after a break adds nothing twice.
      const jobId = idForHost(jobOptions.jobId ?? newJobId(), data.target?.host);
      return { name: JOB_NAME, data, opts: { ...jobOptions, jobId } };
    });
    return this.#use(async (opened) => {
      const limited = await opened.gate.isLimited();
      const held = limited ? await this.#admit(opened, jobs, { signal, waitMsMax }) : [];
      const ids: string[] = [];
      for (const [queueName, group] of groupByQueue(jobs)) {
        const { queue } = this.#place(opened, queueName);
        for (let start = 0; start < group.length; start += bulkJobsMax) {
          const part = group.slice(start, start + bulkJobsMax);
          // oxlint-disable-next-line no-await-in-loop -- one after the other, so that each is answered in time
          const added = await queue.addBulk(part.map(({ job }) => job));
          for (const [index, { id }] of added.entries()) ids[part[index]!.index] = id ?? '';
        }
      }
      // Deduplication: another job does what was asked for, and counts already.
      const unused = held.filter((_job, index) => ids[index] !== jobs[index]?.opts.jobId);
      if (unused.length > 0) await opened.capacity.release(unused.map(({ field }) => field));
      return ids;
    });
  }

  /** Counts the jobs against the capacity. Unknown sizes count as 0. */
  async #admit({ gate }: Opened, jobs: readonly Added[], wait: WaitForRoom): Promise<Held[]> {
    const held = jobs.map(({ data, opts }) => heldOf(opts.jobId, data));
    await gate.pass(held, wait);
    return held;
  }

  /**
   * Limits the bytes of all jobs that have not ended, in the queues of all hosts, as far as requests tell them; null
   * lifts the limit. Jobs that are there already count, also beyond it. Producers heed it within a second.
   */
  async setCapacity(capacity: { bytes: number | null; whenFull?: WhenFull }): Promise<void> {
    const { bytes, whenFull = 'reject' } = optionsOf(capacity);
    if (bytes === undefined || (bytes !== null && !(Number.isSafeInteger(bytes) && bytes >= 0))) {
      throw new RangeError(`a capacity of ${bytes} bytes is not accepted; give whole bytes from 0 on, or null`);
    }
    await this.#use(async (opened) => {
      await opened.capacity.set(bytes, whenFull);
      if (bytes !== null) await this.#countJobs(opened);
    });
  }

  /** The limit, and what of it is in use. */
  capacity(): Promise<Capacity> {
    return this.#use(async ({ capacity }) => {
      await capacity.sweep();
      return capacity.read();
    });
  }

  async #countJobs(opened: Opened): Promise<void> {
    const hosts = await this.#hostsOf(opened);
    for (const queueName of [QUEUE_NAME, ...hosts.map(({ name }) => queueOfHost(name))]) {
      const { queue } = this.#place(opened, queueName);
      for (let start = 0; ; start += bulkJobsMax) {
        // oxlint-disable-next-line no-await-in-loop -- a page at a time: there may be very many
        const page = await queue.getJobs([...UNENDED], start, start + bulkJobsMax - 1);
        const held = page.filter(Boolean).flatMap(({ id = '', data }) => heldIfJudged(queueName, id, data));
        // oxlint-disable-next-line no-await-in-loop
        if (held.length > 0) await opened.capacity.admit(held, true);
        if (page.length === 0) break;
      }
    }
  }

  /**
   * Adds many writes and a manifest that is written when all of them are done; all of these jobs, or none. `options` go
   * before the defaults, for every job of the flow. Where the queue's capacity is limited, all of them together have to
   * fit, as with add().
   */
  async addFlow(flow: WriteFlow, options?: (FlowOptions & WaitForRoom) | null): Promise<FlowIds> {
    const { signal, waitMsMax, ...jobOptions } = optionsOf(options);
    const { job, ids } = flowJobs(flow, newJobId(), jobOptions);
    return this.#use(async (opened) => {
      if (await opened.gate.isLimited()) {
        const jobs = [job, ...(job.children ?? [])].map(({ data, opts }) => heldOf(opts!.jobId!, data as JobRequest));
        await opened.gate.pass(jobs, { signal, waitMsMax });
      }
      await opened.flows.add(job);
      return ids;
    });
  }

  /**
   * Has a write added again and again, as `repeat` says; a schedule of the same name is changed. Resolves with the id of
   * the next job. The request stays the same each time: it replaces the same file, or appends to it.
   */
  schedule(
    name: string,
    repeat: Repeat,
    request: JobRequestInput,
    options?: Omit<JobsOptions, 'jobId' | 'repeat' | 'delay'> | null,
  ): Promise<string> {
    return this.#use((opened) => upsertSchedule(this.#anyHost(opened), name, repeat, request, optionsOf(options)));
  }

  /** Ends the schedule `name`, and takes its next job away; false if there is none. A job that runs goes on. */
  unschedule(name: string): Promise<boolean> {
    return this.#use((opened) => this.#anyHost(opened).removeJobScheduler(name));
  }

  /** The schedules that stand, the soonest first. */
  schedules(): Promise<Schedule[]> {
    return this.#use((opened) => listSchedules(this.#anyHost(opened)));
  }

  /**
   * Follows a job to its end, however long ago that was; then the iteration is over. It outlasts breaks of the
   * connection. Rejects with UnknownJobError if there is no such job, with the signal's reason when it is aborted.
   */
  async *watch(id: string, o?: { signal?: AbortSignal } | null): AsyncGenerator<WatchEvent, void, undefined> {
    assertId(id);
    const { signal } = optionsOf(o);
    const opened = await this.#open();
    if (!isJobId(id)) throw unknown(id);
    try {
      yield* this.#place(opened, queueNameOf(id)).hub.watch(id, signal);
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /**
   * Cancels a job, wherever it is. One that no host has begun is failed when this resolves; one that is written stops
   * within a second, and what was written of it is removed. Resolves with where it was, once the queue has the order.
   * Rejects with UnknownJobError, with JobEndedError if it has ended already. `by` is the user of this process and its
   * machine, unless `cancellation` says who else.
   */
  async cancel(id: string, cancellation?: Partial<Cancellation> | null): Promise<SteeredState> {
    const { by, ...said } = optionsOf(cancellation);
    const state = await this.#steer(id, (orders) => orders.cancel(id, { by: by ?? whoAsks(), ...said }));
    if (state !== 'active') await this.#use((opened) => this.#release(opened, id)); // else its host does
    return state;
  }

  async #release({ gate, capacity }: Opened, id: string): Promise<void> {
    if (await gate.isLimited()) await capacity.release([`${queueNameOf(id)}:${id}`]);
  }

  /**
   * Has a job wait until it is resumed, also on another host should its own end: a running write stops between two rows,
   * keeps its place and gives its row memory back; one that waits in the queue is not taken. Resolves and rejects as
   * `cancel`.
   */
  pause(id: string): Promise<SteeredState> {
    return this.#steer(id, (orders) => orders.pause(id));
  }

  /** Lets a paused job go on. Without effect on any other. Resolves and rejects as `cancel`. */
  resume(id: string): Promise<SteeredState> {
    return this.#steer(id, (orders) => orders.resume(id));
  }

  /**
   * Limits a job to so many bytes a second from now on; 0 lifts the limit, that of its request too. Resolves and rejects
   * as `cancel`; with RequestError if it is no rate.
   */
  limit(id: string, bytesPerSecond: number | string): Promise<SteeredState> {
    return this.#steer(id, (orders) => orders.limit(id, rateOf(bytesPerSecond)));
  }

  /**
   * Limits all that one host writes; 0 lifts the limit, null has the host's own settings hold again. It is kept in
   * the queue, for a host that starts later too.
   */
  limitHost(host: string, limit: { bytesPerSecond: number } | null): Promise<void> {
    return this.#steer('', (orders) => orders.limitHost(host, bytesOf(limit)));
  }

  /** Limits all that is written to a root, on each host that has it by itself, or on one. Else as `limitHost`. */
  limitRoot(root: string, limit: { bytesPerSecond: number } | null, host?: string): Promise<void> {
    return this.#steer('', (orders) => orders.limitRoot(root, bytesOf(limit), host));
  }

  /** How many workers take the writes of any host; with `host`, whether that one takes its own: 0 or 1. */
  workers(host?: string): Promise<number> {
    return this.#use((opened) => this.#place(opened, queueOfHost(host)).queue.getWorkersCount());
  }

  /**
   * Why no host takes anything from the queue of any host, or of `host`, though there are hosts: it is paused or
   * rate-limited. In words; null where it goes on.
   */
  standstill(host?: string): Promise<string | null> {
    return this.#use((opened) => {
      const queueName = queueOfHost(host);
      const { queue } = this.#place(opened, queueName);
      return standstillOf(opened.redis, queueName, (part) => queue.toKey(part));
    });
  }

  /** Jobs that stand in no line of the queue of any host, or of `host`, so that nobody ever takes them. Reads all keys. */
  lostJobs(host?: string): Promise<LostJobs> {
    return this.#use((opened) => {
      const { queue } = this.#place(opened, queueOfHost(host));
      return findLostJobs(opened.redis, (part) => queue.toKey(part));
    });
  }

  /** The hosts that were there in the last month, and when each was last. */
  hosts(): Promise<HostRecord[]> {
    return this.#use((opened) => this.#hostsOf(opened));
  }

  #hostsOf(opened: Opened): Promise<HostRecord[]> {
    const { queue } = this.#place(opened, QUEUE_NAME);
    const key = registryKey((part) => queue.toKey(part));
    return readHosts(opened.redis, key);
  }

  /**
   * BullMQ's own view of a job: state, logs, removal; null if there is none. Rejects with BrokenJobError if what Redis
   * has of it cannot be read.
   */
  job(id: string): Promise<WriteJob | null> {
    return this.#use(async (opened) => {
      assertId(id);
      if (!isJobId(id)) return null;
      const { queue } = this.#place(opened, queueNameOf(id));
      try {
        return (await queue.getJob(id)) ?? null;
      } catch (error) {
        throw (await brokenJob(opened.redis, queue.toKey(id), id)) ?? error;
      }
    });
  }

  /** Ends all watches and disconnects. */
  async close(): Promise<void> {
    this.#closed = true;
    const opened = await this.#opened?.catch(() => null);
    if (opened == null) return;
    opened.gate.close();
    const places = [...opened.places.values()];
    await Promise.all(places.map(({ hub }) => hub.close()));
    await opened.flows.close();
    await Promise.all(places.map(({ queue }) => queue.close()));
    sever(opened.redis);
  }

  async #steer<T>(id: string, act: (orders: OrderSender) => Promise<T>): Promise<T> {
    assertId(id);
    return this.#use((opened) => act(this.#place(opened, queueNameOf(id)).orders));
  }

  async #use<T>(act: (opened: Opened) => Promise<T>): Promise<T> {
    const opened = await this.#open();
    try {
      return await againAfterFailover(() => act(opened));
    } catch (error) {
      throw this.#explained(error);
    }
  }

  /** The error of a command that was given up names only the tries: the connection's own error has the reason. */
  #explained(error: unknown): unknown {
    const explained = explain(error, this.#options.connection);
    if (explained === null || refusalOf(error) !== null) return explained ?? error;
    return this.#brokeBy ?? explained;
  }

  async #open(): Promise<Opened> {
    if (this.#closed) throw new Error('the queue was closed');
    this.#opened ??= this.#connect();
    try {
      return await this.#opened;
    } catch (error) {
      this.#opened = null; // the next call tries again
      throw error;
    }
  }

  async #connect(): Promise<Opened> {
    const { connection, prefix } = this.#options;
    await checkRedis(connection, undefined, prefix);
    const redis = new Redis(redisOptions(connection));
    redis.on('error', (error) => {
      this.#brokeBy = explain(error, connection);
      this.#report(error);
    });
    redis.on('ready', () => {
      this.#brokeBy = null;
    });
    const flows = new FlowProducer({ connection: redis, ...(prefix === undefined ? {} : { prefix }) });
    flows.on('error', (error) => this.#report(error));
    const places = new Map<string, Place>();
    try {
      const { queue } = this.#place({ redis, places }, QUEUE_NAME);
      await connected(queue, connection);
      const client = await queue.getBackend().client;
      const capacity = new CapacityScripts(client, prefix ?? DEFAULT_PREFIX, (part) => queue.toKey(part));
      const channel = new FreedSubscription(connection, capacity.freed, (error) => this.#report(error));
      return { redis, flows, places, capacity, gate: new CapacityGate(capacity, channel) };
    } catch (error) {
      sever(redis);
      throw this.#explained(error);
    }
  }

  /** The queue that any host takes from. */
  #anyHost(opened: Opened): Queue {
    return this.#place(opened, QUEUE_NAME).queue as Queue;
  }

  #place({ redis, places }: Pick<Opened, 'redis' | 'places'>, queueName: string): Place {
    const known = places.get(queueName);
    if (known !== undefined) return known;
    const { connection, prefix } = this.#options;
    const queue = new Queue<JobRequest, JobResult, typeof JOB_NAME>(queueName, {
      connection: redis,
      ...(prefix === undefined ? {} : { prefix }),
      defaultJobOptions,
    });
    queue.on('error', (error) => this.#report(error));
    const hub = new WatchHub({
      queueName,
      connection,
      ...(prefix === undefined ? {} : { prefix }),
      redis,
      toKey: (part) => queue.toKey(part),
      onError: (error) => this.#report(error),
    });
    const place = { queue, hub, orders: new OrderSender(redis, queue, prefix) };
    places.set(queueName, place);
    return place;
  }

  #report(error: unknown): void {
    if (!this.#closed) this.#errors.report(explain(error, this.#options.connection) ?? error);
  }
}

/** Jobs that have not ended. */
const UNENDED = ['waiting', 'active', 'delayed', 'prioritized', 'waiting-children'] as const;

const heldOf = (jobId: string, request: JobRequest): Held => ({
  field: `${queueNameOf(jobId)}:${jobId}`,
  bytes: knownBytes(request),
});

/** What another program put there may be no request at all. */
function heldIfJudged(queueName: string, jobId: string, data: unknown): Held[] {
  try {
    return [{ field: `${queueName}:${jobId}`, bytes: knownBytes(parseJob(data)) }];
  } catch {
    return []; // the host that takes it refuses it
  }
}

type Added = { name: typeof JOB_NAME; data: JobRequest; opts: JobsOptions & { jobId: string } };

/** The jobs of each queue, with their places among all. */
function groupByQueue(jobs: readonly Added[]): Map<string, { job: Added; index: number }[]> {
  const groups = new Map<string, { job: Added; index: number }[]>();
  for (const [index, job] of jobs.entries()) {
    const queueName = queueNameOf(job.opts.jobId);
    const group = groups.get(queueName) ?? [];
    groups.set(queueName, group);
    group.push({ job, index });
  }
  return groups;
}

/** null lifts a limit; one without its rate is no limit. */
const bytesOf = (limit: { bytesPerSecond: number } | null): number | null =>
  limit === null ? null : (optionsOf(limit).bytesPerSecond as number);

/** A rate as a request's own limit takes it: a number, or a text like "100MiB". What is none of them is judged as it is. */
function rateOf(rate: number | string): number {
  try {
    return parseSize(rate);
  } catch {
    return rate as number;
  }
}

/** 64 random bits: short enough to be typed, and never met again. */
function newJobId(): string {
  return randomBytes(8).readBigUInt64BE().toString(36).padStart(13, '0');
}

function parseNth(request: JobRequestInput, index: number): JobRequest {
  try {
    return parseJob(request);
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
    const { field, value, accepted, message, issues } = error;
    throw new RequestError({ field, value, accepted, issues, message: `request ${index}: ${message}`, cause: error });
  }
}
