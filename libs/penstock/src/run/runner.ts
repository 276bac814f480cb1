/** The engine in this process: writes take their turn, run on a thread, are watched, and end as their caller expects. */
import { randomUUID } from 'node:crypto';
import {
  type JobResult,
  isBulkResult,
  noProgress,
  RequestError,
  WriteAbortedError,
  type WriteRequest,
} from '@penstock/contract';
import { type JobBlock, RingProducer, STOP_CANCEL } from '@penstock/matrix';
import { ProgressMeter, type RunningWrite, type WriterPool, stopRunning } from '@penstock/writer';
import { AbortError, throwIfAborted } from './abort.ts';
import { endWithProcess, type Waiting } from './exit.ts';
import type { CallOptions, FileResult, FlushOptions } from '../arguments/options.ts';
import { Turns } from './turns.ts';

/** How often a running write is sampled, where somebody wants to know. */
const SAMPLE_MS = 500;

/** How long an aborted write may take to stop, before it is left to its disk. */
const STOP_GRACE_MS = 10_000;

/** An hour. */
const FLUSH_AFTER_MS_MAX = 3_600_000;

/** A write that runs. */
export interface Attempt {
  /** Settles when nothing of it is left to be done. */
  ended: Promise<FileResult>;
}

/** A write whose bytes the program brings. */
export interface StreamAttempt extends Attempt {
  producer: RingProducer;
  request: WriteRequest;
}

/** Options of a write whose bytes the program brings. */
export interface StreamOptions extends CallOptions, FlushOptions {
  /** True where bytes stay in a file that is changed where it stands, though no more of them come. */
  keeps?: boolean;
  /** True where the bytes are there already: the write does not wait for the program, and so not long for the others. */
  isWhole?: boolean;
  /** What was written and waits to be pushed, should the process end. */
  waiting?: Waiting;
}

/** What may run at once, all threads together. */
export interface EngineLimits {
  /** Writes whose bytes are there, or are read or computed. */
  jobs: number;
  /** Streams, which may be open for long without a byte. */
  streams: number;
}

export class Engine {
  readonly #pool: WriterPool;
  readonly #turns: Turns;
  readonly #streamTurns: Turns;
  /** Writes that run or wait for their turn. */
  readonly #open = new Set<Promise<unknown>>();
  /** With a count it names each write of this engine, as no other engine ever does. */
  readonly #name = randomUUID();
  #count = 0;
  #refuses = false;

  /** @param limits in all no more than the pool has job slots */
  constructor(pool: WriterPool, { jobs, streams }: EngineLimits) {
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

  /** The same of a request whose source is a stream. */
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
      await whileTold(turns, onProgress, () => turns.take(signal));
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
      // A stream closes when its file is as it stays: a slow flush is waited for, and a silent disk is not.
      forgetStop = stopRunning(running, STOP_CANCEL, STOP_GRACE_MS, { awaited: producer !== null });
      producer?.fail(new WriteAbortedError('cancel')); // wakes a write that waits for bytes
    };
    if (signal?.aborted === true) stop();
    signal?.addEventListener('abort', stop, { once: true });
    const watch = onProgress == null ? null : this.#watchProgress(block, onProgress);
    try {
      const result = ofLibrary(await done);
      watch?.tell();
      return result;
    } catch (error) {
      if (signal?.aborted === true && error instanceof WriteAbortedError) throw new AbortError(signal);
      throw error;
    } finally {
      forgetStop();
      watch?.end();
      signal?.removeEventListener('abort', stop); // from here on the block is another write's
      turns.release();
    }
  }

  #watchProgress(
    block: JobBlock,
    onProgress: NonNullable<CallOptions['onProgress']>,
  ): { tell: () => void; end: () => void } {
    const meter = new ProgressMeter(this.#pool.rowBudgetBytes);
    const tell = (): void => onProgress(meter.progress(block.read(), block.rowsWaitedFor()));
    const timer = setInterval(tell, SAMPLE_MS);
    return { tell, end: () => clearInterval(timer) };
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

/** Reports to `onProgress` why nothing happens, for as long as `wait` waits for a turn. */
async function whileTold(
  turns: Turns,
  onProgress: CallOptions['onProgress'],
  wait: () => Promise<void>,
): Promise<void> {
  const tell = (): void =>
    onProgress?.({ ...noProgress('waiting'), note: `waiting for its turn: ${turns.count} ${turns.what}` });
  const timer = onProgress != null && turns.areTaken ? setInterval(tell, SAMPLE_MS) : undefined;
  try {
    await wait();
  } finally {
    clearInterval(timer);
  }
}

/** In milliseconds; -1 for never. @throws RequestError */
export function flushTime(ms: number | undefined): number | undefined {
  if (ms === undefined) return undefined;
  if (ms === Number.POSITIVE_INFINITY) return -1;
  if (Number.isInteger(ms) && ms >= 1 && ms <= FLUSH_AFTER_MS_MAX) return ms;
  const accepted = `milliseconds from 1 to ${FLUSH_AFTER_MS_MAX}, or Infinity`;
  throw new RequestError({ field: 'flushAfterMs', value: ms, accepted });
}

/** At once: the thread has a file to open before its first row asks. */
function limited<T extends RunningWrite>(running: T, { limit }: WriteRequest): T {
  if (limit !== undefined && limit.bytesPerSecond > 0) running.block.rate.set(limit.bytesPerSecond);
  return running;
}

function ofLibrary(result: JobResult): FileResult {
  if (isBulkResult(result)) throw new Error('a bulk was written where one file was asked for');
  const { root: _root, host: _host, ...rest } = result;
  return { ...rest, path: `/${result.path}` };
}
