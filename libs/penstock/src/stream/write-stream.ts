/** A stream into a file: a stand-in for what `fs.createWriteStream` returns, written by the engine. */
import { performance } from 'node:perf_hooks';
import { Writable, addAbortSignal } from 'node:stream';
import { finished } from 'node:stream/promises';
import type { RingProducer } from '@penstock/matrix';
import type { WriteRunner } from '../run/runner.ts';
import type { FileResult } from '../arguments/options.ts';
import { findTarget, openedAs, refusedOpen } from '../arguments/paths.ts';
import { type StreamArguments, streamRequest } from './stream-arguments.ts';

/** A disk that hangs must not keep a stream that was destroyed. */
const DESTROY_GRACE_MS = 10_000;

/** How long destroy() itself waits until what was written is in the file; after that only `'close'` shows that it is. */
const DESTROY_BLOCKS_MS = 100;

const NOT_IN_TIME = `not all that was written came into the file within ${DESTROY_GRACE_MS} ms after the stream was destroyed`;

const NO_BYTES = Buffer.alloc(0);

/**
 * A Writable whose bytes go straight into the rows that the kernel writes from; write() returns false when none is free.
 *
 * `'finish'` comes once the file is in its place and durable. Destroyed before that, it leaves no file, and what stood
 * there is untouched. With flags `'a'`, `'ax'` and `'r+'` the file is changed where it stands: it has what was written,
 * however the stream ends.
 *
 * Of `fs.WriteStream` it has `path`, `flags`, `mode`, `start`, `bytesWritten`, `pending`, close(), and the events `'open'`
 * and `'ready'`; `'open'` passes no descriptor, as the file is the engine's.
 */
export class FileWriteStream extends Writable {
  /** As it was given. */
  readonly path: string | Buffer;
  /** As they were given, or `'w'`. */
  readonly flags: string | number;
  /** The permission bits, as they were given, or 0o666. */
  readonly mode: number | string;
  /** As it was given. */
  readonly start: number | undefined;
  /** Whether the stream ends itself after `'finish'` or an error. */
  readonly autoClose: boolean;
  /** null, also after `'open'`: the file is the engine's. */
  readonly fd: null = null;

  readonly #runner: WriteRunner;
  readonly #judged: StreamArguments;
  readonly #onOver: (stream: FileWriteStream) => void;
  /** Why it cannot be begun, if the writer was closed before. */
  readonly #refusal: Error | null;
  /** Aborted when the stream is destroyed. */
  readonly #over = new AbortController();
  #producer: RingProducer | null = null;
  /** The rest of the write that waits for rows. */
  #unpushed: Uint8Array[] = [];
  /** How many of the writes after that one have been pushed early, because the stream or the process ended. */
  #takenAhead = 0;
  /** The file is changed in place, and keeps what was written. */
  #keeps = false;
  /** A write calls back only when its bytes are durable. */
  #synchronous = false;
  /** Resolves or rejects when nothing of the write is left to be done. */
  #ended: Promise<FileResult> | null = null;
  #result: FileResult | undefined;

  /** @internal */
  constructor(runner: WriteRunner, judged: StreamArguments, onOver: (stream: FileWriteStream) => void) {
    const { flags, mode, start, autoClose, emitClose, highWaterMark, signal, encoding, defaultEncoding } =
      judged.options;
    super({
      autoDestroy: autoClose !== false,
      emitClose: emitClose !== false,
      ...(highWaterMark == null ? {} : { highWaterMark }),
    });
    this.path = judged.path;
    this.flags = flags ?? 'w';
    this.mode = mode ?? 0o666;
    this.start = start;
    this.autoClose = autoClose !== false;
    this.#runner = runner;
    this.#judged = judged;
    this.#onOver = onOver;
    this.#refusal = refusalOf(runner);
    const ofStrings = encoding || defaultEncoding;
    if (ofStrings) this.setDefaultEncoding(ofStrings);
    // Not by the base class's option: its constructor may destroy the stream before the fields above are there.
    if (signal !== undefined) addAbortSignal(signal, this);
  }

  /** Bytes that are in the rows, or were. */
  get bytesWritten(): number {
    return this.#producer?.bytesPushed ?? 0;
  }

  /** True until `'ready'`, and again once it is closed. */
  get pending(): boolean {
    return this.#producer === null || this.destroyed;
  }

  /** The result of the write, from `'finish'` on. */
  get result(): FileResult | undefined {
    return this.#result;
  }

  /** Ends the stream and calls `callback` once it is closed, as fs does. */
  close(callback?: ((error?: Error | null) => void) | null): void {
    if (callback != null) {
      if (this.closed) {
        process.nextTick(callback);
        return;
      }
      this.on('close', callback);
    }
    if (!this.autoClose) this.on('finish', () => this.destroy());
    this.end(); // not destroy(): what was written before is to be kept
  }

  /** As of fs: the same as end(). */
  destroySoon(): void {
    this.end();
  }

  /**
   * Resolves, and calls `callback`, once all that was written before is in the file, as durably as its option asks for: at
   * once durable unless `durability` is `'none'`. Of a file that has no name yet, in its temporary one.
   */
  flush(callback?: ((error?: Error | null) => void) | null): Promise<void> {
    const flushed = this.#flush();
    if (callback != null) void report(flushed, callback);
    return flushed;
  }

  async #flush(): Promise<void> {
    if (!this.writableEnded && !this.destroyed) {
      await new Promise<void>((resolve, reject) => {
        // Called after the callbacks of all writes before it.
        this.write(NO_BYTES, (error) => (error == null ? resolve() : reject(error)));
      });
      // A synchronous write calls back when it is durable: nothing is left to be flushed.
      if (this.#synchronous || (await this.#producer!.flush())) return;
    }
    await finished(this, { readable: false });
  }

  override destroy(error?: Error): this {
    if (this.#keeps && this.#producer !== null) this.#endKept(this.#producer, error);
    else this.#over.abort(error); // it may wait for its turn, or for rows
    return super.destroy(error);
  }

  /** What write() has taken is written, as fs has written what it called back for. */
  #endKept(producer: RingProducer, error: Error | undefined): void {
    if (producer.closed) return;
    // Node's pipeline() ends as soon as this returns, and its caller may read the file then.
    const deadline = performance.now() + DESTROY_BLOCKS_MS;
    const rest = producer.pushBlocked(() => this.#nextWaiting(), deadline);
    if (rest === null) {
      producer.end();
      producer.standing()(deadline);
    } else {
      void this.#endLate(producer, rest);
    }
    const grace = setTimeout(() => this.#over.abort(error ?? new Error(NOT_IN_TIME)), DESTROY_GRACE_MS);
    const forget = (): void => clearTimeout(grace);
    this.#ended!.then(forget, forget);
  }

  /** The rows are still others': `rest`, and what waits behind it, goes into them as they come, before 'close'. */
  async #endLate(producer: RingProducer, rest: Uint8Array): Promise<void> {
    const pieces = [Buffer.from(rest)];
    // All of it now, and copied: once destroy() has returned, the base class forgets what it kept, and calls back for it.
    for (let piece = this.#nextWaiting(); piece !== null; piece = this.#nextWaiting()) pieces.push(Buffer.from(piece));
    this.#unpushed = pieces;
    while (!this.#pushOn()) {
      if (!(await producer.writable())) return; // the write's own end says why
    }
    producer.end();
  }

  // ------------------------------------------------------------------------------------ what the base class calls

  /** @internal */
  override _construct(callback: Callback): void {
    void report(this.#open(), (error) => {
      // If it was destroyed meanwhile, the abort follows from that and is no second error.
      const failed = error != null && !(this.destroyed && this.#over.signal.aborted);
      callback(this.destroyed ? null : error);
      if (failed) return;
      this.emit('open', -1); // as with fs also of a stream that was destroyed before
      this.emit('ready');
    });
  }

  async #open(): Promise<void> {
    try {
      await this.#begin();
    } catch (error) {
      this.#onOver(this);
      throw error;
    }
  }

  async #begin(): Promise<void> {
    if (this.#refusal !== null) throw this.#refusal;
    const { text, options: given } = this.#judged;
    const { flushAfterMs, makeDirectories } = given;
    const onProgress = given.onProgress ?? undefined;
    const waiting = (): Uint8Array | null => this.#nextWaiting();
    const options = { signal: this.#over.signal, onProgress, flushAfterMs, keeps: true, waiting };
    let file = '';
    const attempt = await this.#runner.beginStream(async () => {
      const found = await findTarget(text, makeDirectories ?? false);
      file = found.file;
      if (this.#judged.flags.mustExist && !found.stands) throw refusedOpen('ENOENT', text);
      return streamRequest(file, this.#judged, found.stands);
    }, options);
    const { producer, request } = attempt;
    const ended = openedAs(attempt.ended, file, text);
    this.#ended = ended;
    this.#keeps = request.publish === 'in-place';
    this.#synchronous = request.durability === 'dsync';
    // The write can fail while the program writes nothing: the disk is full, its thread died.
    ended.catch((error: unknown) => super.destroy(error as Error));
    if (!(await producer.opened())) {
      await ended;
      throw new Error('the write ended before its first byte came');
    }
    this.#producer = producer;
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#push([chunk], callback);
  }

  /** @internal */
  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#push(
      chunks.map(({ chunk }) => chunk),
      callback,
    );
  }

  /** What finds room goes at once; only the rest waits for rows. */
  #push(chunks: Buffer[], callback: Callback): void {
    this.#unpushed = chunks;
    if (!this.#pushOn() || this.#synchronous) void report(this.#pushRest(), callback);
    else callback();
  }

  /** Pushes as much as there are rows for; true once nothing waits any more. */
  #pushOn(): boolean {
    for (let chunk = this.#unpushed[0]; chunk !== undefined; chunk = this.#unpushed[0]) {
      const taken = this.#producer!.push(chunk);
      if (taken < chunk.byteLength) {
        this.#unpushed[0] = chunk.subarray(taken);
        return false;
      }
      this.#unpushed.shift();
    }
    return true;
  }

  async #pushRest(): Promise<void> {
    const producer = this.#producer!;
    while (!this.#pushOn()) {
      // This wait is the backpressure.
      if (await producer.writable()) continue;
      if (this.#unpushed.length === 0) break; // taken as the stream was destroyed
      await this.#ended; // rejects with what ended it
      throw endedEarly();
    }
    if (!this.#synchronous || (await producer.flush())) return;
    await this.#ended;
    // If it was destroyed meanwhile, what it had is written.
    if (!this.destroyed) throw endedEarly();
  }

  /** What write() took and no row has yet, in order. Only for the end: what this hands out is pushed, or lost. */
  #nextWaiting(): Uint8Array | null {
    const chunk = this.#unpushed.shift();
    if (chunk !== undefined) return chunk;
    // What the base class keeps while a write waits: nothing public shows it.
    const state = Reflect.get(this, '_writableState') as { getBuffer?: () => { chunk: Uint8Array }[] };
    return state.getBuffer?.()[(this.#takenAhead += 1) - 1]?.chunk ?? null;
  }

  /** @internal */
  override _final(callback: Callback): void {
    this.#producer!.end();
    void report(this.#finished(), callback);
  }

  async #finished(): Promise<void> {
    this.#result = await this.#ended!;
    this.#onOver(this);
  }

  /**
   * Closed means that nothing is in flight any more and that the partial file is gone.
   *
   * @internal
   */
  override _destroy(error: Error | null, callback: Callback): void {
    const close: Callback = (failure) => {
      this.#onOver(this);
      // What write() had taken is not in the file: as good as a failed write. Of a file that was to go, nothing is missing.
      callback(error ?? (this.#keeps ? failure : null));
    };
    if (this.#ended === null) close(null);
    else void report(this.#ended, close);
  }
}

const endedEarly = (): Error => new Error('the write ended before its last byte came');

function refusalOf(runner: WriteRunner): Error | null {
  try {
    runner.assertOpen();
    return null;
  } catch (error) {
    return error as Error;
  }
}

type Callback = (error?: Error | null) => void;

/** Reports to the base class how `work` ended; in a tick of its own, so that what listeners throw rejects nothing here. */
async function report(work: Promise<unknown>, callback: Callback): Promise<void> {
  try {
    await work;
    process.nextTick(callback);
  } catch (error) {
    process.nextTick(callback, error);
  }
}
