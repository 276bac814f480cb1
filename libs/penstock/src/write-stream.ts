/** A stream into a file: a stand-in for what `fs.createWriteStream` returns, written by the engine. */
import { performance } from 'node:perf_hooks';
import { Writable, addAbortSignal } from 'node:stream';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { RequestError, type WriteRequest } from '@penstock/contract';
import type { RingProducer } from '@penstock/matrix';
import type { Engine } from './engine.ts';
import { readFlags } from './flags.ts';
import { type FileOptions, type FileResult, type FlushOptions, requestFor } from './options.ts';
import { type PathLike, isThere, targetFile } from './paths.ts';
import { umask } from './umask.ts';

/** The options of `fs.createWriteStream`, by the same names; and those of any write, but that `mode` is fs's. */
export interface WriteStreamOptions extends Omit<FileOptions, 'mode' | 'offset' | 'fileMode'>, FlushOptions {
  /** `'w'` (the default), `'wx'`, `'a'`, `'ax'` or `'r+'`, or their numbers. */
  flags?: string | number | undefined;
  /** Where the first byte goes, with flags `'r+'`. Default 0. */
  start?: number | undefined;
  /** Permission bits of a file that is made, less the umask as everywhere in fs. Default 0o666. */
  mode?: number | string | undefined;
  /** Of strings that come without one. Default `'utf8'`. */
  encoding?: BufferEncoding | undefined;
  /** Another name of the same. */
  defaultEncoding?: BufferEncoding | undefined;
  /** False: `'close'` comes only after close() or destroy(); nothing of the file is open after `'finish'` anyway. */
  autoClose?: boolean | undefined;
  /** False: no `'close'`. */
  emitClose?: boolean | undefined;
  /** False: durability `'none'`. Without it `'finish'` means that the file survives power loss. */
  flush?: boolean | undefined;
  /** Bytes that may wait in this process beside the rows before write() says false. Default 16 KiB, as of fs. */
  highWaterMark?: number | undefined;
  /** How many bytes will come, where that is known: the file is preallocated, and any other number is an error. */
  size?: number | string | undefined;
}

/** A disk that hangs must not keep a stream that was destroyed. */
const DESTROY_GRACE_MS = 10_000;

/** So long destroy() itself waits for what was written to be in the file; longer than that, only `'close'` tells. */
const DESTROY_BLOCKS_MS = 100;

const NO_BYTES = Buffer.alloc(0);

/**
 * A Writable whose bytes go straight into the rows that the kernel writes from; write() says false when none is free.
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

  readonly #engine: Engine;
  readonly #target: PathLike;
  readonly #options: WriteStreamOptions;
  readonly #onOver: (stream: FileWriteStream) => void;
  /** Why it cannot be begun, if the writer was closed before. */
  readonly #refusal: Error | null;
  /** Aborted when the stream is destroyed. */
  readonly #over = new AbortController();
  #producer: RingProducer | null = null;
  /** The file is changed where it stands, and keeps what was written. */
  #keeps = false;
  /** What a write's callback tells of is durable. */
  #synchronous = false;
  /** Settles when nothing of the write is left to be done. */
  #ended: Promise<FileResult> | null = null;
  #result: FileResult | undefined;

  /** @internal */
  constructor(engine: Engine, path: PathLike, options: WriteStreamOptions, onOver: (stream: FileWriteStream) => void) {
    const { flags = 'w', mode = 0o666, start, autoClose = true, emitClose = true, highWaterMark, signal } = options;
    super({ autoDestroy: autoClose, emitClose, ...(highWaterMark === undefined ? {} : { highWaterMark }) });
    this.path = path instanceof URL ? fileURLToPath(path) : path;
    this.flags = flags;
    this.mode = mode;
    this.start = start;
    this.autoClose = autoClose;
    this.#engine = engine;
    this.#target = path;
    this.#options = options;
    this.#onOver = onOver;
    this.#refusal = refusalOf(engine);
    const encoding = options.encoding ?? options.defaultEncoding;
    try {
      if (encoding !== undefined) this.setDefaultEncoding(encoding);
      // Not by the base class's option: its constructor may destroy the stream before the fields above are there.
      if (signal !== undefined) addAbortSignal(signal, this);
    } catch (error) {
      this.destroy(); // the base class opens it in the next tick all the same, and nobody could end it
      throw error;
    }
  }

  /** Bytes that are in the rows, or were. */
  get bytesWritten(): number {
    return this.#producer?.bytesPushed ?? 0;
  }

  /** True until `'ready'`, and again once it is closed. */
  get pending(): boolean {
    return this.#producer === null || this.destroyed;
  }

  /** What the write came to; there from `'finish'` on. */
  get result(): FileResult | undefined {
    return this.#result;
  }

  /** Ends the stream and calls `callback` once it is closed, as fs does. */
  close(callback?: (error?: Error | null) => void): void {
    if (callback !== undefined) {
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
  flush(callback?: (error?: Error | null) => void): Promise<void> {
    const flushed = this.#flush();
    if (callback !== undefined) void tell(flushed, callback);
    return flushed;
  }

  async #flush(): Promise<void> {
    if (!this.writableEnded && !this.destroyed) {
      await new Promise<void>((resolve, reject) => {
        // Called after the callbacks of all writes before it.
        this.write(NO_BYTES, (error) => (error == null ? resolve() : reject(error)));
      });
      // What calls back only then has flushed it already.
      if (this.#synchronous || (await this.#producer!.flush())) return;
    }
    await finished(this, { readable: false });
  }

  override destroy(error?: Error): this {
    if (this.#keeps && this.#producer !== null) this.#endKept(this.#producer, error);
    else this.#over.abort(error); // it may wait for its turn, or for rows
    return super.destroy(error);
  }

  /** What the rows have is written, as fs has written what it called back for. */
  #endKept(producer: RingProducer, error: Error | undefined): void {
    if (producer.closed) return;
    producer.end();
    // Node's pipeline() settles as soon as this returns, and whoever awaits it looks at the file.
    producer.standing()(performance.now() + DESTROY_BLOCKS_MS);
    const grace = setTimeout(() => this.#over.abort(error), DESTROY_GRACE_MS);
    const forget = (): void => clearTimeout(grace);
    this.#ended!.then(forget, forget);
  }

  // ------------------------------------------------------------------------------------ what the base class calls

  /** @internal */
  override _construct(callback: Callback): void {
    void tell(this.#open(), (error) => {
      // Destroyed meanwhile, it knows why: the abort that came of it is no second error.
      callback(this.destroyed ? null : error);
      if (this.destroyed || error != null) return;
      this.emit('open', -1);
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
    const { onProgress, flushAfterMs } = this.#options;
    const signal = this.#over.signal;
    const options = { signal, onProgress, flushAfterMs, keeps: true };
    const { producer, ended, request } = await this.#engine.beginStream(() => this.#request(), options);
    this.#ended = ended;
    this.#keeps = request.publish === 'in-place';
    this.#synchronous = request.durability === 'dsync';
    // A write can fail while nobody writes: the disk is full, its thread died.
    ended.catch((error: unknown) => super.destroy(error as Error));
    if (!(await producer.writable())) {
      await ended;
      throw new Error('the write ended before its first byte came');
    }
    this.#producer = producer;
  }

  async #request(): Promise<WriteRequest> {
    const { size, makeDirectories = false, flush, durability } = this.#options;
    const { mode, synchronous, appends } = readFlags(this.flags);
    if (this.start !== undefined && this.start !== 0 && mode !== 'overwrite') {
      throw new RequestError({
        field: 'start',
        value: this.start,
        accepted: '0, or flags "r+", which keep the rest of the file',
      });
    }
    const file = await targetFile(this.#target, makeDirectories);
    // As with fs, of a file that is made: one that stands there keeps its own, and need not even be ours to change.
    const stands = await isThere(file);
    const { mode: bits } = this.#options;
    return requestFor(file, { kind: 'stream' }, size, {
      ...this.#options,
      mode,
      publish: this.#options.publish ?? (appends ? 'in-place' : undefined),
      offset: mode === 'overwrite' ? this.start : undefined,
      durability: durability ?? (synchronous ? 'dsync' : flush === false ? 'none' : undefined),
      fileMode: stands || bits === undefined ? undefined : permissionBits(bits),
    });
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
  #push(chunks: readonly Buffer[], callback: Callback): void {
    const producer = this.#producer!;
    for (const [index, chunk] of chunks.entries()) {
      const taken = producer.push(chunk);
      if (taken < chunk.byteLength) {
        void tell(this.#pushRest([chunk.subarray(taken), ...chunks.slice(index + 1)]), callback);
        return;
      }
    }
    if (this.#synchronous) void tell(this.#pushRest([]), callback);
    else callback();
  }

  async #pushRest(chunks: readonly Buffer[]): Promise<void> {
    for (const chunk of chunks) {
      if (chunk.byteLength === 0 || (await this.#producer!.pushAll(chunk))) continue;
      await this.#ended; // rejects with what ended it
      throw endedEarly();
    }
    if (!this.#synchronous || (await this.#producer!.flush())) return;
    await this.#ended;
    // Destroyed meanwhile, it has written what it had.
    if (!this.destroyed) throw endedEarly();
  }

  /** @internal */
  override _final(callback: Callback): void {
    this.#producer!.end();
    void tell(this.#finished(), callback);
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
    const close = (): void => {
      this.#onOver(this);
      callback(error);
    };
    if (this.#ended === null) close();
    else void tell(this.#ended, close); // however it ended: `error` says why
  }
}

const endedEarly = (): Error => new Error('the write ended before its last byte came');

function refusalOf(engine: Engine): Error | null {
  try {
    engine.assertOpen();
    return null;
  } catch (error) {
    return error as Error;
  }
}

type Callback = (error?: Error | null) => void;

/** Tells the base class how `work` ended: in a tick of its own, where what its listeners throw is nobody else's. */
async function tell(work: Promise<unknown>, callback: Callback): Promise<void> {
  try {
    await work;
    process.nextTick(callback);
  } catch (error) {
    process.nextTick(callback, error);
  }
}

/** What fs makes of the permission bits of a file that it creates. @throws RequestError */
function permissionBits(mode: number | string): number {
  const bits = typeof mode === 'number' ? mode : Number.parseInt(mode, 8);
  if (!Number.isInteger(bits) || bits < 0) {
    throw new RequestError({ field: 'mode', value: mode, accepted: 'permission bits like 0o640' });
  }
  // oxlint-disable-next-line no-bitwise -- they are bits
  return bits & 0o777 & ~umask();
}
