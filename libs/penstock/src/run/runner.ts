/** Runs the writes of this process: each takes its turn, runs on a thread, is watched, and ends as its caller expects. */
import { randomUUID } from 'node:crypto';
import {
  completeResult,
  type ShortResult,
  type WireError,
  WriteAbortedError,
  type WriteRequest,
  fromWire,
  isBulkResult,
  noProgress,
} from '@penstock/contract';
import { type JobBlock, RingProducer, STOP_CANCEL } from '@penstock/matrix';
import { ProgressMeter, type RunningWrite, type WriterPool, stopRunning } from '@penstock/writer';
import { AbortError, throwIfAborted } from './abort.ts';
import { endWithProcess, type Waiting } from './exit.ts';
import { type CallOptions, type FileResult, type FlushOptions, flushTime } from '../arguments/options.ts';
import { Turns } from './turns.ts';

/** How often a running write is sampled, if its caller wants progress. */
const SAMPLE_MS = 500;

/** How long an aborted write may take to stop, before it is left to its disk. */
const STOP_GRACE_MS = 10_000;

/** A write that runs. */
export interface Attempt {
  /** Resolves or rejects when nothing of it is left to be done. */
  ended: Promise<FileResult>;
}

/** A write whose bytes the program brings. */
export interface StreamAttempt extends Attempt {
  producer: RingProducer;
  request: WriteRequest;
}

/** Options of a write whose bytes the program brings. */
export interface StreamOptions extends CallOptions, FlushOptions {
  /** True if a file that is changed in place keeps its bytes, also when no more of them come. */
  keeps?: boolean;
  /** True if all bytes are there already: the write does not wait for the program, and so does not hold up the others. */
  isWhole?: boolean;
  /** What was written and waits for rows: it is pushed if the process ends. */
  waiting?: Waiting;
}

/** What may run at once, all threads together. */
export interface RunnerLimits {
  /** Writes whose bytes are there, or are read or computed. */
  jobs: number;
  /** Streams, which may be open for long without a byte. */
  streams: number;
}

export class WriteRunner {
  readonly #pool: WriterPool;
  readonly #turns: Turns;
  readonly #streamTurns: Turns;
  /** Writes that run or wait for their turn. */
  readonly #open = new Set<Promise<unknown>>();
  /** With a count it names each write of this runner, uniquely among all processes. */
  readonly #name = randomUUID();
  #count = 0;
  #refuses = false;

  /** @param limits in all no more than the pool has job slots */
  constructor(pool: WriterPool, { jobs, streams }: RunnerLimits) {
    this.#pool = pool;
    this.#turns = new Turns(jobs, 'writes run at once (threads x jobs)');
    this.#streamTurns = new Turns(streams, 'streams are open at once (threads x streams)');
  }

  /**
   * Begins what `prepare` asks for; resolves when it is its turn, with the write under way. close() waits for it from
   * now on. Rejects with AbortError when the signal is aborted first.
   */
  async begin(prepare: () => Promise<WriteRequest>, options: CallOptions): Promise<Attempt> {
    const { request, name } = await this.#takeTurn(this.#turns, prepare, options);
    const running = limited(this.#pool.run(request, name, 1), request);
    return { ended: this.#track(this.#follow(running, null, this.#turns, options)) };
  }

  /** As begin(), for a request whose source is a stream. */
  async beginStream(prepare: () => Promise<WriteRequest>, options: StreamOptions): Promise<StreamAttempt> {
    const flushAfterMs = flushTime(options.flushAfterMs);
    const turns = options.isWhole === true ? this.#turns : this.#streamTurns;
    const { request, name } = await this.#takeTurn(turns, prepare, options);
    const running = limited(this.#pool.runStream(request, name, 1), request);
    const producer = new RingProducer(running.inlet);
    const isSeen = request.publish === 'in-place';
    producer.arrange({ keeps: isSeen && options.keeps === true, flushAfterMs });
    const ended = this.#track(this.#follow(running, producer, turns, options));
    if (isSeen) endWithProcess(producer, ended, options.waiting);
    return { producer, request, ended };
  }

  #takeTurn(
    turns: Turns,
    prepare: () => Promise<WriteRequest>,
    { signal, onProgress }: CallOptions,
  ): Promise<{ request: WriteRequest; name: string }> {
    const turn = async (): Promise<{ request: WriteRequest; name: string }> => {
      throwIfAborted(signal);
      const request = await prepare();
      await whileReporting(turns, onProgress, () => turns.take(signal));
      return { request, name: `${this.#name}-${(this.#count += 1)}` };
    };
    return this.#track(turn());
  }

  async #follow(
    running: RunningWrite,
    producer: RingProducer | null,
    turns: Turns,
    { signal, onProgress }: CallOptions,
  ): Promise<FileResult> {
    const { block, done } = running;
    let forgetStop = (): void => {};
    const stop = (): void => {
      // A stream closes when its file has its final state: a slow flush is waited for, a silent disk is not.
      forgetStop = stopRunning(running, STOP_CANCEL, STOP_GRACE_MS, { awaited: producer !== null });
      producer?.fail(new WriteAbortedError('cancel')); // wakes a write that waits for bytes
    };
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const watch = onProgress == null ? null : this.#watchProgress(block, onProgress);
    try {
      const result = asFileResult(await done);
      watch?.report();
      return result;
    } catch (caught) {
      const error = caught instanceof Error ? caught : fromWire(caught as WireError); // plain data from its thread
      if (signal?.aborted === true && error instanceof WriteAbortedError) throw new AbortError(signal);
      throw error;
    } finally {
      forgetStop();
      watch?.end();
      signal?.removeEventListener('abort', stop); // from here on the block belongs to another write
      turns.release();
    }
  }

  #watchProgress(
    block: JobBlock,
    onProgress: NonNullable<CallOptions['onProgress']>,
  ): { report: () => void; end: () => void } {
    const meter = new ProgressMeter(this.#pool.rowBudgetBytes);
    const report = (): void => onProgress(meter.progress(block.read(), block.rowsWaitedFor()));
    const timer = setInterval(report, SAMPLE_MS);
    return { report, end: () => clearInterval(timer) };
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#open.add(work);
    const forget = (): void => void this.#open.delete(work);
    work.then(forget, forget);
    return work;
  }

  /** @throws once no more writes are taken */
  assertOpen(): void {
    if (this.#refuses) throw new Error('the writer was closed: open another');
  }

  /** Takes no more writes. */
  refuse(): void {
    this.#refuses = true;
  }

  /** Lets the writes that were begun end, and gives threads, memory and contexts back. */
  async close(): Promise<void> {
    this.refuse();
    while (this.#open.size > 0) await Promise.allSettled(this.#open);
    await this.#pool.close();
  }
}

/** Waits for a turn, and reports to `onProgress` meanwhile why nothing happens. */
async function whileReporting(
  turns: Turns,
  onProgress: CallOptions['onProgress'],
  wait: () => Promise<void>,
): Promise<void> {
  const report = (): void =>
    onProgress?.({ ...noProgress('waiting'), note: `waiting for its turn: ${turns.count} ${turns.what}` });
  const timer = onProgress != null && turns.areTaken ? setInterval(report, SAMPLE_MS) : undefined;
  try {
    await wait();
  } finally {
    clearInterval(timer);
  }
}

/** Sets the write's own limit in time: the thread has to open a file before its first row is paced. */
function limited<T extends RunningWrite>(running: T, { limit }: WriteRequest): T {
  if (limit !== undefined && limit.bytesPerSecond > 0) running.block.rate.set(limit.bytesPerSecond);
  return running;
}

function asFileResult(result: ShortResult): FileResult {
  if (isBulkResult(result)) throw new Error('a bulk was written where one file was asked for');
  const { root: _root, host: _host, ...rest } = completeResult(result);
  return { ...rest, path: `/${result.path}` };
}
