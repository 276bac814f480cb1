/** The writer pool: Piscina threads, and the row memory and control words that they share with this thread. */
import { setTimeout as startTimer } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import type { Piscina } from 'piscina';
import type { BulkResult, JobRequest, ShortResult, WriteRequest } from '@penstock/contract';
import {
  type ArenaMemory,
  Control,
  type JobBlock,
  RateTable,
  STOP_NONE,
  STOP_SHUTDOWN,
  createArenaMemory,
  createRing,
  turnTime,
} from '@penstock/matrix';
import { type AskQueue, askNobody, BULK_LANES, NO_JOB, jobKeyOf, tokenOf } from '@penstock/sink';
import { RootWords } from '@penstock/disk';
import { type WriterSession, type WriteTask, type WriterTask } from '../protocol.ts';
import { AfterDeath } from '../death/after-death.ts';
import { Freer } from '../freeing/freer.ts';
import { Census } from './census.ts';
import { DiskWatch } from './disk-watch.ts';
import { type PoolOptions, setupOf, startThreads } from './options.ts';
import { Parking } from './parking.ts';
import type { RunningStream, RunningWrite } from './running.ts';
import { leastBusyOf, rejectAll, Session } from './session.ts';
import { bulkTasks, helpersOf, joinResults } from './shared-bulk.ts';
import { isInCall } from './thread-call.ts';

/** How long a thread that left a write behind may take to turn, or to be found in a call, before it counts as deaf. */
const DEAF_MS = 1000;
/** How long a closing pool waits for a thread that left writes behind. */
const LEFT_MS = 500;
/** How long one waits for blocks that are being freed. If the process ends before, the kernel frees them as it ends. */
const FREEING_MS = 2000;

// Row memory must outlive the I/O that still writes from it: it is held here until its contexts are destroyed.
const heldArenas = new Set<ArenaMemory[]>();

export class WriterPool {
  readonly jobSlots: number;
  /** Row memory of one thread. */
  readonly rowBudgetBytes: number;
  /** The limits of the host and its roots, in the order of the roots. */
  readonly rates: RateTable;
  /** What mount each root is to be found on, in the order of the roots; any at first. */
  readonly rootWords: RootWords;
  readonly census: Census;
  readonly #control: Control;
  readonly #arenas: ArenaMemory[];
  readonly #piscina: Piscina;
  readonly #threadCount: number;
  /** One per thread, and when it has ended; a dead thread's is made anew with the next task. */
  readonly #sessions = new Map<Session, Promise<void>>();
  /** The control words of the rings of streams that run. */
  readonly #rings = new Set<SharedArrayBuffer>();
  readonly #freeJobSlots: number[];
  /** By job slot: how many threads have not yet answered, of a job that several carry out. */
  readonly #sharesOut = new Map<number, number>();
  /** By job slot: made with the first write that has it. */
  readonly #blocks: JobBlock[] = [];
  readonly #afterDeath: AfterDeath;
  readonly #diskWatch: DiskWatch;
  readonly #parking: Parking;
  readonly #freer: Freer;
  readonly #onThreadDeath: ((error: Error) => void) | undefined;
  readonly #onFree: (() => void) | undefined;
  readonly #askQueue: AskQueue;
  /** A thread died before it served: no further one is tried while one serves. */
  #cannotComeUp = false;
  #closing = false;
  #closed: Promise<boolean> | undefined;

  constructor(options: PoolOptions) {
    const { threads } = options;
    this.jobSlots = threads * options.jobs;
    this.#threadCount = threads;
    this.#onThreadDeath = options.onThreadDeath;
    this.#onFree = options.onFree;
    this.#askQueue = options.askQueue ?? askNobody;
    // Twice the slots: the replacement of a dead thread starts before the dead one's rows are known to be quiet.
    const threadSlots = threads * 2;
    this.#control = new Control(threadSlots, this.jobSlots);
    this.census = new Census(this.#control);
    this.rates = options.rates ?? new RateTable(options.roots.length);
    this.rootWords = new RootWords(threadSlots, options.roots.length);
    this.rowBudgetBytes = Math.floor(options.memoryBytes / threads);
    this.#arenas = Array.from({ length: threadSlots }, () => createArenaMemory(this.rowBudgetBytes));
    heldArenas.add(this.#arenas);
    this.#freeJobSlots = Array.from({ length: this.jobSlots }, (_, index) => this.jobSlots - 1 - index);
    this.#afterDeath = new AfterDeath({
      control: this.#control,
      arenas: this.#arenas,
      rings: this.#rings,
      rootWords: this.rootWords,
      onFailure: (error) => this.#onThreadDeath?.(error),
    });
    this.#diskWatch = new DiskWatch(this.#control, this.#blocks);
    this.#parking = new Parking({
      idleMs: options.idleMs,
      isIdle: () => !this.#closing && this.#freeJobSlots.length === this.jobSlots,
      park: () => this.#endSessions(),
    });
    this.#freer = new Freer(threadSlots, () => this.wake());
    const setup = setupOf(options, {
      control: this.#control.buffer,
      tallies: this.census.tallies.buffer,
      threadSlots,
      jobSlots: this.jobSlots,
      arenas: this.#arenas,
      rates: this.rates.buffer,
      rootWords: this.rootWords.buffer,
      freeing: this.#freer.table.buffer,
    });
    this.#piscina = startThreads(options, setup);
    this.#piscina.on('error', (error: Error) => {
      this.#onThreadDeath?.(error);
      this.#endUnserved(error);
    });
    this.#piscina.on('workerCreate', () => this.#afterDeath.watch(this.#piscina.threads));
  }

  /** Threads that run now. */
  get threads(): number {
    return this.#piscina.threads.length;
  }

  /**
   * Resolves when every thread is up. Before that the process must not exit: a thread terminated while it loads koffi
   * aborts it. Rejects if a thread ends instead; onThreadDeath was called with the reason.
   */
  async ready(): Promise<void> {
    this.#openSessions(this.#threadCount);
    await Promise.all(
      [...this.#sessions].map(([session, ended]) =>
        Promise.race([
          session.ready,
          ended.then(() => Promise.reject(new Error('a writer thread ended as it started'))),
        ]),
      ),
    );
    this.#parking.begin();
  }

  /**
   * Starts one attempt. `jobName` names the job for ever; an id alone does not: BullMQ counts from 1 in every Redis.
   * `starts` numbers its attempts, each once, and none of a later attempt is lower: above 1, what those with lower numbers
   * left behind is taken over or removed.
   * @param job how `askQueue` knows the job; absent for a write outside any queue
   */
  run(request: JobRequest, jobName: string, starts: number, job: string = NO_JOB): RunningWrite {
    const { block, attempt } = this.#takeSlot(starts, job);
    if (!('files' in request)) return this.#begin(block, [{ request, jobKey: jobKeyOf(jobName, request), ...attempt }]);
    const tasks = bulkTasks(request, { jobName, ...attempt }, this.#threadCount);
    block.helpers = helpersOf(tasks);
    return this.#begin(block, tasks);
  }

  /**
   * The same for bytes that arrive while the write runs: a producer brings them through `inlet`, whatever kind of source the
   * request names. The write ends when the producer has, and fails if the producer fails or goes away; if the write fails
   * first, `done` rejects with the reason, and the producer is closed.
   * @param willRetry true if another attempt follows a failure of the producer: it may then go on with what arrived
   */
  runStream(
    request: WriteRequest,
    jobName: string,
    starts: number,
    willRetry: boolean = false,
    job: string = NO_JOB,
  ): RunningStream {
    const { block, attempt } = this.#takeSlot(starts, job);
    const { inlet, outlet: ring } = createRing(this.#arenas);
    this.#rings.add(inlet.control);
    const task = { request, jobKey: jobKeyOf(jobName, request), ...attempt, ring, willRetry };
    const running = this.#begin(block, [task]);
    return { ...running, inlet };
  }

  /** A job slot and a name on disk for one attempt. */
  #takeSlot(
    starts: number,
    job: string,
  ): { block: JobBlock; attempt: Pick<WriteTask, 'attemptToken' | 'again' | 'job' | 'jobSlot' | 'partPlace'> } {
    const jobSlot = this.#freeJobSlots.pop();
    if (jobSlot === undefined) throw new Error(`more than ${this.jobSlots} writes at once were handed to the pool`);
    const block = (this.#blocks[jobSlot] ??= this.#control.job(jobSlot));
    block.reset();
    return {
      block,
      attempt: { attemptToken: tokenOf(starts), again: starts > 1, job, jobSlot, partPlace: jobSlot * BULK_LANES },
    };
  }

  /** Each of `tasks`, which have one slot, is another thread's. */
  #begin(block: JobBlock, tasks: WriterTask[]): RunningWrite {
    const { jobSlot } = tasks[0]!;
    const sessions = this.#leastBusy(tasks.length);
    return {
      block,
      done: tasks.length === 1 ? this.#finish(sessions[0]!, tasks[0]!) : this.#finishAll(block, sessions, tasks),
      wake: () => sessions.forEach((session) => session.wake()),
      isSilent: () => this.silentSinceMs !== null,
      leave: (error) => {
        for (const session of sessions) if (session.leave(jobSlot, error)) this.#endIfDeaf(session);
      },
    };
  }

  /** A thread that left a write behind and neither turns nor is in a call would never end it: it is terminated. */
  #endIfDeaf(session: Session): void {
    const askedAt = turnTime();
    session.wake();
    const timer = startTimer(() => {
      if (session.threadIndex === -1) return; // not up yet
      const thread = this.#control.thread(session.threadIndex);
      if (thread.turnedSince(askedAt) || isInCall(thread.taskId)) return;
      session.kill('it did not stop when it was asked to, and was terminated');
    }, DEAF_MS);
    timer.unref();
  }

  /** To be called twice a second for `silentSinceMs` to be known. */
  watch(): void {
    this.#diskWatch.look(this.#sessions.keys());
  }

  /** Since when nothing has come back from the disk, in milliseconds of performance.now(); null while it answers. */
  get silentSinceMs(): number | null {
    return this.#diskWatch.silentSinceMs;
  }

  /** Writes that can be run besides those that run now. */
  get freeSlots(): number {
    return this.#freeJobSlots.length;
  }

  /** Resolves when the next large file is freed; null if none is being freed. */
  whenFreed(): Promise<void> | null {
    return this.#freer.whenFreed();
  }

  /** Large files whose blocks are being freed, of which a closed pool may leave some to the kernel. */
  get leftToFree(): { files: number; bytes: number } {
    return this.#freer.table.left;
  }

  /** Wakes every thread to look at the words that it shares with this one: they have changed. */
  wake(): void {
    for (const session of this.#sessions.keys()) session.wake();
  }

  async #finish(session: Session, task: WriterTask): Promise<ShortResult> {
    try {
      return await session.run(task);
    } finally {
      if (!session.isLeft(task.jobSlot)) this.#free(task);
    }
  }

  /** The same for a bulk's threads. If one fails, the work of the others is for nothing: they are stopped, and waited for. */
  async #finishAll(block: JobBlock, sessions: readonly Session[], tasks: readonly WriterTask[]): Promise<ShortResult> {
    this.#sharesOut.set(tasks[0]!.jobSlot, tasks.length);
    const blocks = [block, ...block.helpers];
    const failures: unknown[] = [];
    const runs = tasks.map(async (task, index) => {
      const session = sessions[index]!;
      try {
        return (await session.run(task)) as BulkResult;
      } catch (error) {
        failures.push(error);
        // While the slot is surely this job's still.
        if (block.stop === STOP_NONE) block.requestStop(STOP_SHUTDOWN);
        for (const other of sessions) other.wake();
        throw error;
      } finally {
        blocks[index]!.hasEnded = true;
        if (!session.isLeft(task.jobSlot)) this.#free(task);
      }
    });
    await Promise.allSettled(runs);
    if (failures.length > 0) throw failures[0]; // the others were stopped for it
    return joinResults(await Promise.all(runs));
  }

  /** Its thread is done with the task: the slot is free, unless another thread has a share in the job. */
  #free(task: WriterTask): void {
    const left = (this.#sharesOut.get(task.jobSlot) ?? 1) - 1;
    if (left > 0) {
      this.#sharesOut.set(task.jobSlot, left);
      return;
    }
    this.#sharesOut.delete(task.jobSlot);
    if ('ring' in task && task.ring !== undefined) this.#rings.delete(task.ring.control);
    this.#freeJobSlots.push(task.jobSlot);
    if (this.#freeJobSlots.length === this.jobSlots) this.#parking.begin();
    this.#onFree?.();
  }

  #endSessions(): void {
    for (const session of this.#sessions.keys()) session.end();
    this.#sessions.clear();
  }

  /** The `count` sessions with the fewest tasks, the least busy one first. */
  #leastBusy(count: number): Session[] {
    this.#openSessions(count);
    const found = leastBusyOf(this.#sessions.keys(), count);
    if (count > 1 || found[0]!.running === 0 || this.#cannotComeUp) return found;
    return this.#sessions.size < this.#threadCount ? [this.#openSession()] : found;
  }

  #openSessions(atLeast: number): void {
    while (this.#sessions.size < atLeast) this.#openSession();
  }

  #openSession(): Session {
    const session = new Session({
      askQueue: this.#askQueue,
      onReturn: (task) => this.#free(task),
      onFreeing: () => this.#freer.look(),
    });
    this.#sessions.set(session, this.#serve(session));
    return session;
  }

  /** A thread ended as it came up: Piscina keeps what it was to serve, the last sessions, in its queue for ever. */
  #endUnserved({ message }: Error): void {
    const served = this.#sessions.size - this.#piscina.queueSize;
    for (const session of [...this.#sessions.keys()].slice(served)) session.kill(message);
  }

  async #serve(session: Session): Promise<void> {
    const { far: port, killed: signal } = session;
    try {
      // Piscina's abort is terminate(): for a thread that takes no message any more.
      await this.#piscina.run({ port } satisfies WriterSession, { transferList: [port], signal });
    } catch (error) {
      await this.#died(session, signal.aborted ? (signal.reason as Error) : (error as Error));
    } finally {
      session.close();
    }
  }

  async #died(session: Session, cause: Error): Promise<void> {
    this.#sessions.delete(session);
    if (!session.isReady) this.#cannotComeUp = true;
    const unanswered = session.takeUnanswered();
    await this.#afterDeath.deadAreGone(this.#piscina.threads);
    this.#onThreadDeath?.(cause);
    this.#freer.look(); // its message may have died with it
    await this.#afterDeath.closeLeftOpen(unanswered.map(({ task }) => task));
    rejectAll(unanswered, cause, (task) => this.#free(task));
  }

  /**
   * Ends the threads and destroys their contexts. The running writes must be over, or left behind: stop them first.
   * Resolves with false, soon, if a thread hangs that left writes behind: it keeps what it has, and the process can only end
   * by exitNow().
   */
  close(): Promise<boolean> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<boolean> {
    this.#closing = true;
    this.#parking.end();
    this.#afterDeath.expectEnds();
    this.#afterDeath.watch(this.#piscina.threads);
    // Terminated while it still loads koffi, a thread aborts the process: each is let come up, and then return.
    // If the entry cannot be loaded, a further session would never be served.
    if (!this.#cannotComeUp) this.#openSessions(this.#piscina.threads.length);
    let leftBehind = this.#afterDeath.isBusy;
    for (const session of this.#sessions.keys()) {
      session.end();
      leftBehind ||= session.leftBehind > 0;
    }
    const gone = this.#giveBack().then(() => true);
    if (!leftBehind && !this.#freer.table.isBusy) return gone;
    return Promise.race([gone, setTimeout(leftBehind ? LEFT_MS : FREEING_MS, false)]);
  }

  async #giveBack(): Promise<void> {
    await Promise.all(this.#sessions.values());
    await this.#piscina.destroy();
    await this.#afterDeath.close();
    await this.#freer.close();
    heldArenas.delete(this.#arenas);
  }
}
