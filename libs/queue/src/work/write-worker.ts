/** The host's side of the queue: takes jobs, has each performed (executor.ts) and its end recorded (conclusion.ts). */
import { type AppendAnswer, type AppendQuestion, type ShortResult, WriteAbortedError } from '@penstock/contract';
import { BrokenJobs } from '../jobs/broken-jobs.ts';
import { CapacityScripts } from '../capacity/scripts.ts';
import { CapacityTally } from '../capacity/tally.ts';
import { checkRedis, connected } from '../connection/check.ts';
import { explain } from '../connection/explain.ts';
import { redisOptions } from '../connection/address.ts';
import { sever } from '../connection/sever.ts';
import { within } from '../connection/deadline.ts';
import { EarlyOrders } from '../steer/early-orders.ts';
import { ErrorRelay } from '../connection/error-relay.ts';
import { joinEnds } from '../ends/joint-ends.ts';
import { HostBeat } from '../hosts/beat.ts';
import { Leases } from './leases.ts';
import { anyHostKey, DEFAULT_PREFIX, KEEP_COMPLETED, KEEP_FAILED, QUEUE_NAME, queueOfHost } from '../names.ts';
import { type JobWorker, PatientWorker } from './patient-worker.ts';
import { type PartOwner, workerNameOf } from '../records/part-owners.ts';
import { ProgressReporter } from './progress-reporter.ts';
import { Restraint } from '../wait/restraint.ts';
import { Attempt, type TakenJob } from './attempt.ts';
import { blankProgress, hasNothingToRecord } from './conclusion.ts';
import { JobLimit, type Seat } from './job-limit.ts';
import {
  LOCK_DURATION_MS_DEFAULT,
  STALLED_INTERVAL_MS_DEFAULT,
  WAIT_MS_MAX_DEFAULT,
  type WriteWorkerOptions,
} from './options.ts';
import { failedBy, LOST, resultOf } from './outcome.ts';
import { type Client, open, type Opened } from './opened.ts';
import { standstillOf, StandstillWatch } from '../jobs/standstill.ts';
import { LIMITS_KEY, type Order } from '../steer/order.ts';
import { OrderFeed } from '../steer/order-feed.ts';

/**
 * A stall is a host that died or lost Redis, seldom the job's fault: ten outlast a fleet restarted one by one, and still
 * end a job that itself kills every host it runs on.
 */
const STALLED_COUNT_MAX = 10;
/** For what is left to send to Redis when the work has ended; if Redis is away longer, the locks expire there. */
const FINISH_MS_MAX = 2000;
/** The same for a worker without a job, which has hardly anything left to send. */
const IDLE_MS_MAX = 500;

/** Takes jobs from the queue and has them performed. */
export class WriteWorker {
  readonly #options: WriteWorkerOptions;
  readonly #errors: ErrorRelay;
  readonly #leases: Leases;
  /** By job: the newest attempt at each. An older one at the same job has lost its lock and is about to end. */
  readonly #attempts = new Map<string, Attempt>();
  readonly #started: Promise<Opened>;
  readonly #queueName: string;
  readonly #seat: Seat;
  readonly #orders = new EarlyOrders();
  readonly #restraint = new Restraint();
  /** Jobs taken at once: fewer than `concurrency` while the job limit has less left. */
  #limit: number;
  #opened: Opened | undefined;
  #feed: OrderFeed | null = null;
  #beat: HostBeat | undefined;
  #standstill: StandstillWatch | undefined;
  /** BullMQ's loop of fetching and processing. */
  #loop: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;
  #draining = false;

  /** Connects and begins at once; `ready` reports whether it could. */
  constructor(o: WriteWorkerOptions) {
    this.#options = o;
    const own = o.queue === 'own';
    this.#queueName = own ? queueOfHost(o.host) : QUEUE_NAME;
    this.#limit = o.concurrency;
    const jobLimit = o.jobLimit ?? new JobLimit(o.concurrency);
    this.#seat = own ? jobLimit.ownSeat() : jobLimit.sharedSeat((jobs) => this.#limitTo(jobs));
    this.#errors = new ErrorRelay((error) => o.onError(error));
    this.#leases = new Leases({
      durationMs: o.lockDurationMs ?? LOCK_DURATION_MS_DEFAULT,
      extend: async (ids, tokens, ms) => (await this.#started).worker.extendJobLocks(ids, tokens, ms),
      onError: (error) => this.#report(error),
    });
    this.#started = this.#start();
    this.#started.catch(() => {}); // reported by ready()
    o.after?.catch(() => {}); // it may reject before it is waited for, or when this one has failed for itself
  }

  /** Resolves when jobs are being taken. Rejects with ConnectionError, within seconds, if Redis cannot be used. */
  async ready(): Promise<void> {
    await this.#started;
  }

  /**
   * Takes no more jobs, aborts those that run, and resolves when all have ended. A job whose `perform` rejects as
   * aborted by the shutdown goes back to the queue and has not used up an attempt; others finish as they will.
   */
  drain(reason: 'shutdown'): Promise<void> {
    this.#draining = true;
    this.#beat?.enter('draining');
    this.#stopping ??= this.#stop();
    for (const attempt of this.#attempts.values()) attempt.abort(new WriteAbortedError(reason));
    return this.#stopping;
  }

  /** Takes no more jobs, lets those that run finish, and disconnects. Resolves when that is done. */
  close(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** What becomes of jobs that a file names as having appended to it, and where the bytes of one stand. */
  async answerOnAppends(question: AppendQuestion): Promise<AppendAnswer> {
    const { places } = await this.#started;
    return places.answer(question);
  }

  /**
   * Records which roots this host cannot use from now on. While another host can use them, few of their jobs are taken
   * here, and those are put back.
   */
  reportSickRoots(roots: readonly string[]): void {
    this.#beat?.reportSick(roots);
    if (roots.length === 0) this.#restraint.releaseAll();
  }

  /**
   * Whether the jobs that partial files on this host belong to may be taken up here. In the order of the references.
   */
  async judgeParts(references: readonly string[]): Promise<PartOwner[]> {
    const { owners } = await this.#started;
    return owners.judge(references);
  }

  #limitTo(jobs: number): void {
    this.#limit = Math.min(jobs, this.#options.concurrency);
    if (this.#opened !== undefined) this.#opened.worker.concurrency = this.#limit;
  }

  async #start(): Promise<Opened> {
    const { connection, host, perform, queue, waitMsMax = WAIT_MS_MAX_DEFAULT } = this.#options;
    const { trouble } = await checkRedis(connection, undefined, this.#options.prefix);
    if (trouble !== null) throw trouble;
    const worker = this.#openWorker();
    joinEnds(worker, (text) => this.#options.onNote?.(text)); // beneath what looks at their answers
    const broken = new BrokenJobs(worker, (error) => this.#report(error));
    try {
      await connected(worker, connection);
      this.#feed = await this.#openFeed(worker);
      const opened = await open({
        worker,
        broken,
        host,
        prefix: this.#prefix,
        queueName: this.#queueName,
        isOwnQueue: queue === 'own',
        seat: this.#seat,
        waitMsMax,
        perform,
        onError: (error) => this.#report(error),
      });
      this.#opened = opened;
      this.#tallyEnds(opened);
      worker.concurrency = this.#limit;
      if (queue === 'own') await this.#takeName(opened.client);
      this.#standstill = new StandstillWatch(
        () => standstillOf(opened.redis, this.#queueName, (part) => worker.toKey(part)),
        (text) => this.#options.onNote?.(text),
      );
      await this.#options.after;
      this.#beat?.enter('running');
      this.#loop = worker.run().catch((error: unknown) => this.#report(error));
      return opened;
    } catch (error) {
      await this.#feed?.close();
      await within(FINISH_MS_MAX, worker.close(true));
      throw explain(error, connection) ?? error;
    }
  }

  #openWorker(): JobWorker {
    const { connection, prefix, concurrency, host, lockDurationMs, stalledIntervalMs } = this.#options;
    const worker = new PatientWorker<unknown, ShortResult>(
      this.#queueName,
      (job, token) => this.#process(job, token ?? ''),
      {
        connection: redisOptions(connection, 'worker'),
        ...(prefix === undefined ? {} : { prefix }),
        concurrency,
        autorun: false,
        // The name becomes part of a connection's name, which may not have spaces in it.
        name: workerNameOf(host),
        lockDuration: lockDurationMs ?? LOCK_DURATION_MS_DEFAULT,
        skipLockRenewal: true, // see leases.ts
        stalledInterval: stalledIntervalMs ?? STALLED_INTERVAL_MS_DEFAULT,
        maxStalledCount: STALLED_COUNT_MAX,
        // For jobs of producers that leave it open: the queue must not grow for ever.
        removeOnComplete: KEEP_COMPLETED,
        removeOnFail: KEEP_FAILED,
      },
    );
    worker.on('error', (error) => this.#report(error));
    return worker;
  }

  /** Once Redis has recorded that a job is over, it counts no more against the queue's capacity. */
  #tallyEnds({ worker, client }: Opened): void {
    const prefix = this.#prefix;
    const scripts = new CapacityScripts(client, prefix, (part) => anyHostKey(prefix, part));
    const tally = new CapacityTally(scripts, (error) => this.#report(error));
    const count = ({ id = '' }: TakenJob): void => tally.jobEnded(`${this.#queueName}:${id}`);
    worker.on('completed', count);
    worker.on('failed', (job) => {
      if (job?.finishedOn !== undefined) count(job); // else it is retried
    });
  }

  #openFeed(worker: JobWorker): Promise<OrderFeed> {
    const { connection, prefix, host } = this.#options;
    return OrderFeed.open({
      connection,
      ...(prefix === undefined ? {} : { prefix }),
      host,
      jobKey: (jobId) => worker.toKey(jobId),
      limitsKey: anyHostKey(this.#prefix, LIMITS_KEY),
      onOrder: (jobId, order) => this.#steer(jobId, order),
      onLimits: (limits) => this.#options.onLimits?.(limits),
      onGap: () => this.#steerAll(),
      onError: (error) => this.#report(error),
    });
  }

  /** Whoever looks for this host once it is ready must find it. @throws (rejects with) TwinHostError */
  async #takeName(client: Client): Promise<void> {
    const { host, vitals, onNameLost } = this.#options;
    this.#beat = await HostBeat.begin({
      client,
      toKey: (part) => anyHostKey(this.#prefix, part),
      host,
      vitals,
      onLost: (error) => onNameLost?.(error),
      onError: (error) => this.#report(error),
    });
  }

  get #prefix(): string {
    return this.#options.prefix ?? DEFAULT_PREFIX;
  }

  #report(error: unknown): void {
    if (this.#opened?.worker.noteRefusal(error) === false) return; // reported already, and refused ever since
    this.#errors.report(explain(error, this.#options.connection) ?? error);
  }

  #steer(jobId: string, order: Order): void {
    const attempt = this.#attempts.get(jobId);
    if (attempt === undefined) this.#orders.put(jobId, order);
    else attempt.steer(order);
  }

  #steerAll(): void {
    for (const attempt of this.#attempts.values())
      void this.#readOrder(attempt).catch((error: unknown) => this.#report(error));
  }

  async #readOrder(attempt: Attempt): Promise<void> {
    const order = await this.#feed?.read(attempt.jobId);
    if (order != null) attempt.steer(order);
  }

  /**
   * Takes the orders that came before the job was taken. To a job never begun before there are none in Redis; of one that was,
   * Redis has the newest, and what came here before may have been taken back.
   */
  async #takeOrders(attempt: Attempt): Promise<void> {
    if (attempt.job.attemptsStarted > 1) {
      await Promise.race([this.#readOrder(attempt), attempt.loss]);
      return;
    }
    const early = this.#orders.get(attempt.jobId);
    if (early !== undefined) attempt.steer(early);
  }

  /** One attempt, from the job that BullMQ hands out to what it is to record of it. */
  async #process(job: TakenJob, token: string): Promise<ShortResult> {
    const { broken, executor, conclusion } = this.#opened!;
    // It was being fetched when the drain began.
    if (this.#draining) return resultOf(await conclusion.putBack(job, token));
    const attempt = this.#begin(job, token);
    const { jobId, progress } = attempt;
    const earlier = this.#attempts.get(jobId);
    this.#attempts.set(jobId, attempt);
    try {
      // Two attempts at one job must not write at once, in this process least of all.
      if (earlier !== undefined) {
        earlier.supersede();
        await earlier.settled;
      }
      const fault = broken.any ? await broken.take(jobId) : null;
      if (fault !== null) this.#report(fault);
      else if (job.attemptsStarted > 1 || this.#orders.size > 0) await this.#takeOrders(attempt);
      // The progress that stands with the job is the last attempt's end.
      if (job.attemptsStarted > 1 || attempt.hasPast) progress.report(blankProgress(this.#options.host));
      let outcome = fault === null ? await executor.execute(attempt) : failedBy(fault);
      attempt.settle();
      // From here on nothing is written, but the lock is still needed to record the end.
      const isHeld = attempt.holdsLock; // asks the clock, also if there is nothing to record
      if (hasNothingToRecord(outcome, attempt)) progress.drop();
      else if (isHeld) outcome = (await Promise.race([conclusion.record(attempt, outcome), attempt.loss])) ?? LOST;
      if (attempt.lost !== null) {
        this.#errors.report(attempt.lost);
        outcome = LOST;
      }
      this.#sendTogether();
      return resultOf(outcome);
    } finally {
      attempt.release();
      if (this.#attempts.get(jobId) === attempt) this.#attempts.delete(jobId);
      if (attempt.holdsBack) await this.#restraint.hold();
    }
  }

  #begin(job: TakenJob, token: string): Attempt {
    const progress = new ProgressReporter(
      (newest) => job.updateProgress(newest),
      (error) => this.#report(error),
    );
    const attempt = new Attempt(job, token, progress);
    const ageMs = Math.max(0, Date.now() - (job.processedOn ?? Date.now()));
    attempt.hold((onLoss) => this.#leases.keep(attempt.jobId, token, ageMs, onLoss));
    attempt.whenAborted(() => {
      if (attempt.lost !== null) progress.drop();
    });
    return attempt;
  }

  /** What is sent to Redis in this turn of the event loop goes out in one write: each costs as much as a small file. */
  #sendTogether(): void {
    const socket = this.#opened?.client.stream;
    if (socket === undefined || socket.writableCorked > 0) return;
    socket.cork();
    setImmediate(() => socket.uncork());
  }

  async #stop(): Promise<void> {
    this.#restraint.end();
    const opened = await this.#started.catch(() => null);
    if (opened === null) return;
    const { worker } = opened;
    const backend = worker.getBackend();
    // Fetching ends first: a job that is put back must not come straight back to this worker. The blocking read is broken
    // off; BullMQ takes that for a time-out.
    await worker.pause(true);
    await within(IDLE_MS_MAX, backend.disconnectBlocking(false));
    const isIdle = this.#attempts.size === 0;
    await this.#workEnded();
    // BullMQ's loop ends when the end of every job, the last one fetched included, has been recorded.
    await within(isIdle ? IDLE_MS_MAX : FINISH_MS_MAX, this.#loop);

    await this.#options.nameKeptUntil?.();
    await this.#feed?.close();
    if (this.#beat !== undefined) await within(IDLE_MS_MAX, this.#beat.end());
    // By force: all has been recorded, and an orderly close would wait for a Redis that is away, for ever.
    const clients = [await backend.client, await backend.blockingClient];
    this.#standstill?.close();
    const closed = worker.close(true);
    for (const client of clients) if (client !== undefined) sever(client);
    await within(FINISH_MS_MAX, closed);
  }

  /** Resolves when no attempt writes any more; how long that may take is decided by `perform`. */
  async #workEnded(): Promise<void> {
    const working = [...this.#attempts.values()].filter((attempt) => !attempt.hasSettled);
    if (working.length === 0) return;
    await Promise.all(working.map((attempt) => attempt.settled));
    await this.#workEnded(); // a job may have come at the last moment
  }
}
