/**
 * The writer pool: Piscina threads, the row memory and control words they share with this thread, and the cleaning up
 * after a thread that died.
 *
 * AIO contexts and descriptors belong to the process, not to the thread: whatever ends a thread (an exception,
 * terminate(), the pool's own end) leaves them behind, so this side destroys and closes them once the thread is gone.
 */
import { performance } from 'node:perf_hooks';
import { setTimeout as startTimer } from 'node:timers';
import { setTimeout } from 'node:timers/promises';
import { type Worker, isMainThread } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { native } from '@penstock/native';
import { IoError, type JobRequest, type JobResult, PHASES, type WriteRequest } from '@penstock/contract';
import {
  type ArenaMemory,
  Control,
  type JobBlock,
  RateTable,
  type RingInlet,
  type ThreadBlock,
  closeRingOf,
  createArenaMemory,
  createRing,
  turnTime,
} from '@penstock/matrix';
import {
  type AskQueue,
  askNobody,
  BULK_LANES,
  CHECKPOINTS_DEFAULT,
  NO_JOB,
  type PartFiles,
  jobKeyOf,
  tokenOf,
} from '@penstock/sink';
import { type RootConfig, RootWords } from '@penstock/disk';
import type { EngineChoice } from '@penstock/aio';
import { type WriterSession, type WriterSetup, type WriteTask, type WriterTask, writerEntry } from '../protocol.ts';
import type { LeftOpen } from './left-open.ts';
import { Session, type Unanswered } from './session.ts';
import { Silence } from './silence.ts';
import { isInCall } from './thread-call.ts';
import { Undertaker } from './undertaker.ts';

export interface PoolOptions {
  threads: number;
  /** iocbs in flight at once, per thread. */
  depth: number;
  /** Writes that run at once on one thread. */
  jobs: number;
  /** Row memory of all threads together. */
  memoryBytes: number;
  roots: RootConfig[];
  /** The limits of the host and its roots, in the order of the roots, where several pools keep to them; absent: its own. */
  rates?: RateTable;
  /** Where segments of shared memory are looked for, when a job names one; absent: nowhere. */
  shmDirectory?: string;
  /** The group whose members may put them there, besides this process's user; absent: nobody. */
  shmGroupId?: number | undefined;
  engine: EngineChoice;
  /** A running write records how far it is after so many bytes. */
  checkpointBytes?: number;
  libaio?: string;
  /** Where partial files are recorded, for who has to find them after this process was killed; absent: nowhere. */
  partFiles?: PartFiles | undefined;
  /** The thread's entry; for tests that need a thread to die. */
  entry?: URL;
  /** Answers what a write has to ask about the jobs that its file names; absent: nobody knows them. */
  askQueue?: AskQueue;
  /** Called when a thread died and was cleaned up after. */
  onThreadDeath?: (error: Error) => void;
  /** Called when a write's slot is free again. */
  onFree?: () => void;
  /**
   * After so many milliseconds without a write the sessions end and their threads are parked, and then the pool keeps
   * its process alive no more; the next write wakes them. Absent: they stay awake, and the process with them.
   */
  idleMs?: number;
}

/** One attempt that runs now. */
export interface RunningWrite {
  readonly block: JobBlock;
  readonly done: Promise<JobResult>;
  /** To be called after a change of the block that the thread shall heed though it may wait for nothing else. */
  look(): void;
  /** True while nothing comes back from the disk, as far as watch() has seen. */
  isSilent(): boolean;
  /**
   * For a write that did not end though it was asked to stop: `done` rejects with `error` now. Its slot, its rows and what
   * it has open stay its thread's until that has ended it. A thread that hangs in no call is terminated; its other writes
   * reject as retryable once it is gone, its context destroyed and what it had open closed, and another takes its place.
   */
  leave(error: Error): void;
}

/** What a write rejects with whose thread ended. */
export interface WriterDied extends Error {
  code: 'EWRITERDIED';
  retryable: true;
  /** True where it was most likely not this write that ended the thread: others ran beside it. */
  blameless: boolean;
}

/** One attempt whose bytes arrive while it runs. */
export interface RunningStream extends RunningWrite {
  /** For a RingProducer, here or on another thread: the port is transferred then. */
  readonly inlet: RingInlet;
}

/** How long a thread that left a write behind may take to turn, or to be found in a call, before it counts as deaf. */
const DEAF_MS = 1000;
/** How long a closing pool waits for a thread that left writes behind. */
const LEFT_MS = 500;

/** A producer that was copying into a dead thread's rows when it died: a row takes it well under a millisecond. */
const COPY_LOOKS_MAX = 200;
const COPY_LOOK_MS = 5;

/** Factor of the phase in a number that holds it and the bytes written, which are fewer. */
const SEEN_PHASE = 2 ** 48;

// Row memory must outlive whatever still writes from it: it is held here until its contexts are destroyed.
const heldArenas = new Set<ArenaMemory[]>();

export class WriterPool {
  readonly jobSlots: number;
  /** Row memory of one thread. */
  readonly rowBudgetBytes: number;
  /** The limits of the host and its roots, in the order of the roots. */
  readonly rates: RateTable;
  /** What mount each root is to be found on, in the order of the roots; any at first. */
  readonly rootWords: RootWords;
  readonly #control: Control;
  readonly #arenas: ArenaMemory[];
  readonly #piscina: Piscina;
  readonly #threadCount: number;
  /** One for each thread, and when it has ended; a dead thread's is made anew with the next task. */
  readonly #sessions = new Map<Session, Promise<void>>();
  /** Of the streams that run. */
  readonly #rings = new Set<SharedArrayBuffer>();
  readonly #freeJobSlots: number[];
  readonly #exits = new Map<number, Promise<void>>();
  readonly #undertaker = new Undertaker();
  /** By job slot: made with the first write that has it. */
  readonly #blocks: JobBlock[] = [];
  /** By job slot: how far its write was when it was looked at last. */
  readonly #seenBytes: Float64Array;
  readonly #silence = new Silence();
  /** By thread slot: when it was looked at last, of turnTime(), and whether it was asked to turn. */
  readonly #lookedAt: Int32Array;
  readonly #asked: Uint8Array;
  readonly #onThreadDeath: ((error: Error) => void) | undefined;
  readonly #onFree: (() => void) | undefined;
  readonly #askQueue: AskQueue;
  readonly #idleMs: number | undefined;
  #idle: NodeJS.Timeout | undefined;
  #idleSinceMs = 0;
  /** A thread died before it served. */
  #cannotComeUp = false;
  #closing = false;
  #closed: Promise<boolean> | undefined;

  constructor(options: PoolOptions) {
    const { threads, depth, jobs, engine } = options;
    this.jobSlots = threads * jobs;
    this.#threadCount = threads;
    this.#onThreadDeath = options.onThreadDeath;
    this.#onFree = options.onFree;
    this.#askQueue = options.askQueue ?? askNobody;
    this.#idleMs = options.idleMs;
    // Twice the slots: the replacement of a dead thread starts before the dead one's rows are known to be quiet.
    const threadSlots = threads * 2;
    this.#control = new Control(threadSlots, this.jobSlots);
    this.rates = options.rates ?? new RateTable(options.roots.length);
    this.#seenBytes = new Float64Array(this.jobSlots);
    this.#lookedAt = new Int32Array(threadSlots).fill(turnTime());
    this.#asked = new Uint8Array(threadSlots);
    this.rootWords = new RootWords(threadSlots, options.roots.length);
    this.rowBudgetBytes = Math.floor(options.memoryBytes / threads);
    this.#arenas = Array.from({ length: threadSlots }, () => createArenaMemory(this.rowBudgetBytes));
    heldArenas.add(this.#arenas);
    this.#freeJobSlots = Array.from({ length: this.jobSlots }, (_, index) => this.jobSlots - 1 - index);
    const setup: WriterSetup = {
      control: this.#control.buffer,
      threadSlots,
      jobSlots: this.jobSlots,
      arenas: this.#arenas,
      rates: this.rates.buffer,
      depth,
      cleansUpItself: !isMainThread,
      roots: options.roots,
      rootWords: this.rootWords.buffer,
      engine,
      ...(options.checkpointBytes === undefined
        ? {}
        : { checkpoints: { ...CHECKPOINTS_DEFAULT, bytes: options.checkpointBytes } }),
      ...(options.shmDirectory === undefined
        ? {}
        : { segments: { directory: options.shmDirectory, groupId: options.shmGroupId } }),
      ...(options.libaio === undefined ? {} : { libaio: options.libaio }),
      ...(options.partFiles === undefined ? {} : { partFiles: options.partFiles }),
    };
    this.#piscina = new Piscina({
      filename: (options.entry ?? writerEntry).href,
      minThreads: threads,
      maxThreads: threads,
      idleTimeout: Number.POSITIVE_INFINITY,
      workerData: setup,
      execArgv: [], // what the program preloads would run in each thread, and open its writer there again
      env: {}, // likewise NODE_OPTIONS
      // A worker that ends would close its files, under writes that are still in flight.
      trackUnmanagedFds: false,
      recordTiming: false,
    });
    this.#piscina.on('error', (error: Error) => this.#onThreadDeath?.(error));
    this.#piscina.on('workerCreate', () => this.#watchExits());
  }

  /** Threads that run now. */
  get threads(): number {
    return this.#piscina.threads.length;
  }

  /**
   * Resolves when every thread is up. Before that the process must not exit: a thread terminated while it loads koffi
   * aborts it. Rejects where a thread ends instead; onThreadDeath was called with the reason.
   */
  async ready(): Promise<void> {
    this.#openMissingSessions();
    await Promise.all(
      [...this.#sessions].map(([session, ended]) =>
        Promise.race([
          session.ready,
          ended.then(() => Promise.reject(new Error('a writer thread ended as it started'))),
        ]),
      ),
    );
    this.#parkWhenIdle();
  }

  /**
   * Starts one attempt. `jobName` names the job for ever; an id alone does not: BullMQ counts from 1 in every Redis.
   * `starts` numbers its attempts, each once, and none of a later attempt is lower: above 1, what those with lower numbers
   * left behind is taken over or removed.
   * @param job how `askQueue` knows the job; absent for a write that nobody tries again
   */
  run(request: JobRequest, jobName: string, starts: number, job: string = NO_JOB): RunningWrite {
    const { block, attempt } = this.#takeSlot(starts, job);
    if ('files' in request) {
      // Words of the bulk's own, gone with it: few jobs are bulks, and they need many.
      const lanes = new Control(0, Math.min(BULK_LANES, request.files.length));
      const bulk = { bulk: request, jobName, lanes: lanes.buffer, laneCount: lanes.jobs };
      return this.#begin(block, { ...bulk, ...attempt });
    }
    return this.#begin(block, { request, jobKey: jobKeyOf(jobName, request), ...attempt });
  }

  /**
   * The same for bytes that arrive while the write runs: whoever holds `inlet` brings them, of whatever kind the request
   * says its source is. The write ends when the producer has, and fails if the producer does or goes away; if the write
   * fails first, `done` rejects with the reason, and the producer hears that nothing is taken any more.
   * @param willRetry true where another attempt follows if the producer fails: what it brought may then be gone on with
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
    const running = this.#begin(block, { request, jobKey: jobKeyOf(jobName, request), ...attempt, ring, willRetry });
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

  #begin(block: JobBlock, task: WriterTask): RunningWrite {
    const session = this.#leastBusy();
    return {
      block,
      done: this.#finish(session, task),
      look: () => session.look(),
      isSilent: () => this.silentSinceMs !== null,
      leave: (error) => {
        if (session.leave(task.jobSlot, error)) this.#endIfDeaf(session);
      },
    };
  }

  /** A thread that left a write behind and neither turns nor is in a call would never end it: it is terminated. */
  #endIfDeaf(session: Session): void {
    const askedAt = turnTime();
    session.look();
    const timer = startTimer(() => {
      if (session.threadIndex === -1) return; // not up yet
      const thread = this.#control.thread(session.threadIndex);
      if (thread.turnedSince(askedAt) || isInCall(thread.taskId)) return;
      session.kill('it did not stop when it was asked to, and was terminated');
    }, DEAF_MS);
    timer.unref();
  }

  /** To be called twice a second while somebody wants to know whether the disk answers. */
  watch(): void {
    let progressed = false;
    let stuck = false;
    for (const session of this.#sessions.keys()) {
      if (session.answered > 0) progressed = true;
      session.answered = 0;
      if (session.running === 0) continue;
      const { threadIndex } = session;
      // A flush may take its time: what is waited for is rows.
      const rowsInFlight = threadIndex !== -1 && this.#control.thread(threadIndex).inFlight > 0;
      if (this.#stands(session)) stuck = true;
      for (const slot of session.slots) {
        const { phase, bytesWritten } = this.#blocks[slot]!.read();
        const seen = PHASES.indexOf(phase) * SEEN_PHASE + bytesWritten;
        if (this.#seenBytes[slot] !== seen) progressed = true;
        this.#seenBytes[slot] = seen;
        if (rowsInFlight && phase === 'writing') stuck = true;
      }
    }
    this.#silence.take({ progressed, stuck }, performance.now());
  }

  /** True of a thread that was asked to turn at the last look, and has not. */
  #stands(session: Session): boolean {
    const { threadIndex } = session;
    if (threadIndex === -1) return false; // not up yet
    const turned = this.#control.thread(threadIndex).turnedSince(this.#lookedAt[threadIndex]!);
    this.#lookedAt[threadIndex] = turnTime();
    if (!turned && this.#asked[threadIndex] === 1) return true;
    this.#asked[threadIndex] = turned ? 0 : 1;
    if (!turned) session.look(); // one with nothing in flight rests
    return false;
  }

  /** Since when nothing has come back from the disk, in milliseconds of performance.now(); null while it answers. */
  get silentSinceMs(): number | null {
    return this.#silence.sinceMs;
  }

  /** Writes that can be run besides those that run now. */
  get freeSlots(): number {
    return this.#freeJobSlots.length;
  }

  /** Has every thread look at the limits: they have changed. */
  look(): void {
    for (const session of this.#sessions.keys()) session.look();
  }

  async #finish(session: Session, task: WriterTask): Promise<JobResult> {
    try {
      return await session.run(task);
    } finally {
      if (!session.isLeft(task.jobSlot)) this.#free(task);
    }
  }

  /** Its thread is done with the task. */
  #free(task: WriterTask): void {
    if ('ring' in task && task.ring !== undefined) this.#rings.delete(task.ring.control);
    this.#freeJobSlots.push(task.jobSlot);
    if (this.#idleMs !== undefined && this.#freeJobSlots.length === this.jobSlots) this.#parkWhenIdle();
    this.#onFree?.();
  }

  #parkWhenIdle(): void {
    if (this.#idleMs === undefined) return;
    this.#idleSinceMs = performance.now();
    // A timer anew for each pause would cost more than a small write: the one that runs looks how long the last is.
    this.#idle ??= startTimer(() => this.#park(), this.#idleMs);
  }

  #park(): void {
    this.#idle = undefined;
    if (this.#closing || this.#freeJobSlots.length < this.jobSlots) return; // it is asked again after the last write
    const leftMs = this.#idleSinceMs + this.#idleMs! - performance.now();
    if (leftMs > 1) {
      this.#idle = startTimer(() => this.#park(), leftMs);
      return;
    }
    for (const session of this.#sessions.keys()) session.end();
    this.#sessions.clear();
  }

  #leastBusy(): Session {
    this.#openMissingSessions();
    let least: Session | undefined;
    for (const session of this.#sessions.keys())
      if (least === undefined || session.running < least.running) least = session;
    return least!;
  }

  #openMissingSessions(): void {
    while (this.#sessions.size < this.#threadCount) {
      const session = new Session({ askQueue: this.#askQueue, onReturn: (task) => this.#free(task) });
      this.#sessions.set(session, this.#serve(session));
    }
  }

  async #serve(session: Session): Promise<void> {
    const { far: port, killed: signal } = session;
    try {
      // Piscina's abort is terminate(): for a thread that will not hear.
      await this.#piscina.run({ port } satisfies WriterSession, { transferList: [port], signal });
    } catch (error) {
      await this.#afterDeath(session, signal.aborted ? (signal.reason as Error) : (error as Error));
    } finally {
      session.close();
    }
  }

  async #afterDeath(session: Session, cause: Error): Promise<void> {
    this.#sessions.delete(session);
    if (!session.isReady) this.#cannotComeUp = true;
    const unanswered = session.takeUnanswered();
    await this.#deadAreGone();
    this.#onThreadDeath?.(cause);
    if (isMainThread) await this.#undertaker.closeLeftOpen(unanswered.map(({ task }) => this.#leftOpenOf(task)));
    this.#rejectAll(unanswered, cause);
  }

  #rejectAll(unanswered: readonly Unanswered[], cause: Error): void {
    const blameless = unanswered.length > 1;
    for (const { task, reject, left } of unanswered) {
      const died = new Error(`the writer thread ended during the write: ${cause.message}`, { cause });
      if (left) this.#free(task);
      else
        reject(Object.assign(died, { code: 'EWRITERDIED', retryable: true, blameless } as const) satisfies WriterDied);
    }
  }

  /** Waits until the threads that are no longer Piscina's are gone and their contexts destroyed. */
  async #deadAreGone(): Promise<void> {
    const running = new Set(this.#piscina.threads.map((thread) => thread.threadId));
    await Promise.all([...this.#exits].filter(([threadId]) => !running.has(threadId)).map(([, exited]) => exited));
  }

  /** Which words record what a dead thread's attempt left open. */
  #leftOpenOf(task: WriterTask): LeftOpen {
    const { attemptToken, jobSlot: firstSlot } = task;
    if ('bulk' in task) {
      return {
        control: task.lanes,
        threads: 0,
        jobs: task.laneCount,
        firstSlot: 0,
        slots: task.laneCount,
        attemptToken,
      };
    }
    const { buffer: control, threads, jobs } = this.#control;
    return { control, threads, jobs, firstSlot, slots: 1, attemptToken };
  }

  #watchExits(): void {
    for (const thread of this.#piscina.threads) {
      const { threadId } = thread;
      if (threadId > 0 && !this.#exits.has(threadId)) this.#exits.set(threadId, this.#exitOf(thread, threadId));
    }
  }

  async #exitOf(thread: Worker, threadId: number): Promise<void> {
    await new Promise<void>((resolve) => {
      thread.once('exit', () => resolve());
    });
    for (let index = 0; index < this.#control.threads; index += 1) {
      const block = this.#control.thread(index);
      if (block.threadId !== threadId) continue;
      // Waits for what is still in flight, so the rows are quiet afterwards. The thread is gone: no one is in reap.
      // oxlint-disable-next-line no-await-in-loop -- a thread has one block
      const result = block.context === 0 || !isMainThread ? 0 : await this.#destroy(block);
      await this.#ringsAreQuiet(index);
      if (result === 0) this.#forgetPages(index);
      const rootFds = this.rootWords.take(index);
      if (isMainThread) for (const fd of rootFds) native.close(fd); // else the thread itself has
      block.release();
      if (result < 0) this.#onThreadDeath?.(new IoError({ syscall: 'io_destroy', errno: result }));
    }
    this.#exits.delete(threadId);
  }

  async #destroy({ context, inFlight }: ThreadBlock): Promise<number> {
    // After an orderly end nothing is in flight, and there is nothing to wait for.
    if (this.#closing && inFlight === 0) return native.syscallAio().destroy(context);
    return this.#undertaker.destroy(context);
  }

  /** Closes the rings into a dead thread's rows: its arena is another thread's next. */
  async #ringsAreQuiet(thread: number): Promise<void> {
    for (const control of this.#rings) {
      // oxlint-disable-next-line no-await-in-loop -- nearly never waited for at all
      for (let looks = 0; !closeRingOf(control, thread) && looks < COPY_LOOKS_MAX; looks += 1)
        await setTimeout(COPY_LOOK_MS);
    }
  }

  /** Gives the touched pages of a dead thread's rows back, so that its replacement's do not come on top of them. */
  #forgetPages(index: number): void {
    const { buffer, start, sizeBytes } = this.#arenas[index]!;
    native.madvise(native.addressOf(new Uint8Array(buffer, start)), sizeBytes, native.MADV_DONTNEED);
  }

  /**
   * Ends the threads and destroys their contexts. The running writes must be over, or left behind: stop them first.
   * Resolves with false, soon, where a thread hangs that left writes behind: it keeps what it has, and the process cannot
   * end but by exitNow().
   */
  close(): Promise<boolean> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<boolean> {
    this.#closing = true;
    clearTimeout(this.#idle);
    this.#watchExits();
    // Terminated while it still loads koffi, a thread aborts the process: each is let come up, and then return.
    // Where the entry cannot be loaded nobody would ever serve a further session.
    if (!this.#cannotComeUp) this.#openMissingSessions();
    let leftBehind = this.#undertaker.isBusy;
    for (const session of this.#sessions.keys()) {
      session.end();
      leftBehind ||= session.leftBehind > 0;
    }
    const gone = this.#giveBack().then(() => true);
    return leftBehind ? Promise.race([gone, setTimeout(LEFT_MS, false)]) : gone;
  }

  async #giveBack(): Promise<void> {
    await Promise.all(this.#sessions.values());
    await this.#piscina.destroy();
    await Promise.all(this.#exits.values());
    await this.#undertaker.close();
    heldArenas.delete(this.#arenas);
  }
}
