/** The producer's side of the queue: adds jobs, follows them, steers them, and asks how the queue is. */
import type { Cancellation, JobRequestInput } from '@penstock/contract';
import type { JobsOptions } from 'bullmq';
import type { WaitForRoom } from '../capacity/gate.ts';
import type { Capacity, WhenFull } from '../capacity/scripts.ts';
import type { HostRecord } from '../hosts/record.ts';
import { type JobDetails, readDetails } from '../inspect/details.ts';
import type { JobView } from '../inspect/job-view.ts';
import { type JobFilter, listJobs } from '../inspect/listing.ts';
import { type CleanOptions, cleanQueue, removeJob, retryJob } from '../inspect/tending.ts';
import { brokenJob } from '../jobs/broken-jobs.ts';
import { unknown } from '../jobs/job-errors.ts';
import { findLostJobs, type LostJobs } from '../jobs/lost-jobs.ts';
import { standstillOf } from '../jobs/standstill.ts';
import { isJobId, queueNameOf, queueOfHost } from '../names.ts';
import type { OrderSender, SteeredState } from '../steer/order-sender.ts';
import type { WatchEvent } from '../watch/watch.ts';
import { addJobs, jobsFor, newJobId } from './adding.ts';
import { admit, countAll, release } from './counting.ts';
import { type FlowIds, flowJobs, type FlowOptions, type WriteFlow } from './flow.ts';
import { assertAge, assertId, assertList, filterOf, limitOf, optionsOf, rateOf } from './given.ts';
import type { OpenQueue, OpenQueues, WriteJob } from './open-queues.ts';
import { ProducerConnection, type WriteQueueOptions } from './producer-connection.ts';
import { listSchedules, type Repeat, type Schedule, upsertSchedule } from './schedule.ts';
import { whoAsks } from './who-asks.ts';

/** BullMQ's options of a job, and how long to wait for room in a queue whose capacity is limited. */
export type AddOptions = JobsOptions & WaitForRoom;

/**
 * The producer's side of the queue: adds writes, follows them and steers them.
 *
 * It connects when it is first used. Every method rejects with ConnectionError, within seconds, if Redis cannot be
 * reached; a break in between is mended in silence if it is shorter than that.
 */
export class WriteQueue {
  readonly #connection: ProducerConnection;

  /** @throws RequestError without a connection */
  constructor(o: WriteQueueOptions) {
    this.#connection = new ProducerConnection(o);
  }

  /** Connects now, for callers that want to know at once whether they can. */
  async connect(): Promise<void> {
    await this.#connection.open();
  }

  /**
   * Adds a write, or a bulk of them as one job; resolves with its job's id when Redis has it. Rejects with RequestError
   * if the request cannot be carried out as it is. `options` are BullMQ's own and go before the defaults (three
   * attempts).
   *
   * If the queue's capacity is limited (setCapacity) and the write does not fit, it rejects with CapacityError, or waits
   * for room, as the limit says: until `signal` is aborted or `waitMsMax` is over.
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
    const jobs = jobsFor(requests, jobOptions);
    return this.#connection.use((queues) => addJobs(queues, jobs, { signal, waitMsMax }));
  }

  /**
   * Limits the bytes of all jobs that have not ended, in the queues of all hosts, as far as requests give them;
   * null lifts the limit. Jobs that are there already count, also beyond it. Producers heed it within a second. Rejects
   * with RangeError if `bytes` is no whole number.
   */
  async setCapacity(capacity: { bytes: number | null; whenFull?: WhenFull }): Promise<void> {
    const { bytes, whenFull = 'reject' } = optionsOf(capacity);
    if (bytes === undefined || (bytes !== null && !(Number.isSafeInteger(bytes) && bytes >= 0))) {
      throw new RangeError(`a capacity of ${bytes} bytes is not accepted; give whole bytes from 0 on, or null`);
    }
    await this.#connection.use(async (queues) => {
      await queues.capacity.set(bytes, whenFull);
      if (bytes !== null) await countAll(queues);
    });
  }

  /** The limit, and how much of it is in use. */
  capacity(): Promise<Capacity> {
    return this.#connection.use(async ({ capacity }) => {
      await capacity.sweep();
      return capacity.read();
    });
  }

  /**
   * Adds many writes and a manifest that is written when all of them are done; all of these jobs, or none. `options` go
   * before the defaults, for every job of the flow. If the queue's capacity is limited, all of them together have to fit,
   * as with add().
   */
  async addFlow(flow: WriteFlow, options?: (FlowOptions & WaitForRoom) | null): Promise<FlowIds> {
    const { signal, waitMsMax, ...jobOptions } = optionsOf(options);
    const { job, ids } = flowJobs(flow, newJobId(), jobOptions);
    return this.#connection.use(async (queues) => {
      await admit(queues, [job, ...job.children], { signal, waitMsMax });
      await queues.addFlow(job);
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
    return this.#connection.use(({ anyHost }) => upsertSchedule(anyHost, name, repeat, request, optionsOf(options)));
  }

  /** Ends the schedule `name`, and removes its next job; false if there is no such schedule. A running job goes on. */
  unschedule(name: string): Promise<boolean> {
    return this.#connection.use(({ anyHost }) => anyHost.removeJobScheduler(name));
  }

  /** All schedules, the soonest first. */
  schedules(): Promise<Schedule[]> {
    return this.#connection.use(({ anyHost }) => listSchedules(anyHost));
  }

  /**
   * Follows a job to its end, however long ago that was; then the iteration is over. It outlasts breaks of the
   * connection. Rejects with UnknownJobError if there is no such job, with the signal's reason when it is aborted.
   */
  async *watch(id: string, o?: { signal?: AbortSignal } | null): AsyncGenerator<WatchEvent, void, undefined> {
    assertId(id);
    const { signal } = optionsOf(o);
    const queues = await this.#connection.open();
    if (!isJobId(id)) throw unknown(id);
    try {
      yield* queues.named(queueNameOf(id)).hub.watch(id, signal);
    } catch (error) {
      throw this.#connection.explained(error);
    }
  }

  /**
   * Cancels a job, wherever it is. One that no host has begun is failed when this resolves; one that is written stops
   * within a second, and what was written of it is removed. Resolves with where it was, once the queue has the order.
   * Rejects with UnknownJobError, with JobEndedError if it has ended already. `by` is the user of this process and its
   * machine, unless `cancellation` names another.
   */
  async cancel(id: string, cancellation?: Partial<Cancellation> | null): Promise<SteeredState> {
    const { by, ...said } = optionsOf(cancellation);
    const state = await this.#steer(id, (orders) => orders.cancel(id, { by: by ?? whoAsks(), ...said }));
    if (state !== 'active') await this.#connection.use((queues) => release(queues, id)); // else its host does
    return state;
  }

  /**
   * Has a job wait until it is resumed, also on another host if its own ends: a running write stops between two rows,
   * keeps its place and gives its row memory back; one that waits in the queue is not taken. Resolves and rejects as
   * `cancel`.
   */
  pause(id: string): Promise<SteeredState> {
    return this.#steer(id, (orders) => orders.pause(id));
  }

  /** Lets a paused job go on; no other changes. Resolves and rejects as `cancel`. */
  resume(id: string): Promise<SteeredState> {
    return this.#steer(id, (orders) => orders.resume(id));
  }

  /**
   * Limits a job to so many bytes a second from now on; 0 lifts the limit, that of its request too. Resolves and rejects
   * as `cancel`, and with RequestError if it is no rate.
   */
  limit(id: string, bytesPerSecond: number | string): Promise<SteeredState> {
    return this.#steer(id, (orders) => orders.limit(id, rateOf(bytesPerSecond)));
  }

  /**
   * Limits all that one host writes, to bytes a second; 0 lifts the limit, with null the host's own settings hold again.
   * It is kept in the queue, for a host that starts later too.
   */
  limitHost(host: string, limit: { bytesPerSecond: number } | null): Promise<void> {
    return this.#steer('', (orders) => orders.limitHost(host, limitOf(limit)));
  }

  /** Limits all that is written to a root: on each host that has it, for itself, or on `host` alone. As `limitHost`. */
  limitRoot(root: string, limit: { bytesPerSecond: number } | null, host?: string): Promise<void> {
    return this.#steer('', (orders) => orders.limitRoot(root, limitOf(limit), host));
  }

  /** How many workers take the writes for any host; with `host`, how many take those for it alone: 0 or 1. */
  workers(host?: string): Promise<number> {
    return this.#connection.use((queues) => queues.named(queueOfHost(host)).queue.getWorkersCount());
  }

  /**
   * Why no host takes anything from the queue of any host, or of `host`, though there are hosts: it is paused or
   * rate-limited. In words; null if it goes on.
   */
  standstill(host?: string): Promise<string | null> {
    return this.#connection.use((queues) => {
      const queueName = queueOfHost(host);
      const { queue } = queues.named(queueName);
      return standstillOf(queues.redis, queueName, (part) => queue.toKey(part));
    });
  }

  /** Jobs that are in no list of the queue of any host, or of `host`, so that no host ever takes them. Reads all keys. */
  lostJobs(host?: string): Promise<LostJobs> {
    return this.#connection.use((queues) => {
      const { queue } = queues.named(queueOfHost(host));
      return findLostJobs(queues.redis, (part) => queue.toKey(part));
    });
  }

  /** The hosts that were there in the last month, by name, with what each reports once a second. */
  hosts(): Promise<HostRecord[]> {
    return this.#connection.use((queues) => queues.hosts());
  }

  /**
   * The jobs of all queues that `filter` lets through, page by page: what runs, what waits, what has ended, as Redis has them
   * while this is read.
   */
  async *list(filter?: JobFilter | null): AsyncGenerator<JobView, void, undefined> {
    const wanted = filterOf(optionsOf(filter));
    const queues = await this.#connection.open();
    try {
      yield* listJobs(queues.redis, await queues.all(), wanted);
    } catch (error) {
      throw this.#connection.explained(error);
    }
  }

  /** All that is known of one job. Rejects with UnknownJobError. */
  show(id: string): Promise<JobDetails> {
    return this.#onJob(id, ({ queue }, { redis }) => readDetails(redis, queue, id));
  }

  /**
   * Puts a failed job in line again, with all its attempts; if it was cancelled or paused, that is taken back. Rejects with
   * UnknownJobError, with JobStateError if it has not failed.
   */
  retry(id: string): Promise<void> {
    return this.#onJob(id, ({ queue, orders }, { redis }) => retryJob(redis, queue, orders, id));
  }

  /**
   * Removes a job that no host has at present, with all that Redis keeps of it. The file that it wrote stays. Rejects with
   * UnknownJobError, with JobStateError if a host has it.
   */
  remove(id: string): Promise<void> {
    return this.#onJob(id, async ({ queue }, queues) => {
      await removeJob(queues.redis, queue, id);
      await release(queues, id);
    });
  }

  /** Removes jobs of all queues that ended longer ago than `olderThanMs`, in one of `states`; resolves with how many. */
  async clean(which: CleanOptions): Promise<number> {
    const { olderThanMs, states = ['completed', 'failed'] } = optionsOf(which);
    assertAge(olderThanMs);
    return this.#connection.use(async (queues) => {
      let removed = 0;
      for (const queue of await queues.all()) {
        for (const state of states) removed += await cleanQueue(queue, state, olderThanMs);
      }
      return removed;
    });
  }

  /**
   * BullMQ's own view of a job: state, logs, removal; null if there is none. Rejects with BrokenJobError if what Redis
   * has of it cannot be parsed.
   */
  job(id: string): Promise<WriteJob | null> {
    return this.#connection.use(async (queues) => {
      assertId(id);
      if (!isJobId(id)) return null;
      const { queue } = queues.named(queueNameOf(id));
      try {
        return (await queue.getJob(id)) ?? null;
      } catch (error) {
        throw (await brokenJob(queues.redis, queue.toKey(id), id)) ?? error;
      }
    });
  }

  /** Ends all watches and disconnects. */
  close(): Promise<void> {
    return this.#connection.close();
  }

  async #onJob<T>(id: string, act: (open: OpenQueue, queues: OpenQueues) => Promise<T>): Promise<T> {
    assertId(id);
    return this.#connection.use(async (queues) => {
      if (!isJobId(id)) throw unknown(id);
      return act(queues.named(queueNameOf(id)), queues);
    });
  }

  async #steer<T>(id: string, act: (orders: OrderSender) => Promise<T>): Promise<T> {
    assertId(id);
    return this.#connection.use((queues) => act(queues.named(queueNameOf(id)).orders));
  }
}
