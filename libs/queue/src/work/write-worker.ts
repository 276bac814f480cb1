// The host's side of the queue: takes jobs, has them performed, and records how each attempt ended.
import {
  ANY_HOST,
  escapeControls,
  fromWire,
  isBulkResult,
  noProgress,
  type JobRequest,
  type JobResult,
  type ManifestSource,
  parseJob,
  RequestError,
  RootError,
  toWire,
  WriteAbortedError,
  type WireError,
  type WriteProgress,
} from '@penstock/contract';
import type { Socket } from 'node:net';
import { DelayedError, UnrecoverableError, WaitingError, type Worker, type Job } from 'bullmq';
import type { Redis } from 'ioredis';
import { type AppendAnswer, AppendPlaces, type AppendQuestion } from '../records/append-places.ts';
import { BrokenJobs } from '../jobs/broken-jobs.ts';
import { BulkError, mayYetSucceed } from '../flow/bulk-error.ts';
import { CapacityScripts } from '../capacity/scripts.ts';
import type { ScriptClient } from '../connection/script-client.ts';
import { CapacityTally } from '../capacity/tally.ts';
import { checkRedis, connected } from '../connection/check.ts';
import { explain } from '../connection/explain.ts';
import { redisOptions, type Connection } from '../connection/address.ts';
import { sever } from '../connection/sever.ts';
import { within } from '../connection/deadline.ts';
import { EarlyOrders } from '../steer/early-orders.ts';
import { ErrorRelay } from '../connection/error-relay.ts';
import { type HashClient, HostBeat, type HostRecord, readHosts, registryKey } from '../host-registry.ts';
import { Leases } from './leases.ts';
import { LockWaits, nextLockDelayMs } from '../wait/lock-waits.ts';
import { DEFAULT_PREFIX, JOB_NAME, keepCompleted, keepFailed, QUEUE_NAME, queueOfHost } from '../names.ts';
import { PatientWorker } from './patient-worker.ts';
import { type PartOwner, PartOwners, workerNameOf } from '../records/part-owners.ts';
import { ProgressReporter } from './progress-reporter.ts';
import { Restraint } from '../wait/restraint.ts';
import { Attempt } from './attempt.ts';
import { type ShardOutcome, shardsOf } from '../flow/shards.ts';
import { type Seat, JobLimit } from './job-limit.ts';
import { standstillOf, StandstillWatch } from '../jobs/standstill.ts';
import { hasPast, StartCounter, startsOf } from '../jobs/starts.ts';
import { LIMITS_KEY, type StandingLimits, type Order } from '../steer/order.ts';
import { OrderFeed } from '../steer/order-feed.ts';
import { verdictOn, type WaitCause } from '../wait/verdict.ts';
import {
  DELAY_MS_MIN,
  formatWait,
  isLogged,
  nextDelayMs,
  readRecord,
  type WaitRecord,
  waitedOut,
  waitNote,
  WAITS_FIELD,
} from '../wait/waits.ts';

export interface WriteJobInfo {
  id: string;
  /** 1 for the first. */
  attempt: number;
  /**
   * The number of this attempt: 1 for the first, and no other attempt at the job ever has the same. Above 1, one with a
   * lower number may have left something behind.
   */
  starts: number;
  /** The job as answerOnAppends() knows it, without a blank. */
  readonly reference: string;
  /** True where another attempt is made if this one fails, but for a failure that none can mend. */
  willRetry: boolean;
  /** When the job was added, in milliseconds since the epoch: with the id it names the job for ever. */
  createdAtMs: number;
  /**
   * Calls `listener` once if the job is aborted, at once if it is already: when the worker drains (WriteAbortedError
   * 'shutdown'), the job is cancelled ('cancel', with who and why) or its lock is lost (LockLostError). Not an
   * AbortSignal, which costs as much as a small write.
   */
  readonly whenAborted: (listener: (reason: Error) => void) => void;
  /** Calls `listener` when the job is paused, resumed or given another limit, at once if it was before. Once a job. */
  readonly whenSteered: (listener: (order: Pick<Order, 'paused' | 'limit'>) => void) => void;
  /** For how many milliseconds the job is surely this worker's; grows again with each renewal of its lock. */
  readonly lockLeftMs: number;
  /** From the job's creation to this attempt, in milliseconds. */
  waitedMs: number;
  /** What the shards came to that a manifest asks for, in their order. Rejects with ShardError unless all are there. */
  readonly shards: (declared: ManifestSource) => Promise<ShardOutcome[]>;
}

export interface WriteWorkerOptions {
  connection: Connection;
  /** BullMQ's key prefix; its default unless given. */
  prefix?: string;
  /** How many jobs may run at a time. */
  concurrency: number;
  /** How long a job stays this worker's without word from it; 30,000 unless given. A dead host's jobs wait that long. */
  lockDurationMs?: number;
  /** How often jobs of dead hosts are looked for; 10,000 unless given. */
  stalledIntervalMs?: number;
  /** The name of this host, as the queue's clients see it. */
  host: string;
  /** 'own': takes the writes that are for this host alone. Those for any host unless given. */
  queue?: 'any' | 'own';
  /** Shared with the worker of the other queue: together they never run more jobs at once. */
  jobLimit?: JobLimit;
  /**
   * How long a job may wait in all for what somebody else must end (a full disk, the lock of a file, see verdict.ts), an
   * hour unless given. 0: never, such failures count as attempts like others.
   */
  waitMsMax?: number;
  /**
   * Writes. A bulk of which files failed is a result too. It must end soon after it is aborted, having stopped to write;
   * whatever it then rejects with.
   * `report` may be called at any time and never throws.
   */
  perform(request: JobRequest, job: WriteJobInfo, report: (progress: WriteProgress) => void): Promise<JobResult>;
  /** Told of the limits of this host and its roots: before the first job is taken, and when they change. */
  onLimits?: (limits: StandingLimits) => void;
  /**
   * Called with a text for the log when the queue stands still, because it was paused or limited, and when it goes on.
   */
  onNote?: (text: string) => void;
  /** Told of what no job's result tells: a lost connection, a lost lock. Repetitions are left out. */
  onError(error: Error): void;
}

type WriteJob = Job<unknown, JobResult>;

const lockDurationMsDefault = 30_000;
const waitMsMaxDefault = 3_600_000;
const stalledIntervalMsDefault = 10_000;
/** A stall is a host that died or lost Redis, seldom the job's fault: ten outlast a fleet restarted one by one, and
 * still end a job that itself kills every host it runs on. */
const stalledCountMax = 10;
/** How often a job whose thread ended beside it goes back without an attempt being counted. */
const neighbourEndsMax = 10;
/** What is left to tell Redis when the work has ended; if it is away longer, the lock's expiry tells it. */
const finishMsMax = 2000;
/** A host whose record is older is taken to be gone: it renews it four times a minute, by its own clock. */
const hostSeenMsMax = 120_000;
/** How old may be what is known of the other hosts. */
const hostsBelievedMs = 1000;
/** With no job at hand there is hardly anything left to tell. */
const idleMsMax = 500;

/** Takes jobs from the queue and has them performed. */
export class WriteWorker {
  readonly #options: WriteWorkerOptions;
  readonly #errors: ErrorRelay;
  readonly #leases: Leases;
  /** By job: the newest run of each. An older one of the same job has lost its lock and is on its way out. */
  readonly #runs = new Map<string, Attempt>();
  readonly #started: Promise<Worker<unknown, JobResult>>;
  readonly #queueName: string;
  readonly #seat: Seat;
  readonly #orders = new EarlyOrders();
  readonly #lockWaits = new LockWaits();
  readonly #restraint = new Restraint();
  #hosts: { known: HostRecord[]; readAtMs: number } = { known: [], readAtMs: Number.NEGATIVE_INFINITY };
  #feed: OrderFeed | null = null;
  /** The connection that ends of jobs are recorded over. */
  #client: Client | undefined;
  #beat: HostBeat | undefined;
  #places: AppendPlaces | undefined;
  #broken: BrokenJobs | undefined;
  #starts: StartCounter | undefined;
  #owners: PartOwners | undefined;
  #standstill: StandstillWatch | undefined;
  /** Jobs taken at a time, fewer than `concurrency` while the job limit has less left. */
  #limit: number;
  #worker: PatientWorker<unknown, JobResult> | undefined;
  /** BullMQ's loop of fetching and processing. */
  #loop: Promise<void> = Promise.resolve();
  #stopping: Promise<void> | null = null;
  #draining = false;

  /** Connects and begins at once; `ready` tells whether it could. */
  constructor(o: WriteWorkerOptions) {
    this.#options = o;
    const own = o.queue === 'own';
    this.#queueName = own ? queueOfHost(o.host) : QUEUE_NAME;
    this.#limit = o.concurrency;
    const jobLimit = o.jobLimit ?? new JobLimit(o.concurrency);
    this.#seat = own ? jobLimit.ownSeat() : jobLimit.sharedSeat((jobs) => this.#limitTo(jobs));
    this.#errors = new ErrorRelay((error) => o.onError(error));
    this.#leases = new Leases({
      durationMs: o.lockDurationMs ?? lockDurationMsDefault,
      extend: async (ids, tokens, ms) => (await this.#started).extendJobLocks(ids, tokens, ms),
      onError: (error) => this.#report(error),
    });
    this.#started = this.#start();
    this.#started.catch(() => {}); // told by ready()
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
    this.#stopping ??= this.#stop();
    for (const run of this.#runs.values()) run.abort(new WriteAbortedError(reason));
    return this.#stopping;
  }

  /** Takes no more jobs, lets those that run finish, and disconnects. Resolves when that is done. */
  close(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** What becomes of jobs that a file names as having appended to it, and where the bytes of one stand. */
  async answerOnAppends(question: AppendQuestion): Promise<AppendAnswer> {
    await this.#started;
    return this.#places!.answer(question);
  }

  /**
   * Records which roots this host cannot use from now on. While another host can use them, few of their jobs are taken
   * here, and those are put back.
   */
  tellSickRoots(roots: readonly string[]): void {
    this.#beat?.tellSick(roots);
    if (roots.length === 0) this.#restraint.releaseAll();
  }

  /**
   * Whether the jobs that partial files on this host belong to may be taken up here. In the order of the references.
   */
  async judgeParts(references: readonly string[]): Promise<PartOwner[]> {
    await this.#started;
    return this.#owners!.judge(references);
  }

  #limitTo(jobs: number): void {
    this.#limit = Math.min(jobs, this.#options.concurrency);
    if (this.#worker !== undefined) this.#worker.concurrency = this.#limit;
  }

  async #start(): Promise<Worker<unknown, JobResult>> {
    const { connection, prefix, concurrency, host, lockDurationMs, stalledIntervalMs } = this.#options;
    const { trouble } = await checkRedis(connection, undefined, prefix);
    if (trouble !== null) throw trouble;
    const worker = new PatientWorker<unknown, JobResult>(
      this.#queueName,
      (job, token) => this.#attempt(job, token ?? ''),
      {
        connection: redisOptions(connection, 'worker'),
        ...(prefix === undefined ? {} : { prefix }),
        concurrency,
        autorun: false,
        // The name becomes part of a connection's name, which may not have spaces in it.
        name: workerNameOf(host),
        lockDuration: lockDurationMs ?? lockDurationMsDefault,
        skipLockRenewal: true, // see leases.ts
        stalledInterval: stalledIntervalMs ?? stalledIntervalMsDefault,
        maxStalledCount: stalledCountMax,
        // For jobs of producers that say nothing of it: the queue must not grow for ever.
        removeOnComplete: keepCompleted,
        removeOnFail: keepFailed,
      },
    );
    worker.on('error', (error) => this.#report(error));
    this.#broken = new BrokenJobs(worker, (error) => this.#report(error));
    try {
      await connected(worker, connection);
      this.#feed = await this.#openFeed(worker);
      this.#client = await worker.getBackend().client; // an ioredis client
      this.#places = await AppendPlaces.open(this.#client, this.#options.prefix ?? DEFAULT_PREFIX);
      this.#starts = new StartCounter(this.#client);
      this.#owners = new PartOwners(this.#client, this.#places, host);
      this.#worker = worker;
      this.#tallyEnds(worker, this.#client);
      worker.concurrency = this.#limit;
      if (this.#options.queue === 'own') await this.#register(this.#client);
      const standstill = async (): Promise<string | null> => {
        const redis = (await worker.getBackend().client) as unknown as Redis; // an ioredis client
        return standstillOf(redis, this.#queueName, (part) => worker.toKey(part));
      };
      this.#standstill = new StandstillWatch(standstill, (text) => this.#options.onNote?.(text));
      this.#loop = worker.run().catch((error: unknown) => this.#report(error));
      return worker;
    } catch (error) {
      await this.#feed?.close();
      await within(finishMsMax, worker.close(true));
      throw explain(error, connection) ?? error;
    }
  }

  /** Once Redis has recorded that a job is over, it counts no more against the queue's capacity. */
  #tallyEnds(worker: Worker<unknown, JobResult>, client: Client): void {
    const { prefix = DEFAULT_PREFIX } = this.#options;
    const scripts = new CapacityScripts(client, prefix, (part) => `${prefix}:${QUEUE_NAME}:${part}`);
    const tally = new CapacityTally(scripts, (error) => this.#report(error));
    const tell = ({ id = '' }: WriteJob): void => tally.jobEnded(`${this.#queueName}:${id}`);
    worker.on('completed', tell);
    worker.on('failed', (job) => {
      if (job?.finishedOn !== undefined) tell(job); // else it is retried
    });
  }

  #openFeed(worker: Worker<unknown, JobResult>): Promise<OrderFeed> {
    const { connection, prefix, host } = this.#options;
    return OrderFeed.open({
      connection,
      ...(prefix === undefined ? {} : { prefix }),
      host,
      jobKey: (jobId) => worker.toKey(jobId),
      limitsKey: `${prefix ?? DEFAULT_PREFIX}:${QUEUE_NAME}:${LIMITS_KEY}`,
      onOrder: (jobId, order) => this.#steer(jobId, order),
      onLimits: (limits) => this.#options.onLimits?.(limits),
      onGap: () => this.#steerAll(),
      onError: (error) => this.#report(error),
    });
  }

  /** Nobody who looks for this host once it is ready shall miss it. */
  async #register(client: Client): Promise<void> {
    this.#beat = new HostBeat(client, this.#registryKey, this.#options.host, (error) => this.#report(error));
    await this.#beat.told();
  }

  #report(error: unknown): void {
    if (this.#worker?.noteRefusal(error) === false) return; // reported already, and refused ever since
    this.#errors.report(explain(error, this.#options.connection) ?? error);
  }

  #steer(jobId: string, order: Order): void {
    const run = this.#runs.get(jobId);
    if (run !== undefined) {
      run.steer(order);
      return;
    }
    this.#orders.put(jobId, order);
  }

  #steerAll(): void {
    for (const run of this.#runs.values()) void this.#readOrder(run).catch((error: unknown) => this.#report(error));
  }

  async #readOrder(run: Attempt): Promise<void> {
    const order = await this.#feed?.read(run.jobId);
    if (order != null) run.steer(order);
  }

  /** What the job was told before it was taken: of a job never begun before, that is nothing. */
  async #takeOrders(job: WriteJob, run: Attempt): Promise<void> {
    const sent = this.#orders.get(run.jobId);
    if (sent !== undefined) run.steer(sent);
    if (job.attemptsStarted > 1) await Promise.race([this.#readOrder(run), run.loss]);
  }

  async #attempt(job: WriteJob, token: string): Promise<JobResult> {
    const id = job.id ?? '';
    // One that was being fetched when the drain began.
    if (this.#draining) return this.#putBack(job, token);

    const run = new Attempt(id, hasPast(job));
    const earlier = this.#runs.get(id);
    this.#runs.set(id, run);
    const ageMs = Math.max(0, Date.now() - (job.processedOn ?? Date.now()));
    run.hold((onLoss) => this.#leases.keep(id, token, ageMs, onLoss));
    const progress = new ProgressReporter(
      (newest) => job.updateProgress(newest),
      (error) => this.#report(error),
    );
    run.whenAborted(() => {
      if (run.lost !== null) progress.drop();
    });
    try {
      if (earlier !== undefined) {
        // Two runs of one job must not write at once, in this process least of all.
        earlier.supersede();
        await earlier.settled;
      }
      const broken = this.#broken?.any === true ? await this.#broken.take(id) : null;
      if (broken !== null) this.#report(broken);
      else if (job.attemptsStarted > 1 || this.#orders.size > 0) await this.#takeOrders(job, run);
      if (job.attemptsStarted > 1 || run.hasPast) progress.report(blankProgress(this.#options.host)); // not the last attempt's end
      let outcome = broken === null ? await this.#perform(job, run, progress) : { error: broken };
      run.settle();
      // From here on nothing is written, but the lock is still needed to record how it ended.
      const held = run.holdsLock; // asks the clock, so also where there is nothing to tell before the end
      if ('result' in outcome && progress.idle && !hasFailures(outcome.result)) progress.drop();
      else if (held) {
        outcome = (await Promise.race([this.#conclude(job, run, token, progress, outcome), run.loss])) ?? outcome;
      }
      // Else the job has another worker: nothing of this run may be recorded.
      if (run.lost !== null) {
        this.#errors.report(run.lost);
        throw new WaitingError(run.lost.message); // BullMQ then leaves the job alone
      }
      this.#sendTogether();
      if ('error' in outcome) throw asBullError(outcome.error);
      return outcome.result;
    } finally {
      run.release();
      if (this.#runs.get(id) === run) this.#runs.delete(id);
      if (run.holdsBack) await this.#restraint.hold();
    }
  }

  /** What is sent to Redis in this turn of the event loop goes out in one write: each costs as much as a small file. */
  #sendTogether(): void {
    const socket = this.#client?.stream;
    if (socket === undefined || socket.writableCorked > 0) return;
    socket.cork();
    setImmediate(() => socket.uncork());
  }

  async #perform(job: WriteJob, run: Attempt, progress: ProgressReporter): Promise<Outcome> {
    let seated = false;
    try {
      // Asks the clock: after a stop of the process the lease's timer may fire later than the job is begun.
      if (!run.holdsLock && run.lost !== null) throw run.lost;
      const starts = startsOf(job, run.countedEarly, run.hasPast);
      // A cancelled one that was begun before is begun again, for what that has left to be removed.
      if (run.cancelled === null || starts === 1) run.throwIfAborted();
      const request = this.#requestOf(job);
      seated = await this.#sit(run, starts > 1);
      const number = starts === 1 ? 1 : await this.#numberOf(job, run);
      const addedAtMs = job.timestamp;
      const referenceTo = (): string =>
        this.#places!.referenceTo({ queueName: this.#queueName, id: run.filesOf, addedAtMs });
      const info: WriteJobInfo = {
        id: run.filesOf,
        attempt: job.attemptsMade + 1,
        starts: number,
        willRetry: job.attemptsMade + 1 < (job.opts.attempts ?? 1),
        createdAtMs: job.timestamp,
        whenAborted: (listener) => run.whenAborted(listener),
        whenSteered: (listener) => run.whenSteered(listener),
        get lockLeftMs() {
          return run.lockLeftMs;
        },
        get reference() {
          return referenceTo();
        },
        waitedMs: Math.max(0, (job.processedOn ?? Date.now()) - job.timestamp),
        shards: (declared) => this.#shardsOf(job, declared),
      };
      const result = await this.#options.perform(request, info, (newest) => {
        if (run.holdsLock) progress.report(newest);
      });
      // All files are written again then, with the same bytes. The last attempt returns what it came to.
      if (info.willRetry && isBulkResult(result) && mayYetSucceed(result)) throw new BulkError(result);
      return { result };
    } catch (error) {
      // However it came to its end: a job that was cancelled is not tried again, and not put back.
      return { error: run.lost ?? run.cancelledWith(error) ?? error };
    } finally {
      if (seated) this.#seat.leave();
    }
  }

  /** The number of a later attempt; that of one that removes what another job left is above all of that job's. */
  async #numberOf(job: WriteJob, run: Attempt): Promise<number> {
    if (run.startsOfOther !== null) return run.startsOfOther + 1;
    const number = await Promise.race([this.#starts!.next(this.#keyOf(job)), run.loss]);
    if (number === undefined) throw run.lost ?? new Error('the lock was lost');
    return number;
  }

  async #shardsOf(job: WriteJob, declared: ManifestSource): Promise<ShardOutcome[]> {
    const backend = (await this.#started).getBackend();
    return shardsOf(this.#keyOf(job), declared, (await backend.client) as unknown as Redis);
  }

  /** Takes a slot, as soon as there is one. @throws the reason of an abort that comes first */
  async #sit(run: Attempt, again: boolean): Promise<true> {
    const turn = this.#seat.enter();
    if (turn === null) return true;
    const aborted = new Promise<void>((resolve) => {
      run.whenAborted(() => resolve());
    });
    await Promise.race([turn.granted, aborted]);
    // Begun before, it is begun again, to remove what that has left.
    if (run.cancelled !== null && again) await Promise.race([turn.granted, run.loss]);
    try {
      if (run.lost !== null) throw run.lost;
      if (run.cancelled === null || !again) run.throwIfAborted();
    } catch (error) {
      if (!turn.giveUp()) this.#seat.leave();
      throw error;
    }
    return true;
  }

  /** What the job asks for, if it is in the right queue. */
  #requestOf(job: WriteJob): JobRequest {
    const request = requestOf(job);
    const { host, queue } = this.#options;
    const target = request.target?.host ?? ANY_HOST;
    if (target === host || target === ANY_HOST) return request;
    const place = queue === 'own' ? `"${host}" or "${ANY_HOST}" in the queue ${this.#queueName}` : `"${ANY_HOST}" here`;
    const accepted = `${place}; a write for the host ${target} belongs into the queue ${queueOfHost(target)}`;
    throw new RequestError({ field: 'target.host', value: target, accepted });
  }

  /** Tells Redis what has to be told before BullMQ records the end; resolves with what that end is. */
  async #conclude(
    job: WriteJob,
    run: Attempt,
    token: string,
    progress: ProgressReporter,
    outcome: Outcome,
  ): Promise<Outcome> {
    if ('result' in outcome) {
      await Promise.all([progress.close(), this.#log(job, failuresOf(outcome.result))]);
      return outcome;
    }
    if (isPutBack(outcome.error) || this.#isNeighbour(job, outcome.error)) {
      await progress.close(); // before somebody else takes the job and reports
      return this.#putBack(job, token);
    }
    let wire = toWire(outcome.error);
    let ended = outcome;
    const verdict = verdictOn(wire);
    if (verdict.kind === 'wait' && this.#waitMsMax > 0) {
      run.holdsBack = verdict.cause === 'the root' && (await this.#othersMayTake(rootOf(outcome.error)));
      const fixedDelayMs = run.holdsBack ? DELAY_MS_MIN : null;
      wire = await this.#wait(job, token, progress, { wire, cause: verdict.cause, fixedDelayMs });
      ended = { error: fromWire(wire) };
    }
    progress.report({ ...(progress.newest ?? blankProgress(this.#options.host)), error: wire });
    await Promise.all([progress.close(), this.#log(job, [`failed: ${wire.message}`, ...failuresIn(outcome.error)])]);
    return ended;
  }

  /**
   * True if the job's thread ended, most likely because of another write: no attempt is counted then. Not for ever,
   * since this write may be the one that ends every thread it runs on.
   */
  #isNeighbour(job: WriteJob, caught: unknown): boolean {
    if (!(caught instanceof Error) || Reflect.get(caught, 'blameless') !== true) return false;
    return job.attemptsStarted - job.attemptsMade <= neighbourEndsMax;
  }

  /** Whether another host, seen lately, can use `root`, which this one cannot. */
  async #othersMayTake(root: unknown): Promise<boolean> {
    if (this.#options.queue === 'own' || typeof root !== 'string') return false;
    if (performance.now() - this.#hosts.readAtMs > hostsBelievedMs) await this.#readHosts();
    const { host } = this.#options;
    const sinceMs = Date.now() - hostSeenMsMax;
    return this.#hosts.known.some(
      ({ name, seenAtMs, sickRoots }) => name !== host && seenAtMs > sinceMs && !sickRoots.includes(root),
    );
  }

  async #readHosts(): Promise<void> {
    const known = this.#client === undefined ? [] : await readHosts(this.#client, this.#registryKey);
    this.#hosts = { known, readAtMs: performance.now() };
  }

  get #registryKey(): string {
    const { prefix = DEFAULT_PREFIX } = this.#options;
    return registryKey((part) => `${prefix}:${QUEUE_NAME}:${part}`);
  }

  get #waitMsMax(): number {
    return this.#options.waitMsMax ?? waitMsMaxDefault;
  }

  /**
   * Puts the job off, with as many attempts left as before, and rejects as BullMQ wants it; resolves with the failure of
   * a job that has waited for as long as it may.
   */
  async #wait(
    job: WriteJob,
    token: string,
    progress: ProgressReporter,
    { wire, cause, fixedDelayMs }: { wire: WireError; cause: WaitCause; fixedDelayMs: number | null },
  ): Promise<WireError> {
    const attempt = job.attemptsMade + 1;
    const kept = await this.#client?.hget(this.#keyOf(job), WAITS_FIELD);
    const before = readRecord(kept ?? null, attempt);
    if (before.waitedMs >= this.#waitMsMax) return waitedOut(cause, wire, before);
    const delayMs = fixedDelayMs ?? this.#delayMs(job, before, cause);
    const record = { attempt, tries: before.tries + 1, waitedMs: before.waitedMs + delayMs };
    const { error: _error, ...newest } = progress.newest ?? blankProgress(this.#options.host);
    const still = { bytesPerSecond: 0, etaMs: null, inFlight: 0, phase: 'waiting' } as const;
    progress.report({ ...newest, ...still, note: waitNote(cause, wire, delayMs) });
    const line = `waits for ${cause} (try ${record.tries}, ${formatWait(before.waitedMs)} so far): ${wire.message}`;
    await Promise.all([progress.close(), this.#log(job, isLogged(record) ? [line] : [])]);
    try {
      const fieldsToUpdate = { [WAITS_FIELD]: JSON.stringify(record) };
      const backend = (await this.#started).getBackend();
      await backend.moveToDelayed(job.id ?? '', Date.now(), delayMs, token, { skipAttempt: true, fieldsToUpdate });
    } catch (error) {
      this.#report(error); // its lock expires, and it is taken up as a stalled one
    }
    throw new DelayedError();
  }

  #delayMs({ id = '' }: WriteJob, before: WaitRecord, cause: WaitCause): number {
    if (cause !== 'the lock of the file') return nextDelayMs(before, this.#waitMsMax, Math.random());
    return nextLockDelayMs(before, this.#lockWaits.note(id), this.#waitMsMax, Math.random());
  }

  #keyOf(job: WriteJob): string {
    return `${this.#options.prefix ?? DEFAULT_PREFIX}:${this.#queueName}:${job.id ?? ''}`;
  }

  async #log(job: WriteJob, lines: readonly string[]): Promise<void> {
    const begin = `${new Date().toISOString()} attempt ${job.attemptsMade + 1} on ${this.#options.host}`;
    try {
      await Promise.all(lines.map((line) => job.log(`${begin} ${escapeControls(line)}`))); // a line stays one
    } catch (error) {
      this.#report(error);
    }
  }

  /** Back to the head of the queue, with as many attempts left as before. */
  async #putBack(job: WriteJob, token: string): Promise<never> {
    try {
      await job.moveToWait(token);
    } catch (error) {
      this.#report(error); // its lock expires, and it is taken up as a stalled one
    }
    throw new WaitingError();
  }

  async #stop(): Promise<void> {
    this.#restraint.end();
    const worker = await this.#started.catch(() => null);
    if (worker === null) return;
    const backend = worker.getBackend();
    // Fetching ends first: a job that is put back must not come straight back to us. The blocking read is broken off;
    // BullMQ takes that for a time-out.
    await worker.pause(true);
    await within(idleMsMax, backend.disconnectBlocking(false));
    const idle = this.#runs.size === 0;
    await this.#workEnded();
    // BullMQ's loop ends when the end of every job, the last one fetched included, has been recorded.
    await within(idle ? idleMsMax : finishMsMax, this.#loop);

    await this.#feed?.close();
    // By force: all has been told, and an orderly close would wait for a Redis that is away, for ever.
    const clients = [await backend.client, await backend.blockingClient];
    this.#beat?.close();
    this.#standstill?.close();
    const closed = worker.close(true);
    for (const client of clients) if (client !== undefined) sever(client);
    await within(finishMsMax, closed);
  }

  /** How long this may take is for `perform` to know. */
  async #workEnded(): Promise<void> {
    const working = [...this.#runs.values()].filter((run) => !run.hasSettled);
    if (working.length === 0) return;
    await Promise.all(working.map((run) => run.settled));
    await this.#workEnded(); // a job may have come at the last moment
  }
}

/** Of a RootError. */
const rootOf = (error: unknown): unknown => (error instanceof RootError ? error.root : undefined);

type Outcome = { result: JobResult } | { error: unknown };

/** What is used of BullMQ's client beside BullMQ. */
type Client = HashClient & ScriptClient & { readonly stream?: Socket };

/** Files of a bulk whose failures are written into its job's log, each attempt. */
const failuresLogged = 20;

const hasFailures = (result: JobResult): boolean => isBulkResult(result) && result.failed > 0;

/** A line for each file of a bulk that failed: the first of them. */
function failuresOf(result: JobResult): string[] {
  if (!isBulkResult(result)) return [];
  const failures = result.items.filter((item) => 'error' in item);
  const lines = failures.slice(0, failuresLogged).map(({ path, error }) => `failed '${path}': ${error.message}`);
  if (failures.length > failuresLogged) lines.push(`failed ${failures.length - failuresLogged} more files`);
  return lines;
}

const failuresIn = (error: unknown): string[] => {
  if (error instanceof BulkError) return failuresOf(error.result);
  return error instanceof WriteAbortedError && error.cause instanceof Error ? [error.cause.message] : [];
};

function requestOf(job: WriteJob): JobRequest {
  if (job.name === JOB_NAME) return parseJob(job.data);
  throw new RequestError({
    field: 'name',
    value: job.name,
    accepted: `"${JOB_NAME}", the name of every job of this queue`,
  });
}

/** What BullMQ is to make of it: an error that another attempt would meet again is not retried. */
function asBullError(caught: unknown): Error {
  const { message, retryable } = toWire(caught);
  const error = retryable ? new Error(message) : new UnrecoverableError(message);
  error.cause = caught;
  if (caught instanceof Error && caught.stack !== undefined) error.stack = caught.stack;
  return error;
}

/** Nobody's failure: a shutdown, or a thread that thought the lock lost, which has been renewed just in time. */
function isPutBack(caught: unknown): boolean {
  if (typeof caught !== 'object' || caught === null || Reflect.get(caught, 'code') !== 'ECANCELED') return false;
  const reason: unknown = Reflect.get(caught, 'reason');
  return reason === 'shutdown' || reason === 'lost';
}

const blankProgress = (host: string): WriteProgress => ({ ...noProgress('opening'), host });
