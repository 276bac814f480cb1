/** The engine as a program uses it: files are written from its own bytes, from other files, or through streams. */
import { availableParallelism } from 'node:os';
import { Readable } from 'node:stream';
import { type EngineChoice, RequestError } from '@penstock/contract';
import { WriterPool } from '@penstock/writer';
import { type Bytes, bytesOf } from './arguments/bytes.ts';
import { callOptions, textOptions } from './arguments/call-options.ts';
import { WriteRunner } from './run/runner.ts';
import {
  type CopyOptions,
  copySource,
  type FileOptions,
  type FileResult,
  type FlushOptions,
  requestFor,
  type SourceInput,
} from './arguments/options.ts';
import { findTarget, openedAs, pathText, type PathLike, ROOT } from './arguments/paths.ts';
import { type Pieces, pumpBytes, pumpPieces } from './stream/pump.ts';
import { type WriteStreamOptions, judgeStream } from './stream/stream-arguments.ts';
import { FileWriteStream } from './stream/write-stream.ts';

/** What a writer may use of the machine. */
export interface WriterOptions {
  /** Threads, each with an AIO context of its own. Default: as many as there are processors, up to 4. */
  threads?: number | undefined;
  /** iocbs in flight at once, per thread. Default 64: with the threads, best below the 256 tags of a common device. */
  depth?: number | undefined;
  /** Writes of bytes that are there, or read or computed, at once on one thread; others wait for a turn. Default 32. */
  jobs?: number | undefined;
  /**
   * Streams, and writes of what an iteration brings, that may be open at once on one thread, written or not; further ones
   * wait for their turn. Default 1024. Each takes three descriptors of the process (`ulimit -n`).
   */
  streams?: number | undefined;
  /**
   * Row memory of all threads together; only rows that are used take up memory. If it is short, streams have rows in
   * turns, and only while bytes come. Default 256 MiB.
   */
  memoryBytes?: number | undefined;
  /** What carries the I/O. Default `'auto'`: libaio, else raw system calls, else plain positional writes. */
  engine?: EngineChoice | undefined;
  /**
   * `'off'`: files go through the page cache, and direct I/O is not tried. Default `'auto'`: direct I/O if the file system takes it.
   */
  direct?: 'auto' | 'off' | undefined;
  /** The libaio to load, if it is not under its usual name. */
  libaio?: string | undefined;
  /** Called when a thread died; its writes were rejected, and another has taken its place. */
  onThreadDeath?: ((error: Error) => void) | undefined;
}

/** What to write: bytes, an iteration that brings them, or a source that computes them (`{ kind: 'pattern', … }`). */
export type FileData = Bytes | Readable | Pieces | SourceInput;

/** The options of writeFile(). */
export interface WriteFileOptions extends FileOptions, FlushOptions {
  /** Of strings. Default `'utf8'`. */
  encoding?: BufferEncoding | undefined;
  /** How many bytes an iteration will bring, if that is known; required for a pattern. */
  size?: number | string | undefined;
}

const DEPTH = 64;
const JOBS = 32;
const STREAMS = 1024;
const MEMORY_BYTES = 268_435_456;
const MEMORY_BYTES_MIN = 2_097_152; // one huge page
/** Long enough that a program that writes now and then finds its threads awake, short enough to wait for at its end. */
const IDLE_MS = 100;

/**
 * Opens the engine in this process: no queue, no Redis, no host. Resolves when its threads are up, and rejects with
 * RequestError for invalid options, else with what kept a thread from starting.
 *
 * One writer serves a whole program: its threads, contexts and row memory are shared by all writes.
 */
export async function openWriter(options?: WriterOptions | null): Promise<Writer> {
  const given = callOptions(options);
  let death: Error | undefined;
  const threads = wholeNumber('threads', given.threads ?? Math.min(4, Math.max(1, availableParallelism())), 1, 64);
  const jobs = wholeNumber('jobs', given.jobs ?? JOBS, 1, 256);
  const streams = wholeNumber('streams', given.streams ?? STREAMS, 1, 16_384);
  const pool = new WriterPool({
    threads,
    depth: wholeNumber('depth', given.depth ?? DEPTH, 1, 4096),
    jobs: jobs + streams,
    memoryBytes: wholeNumber('memoryBytes', given.memoryBytes ?? MEMORY_BYTES, MEMORY_BYTES_MIN, 2 ** 40),
    engine: given.engine ?? 'auto',
    ...(given.libaio === undefined ? {} : { libaio: given.libaio }),
    roots: [rootFor(given.direct)],
    idleMs: IDLE_MS,
    onThreadDeath: (error) => {
      death = error;
      given.onThreadDeath?.(error);
    },
  });
  try {
    await pool.ready();
  } catch (error) {
    await pool.close();
    throw death ?? error;
  }
  return new Writer(new WriteRunner(pool, { jobs: threads * jobs, streams: threads * streams }));
}

function rootFor(direct: WriterOptions['direct'] = 'auto'): typeof ROOT & { direct?: 'off' } {
  if (direct === 'auto') return ROOT;
  if (direct === 'off') return { ...ROOT, direct };
  throw new RequestError({ field: 'direct', value: direct, accepted: '"auto" or "off"' });
}

function wholeNumber(field: string, value: number, min: number, max: number): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RequestError({ field, value, accepted: `a whole number from ${min} to ${max}` });
}

/**
 * Writes files durably, through kernel AIO and direct I/O if the file system has them. Made by openWriter().
 *
 * Paths are those of `node:fs`: strings, URLs or Buffers, relative ones from the current directory. A file is written
 * under a temporary name in its own directory and appears under its own when all of it is on the disk.
 *
 * Methods reject with IoError, which names the call, errno, path, offset and length; with RequestError, which names an
 * invalid field; or with AbortError.
 */
export class Writer implements AsyncDisposable {
  readonly #runner: WriteRunner;
  /** Streams that are not over, each with a promise of its end. */
  readonly #streams = new Map<FileWriteStream, Promise<void>>();
  #closing: Promise<void> | null = null;

  /** @internal */
  constructor(runner: WriteRunner) {
    this.#runner = runner;
  }

  /**
   * Writes `data` to the file `path`. Resolves when the file is in its place and, unless its durability is `'none'`,
   * survives power loss.
   *
   * Bytes must not be changed while they are written. Of an iteration no more is taken than fits into free rows.
   * `options` may be an encoding, as with fs.
   */
  async writeFile(
    path: PathLike,
    data: FileData,
    options?: WriteFileOptions | BufferEncoding | null,
  ): Promise<FileResult> {
    this.#runner.assertOpen();
    const given = textOptions<WriteFileOptions>(options);
    const text = pathText(path);
    const { size, encoding, makeDirectories } = given;
    const find = findingAs(text, makeDirectories);
    const bytes = bytesOf(data, encoding);
    const source = bytes === null && isSource(data) ? data : null;
    if (bytes === null && source === null && !isIteration(data)) {
      throw new RequestError({
        field: 'data',
        value: data === null ? null : typeof data,
        accepted: 'a string, bytes, an iteration of them, or a source like {"kind": "pattern"}',
      });
    }
    if (source !== null) {
      const { ended } = await this.#runner.begin(async () => {
        const [from, file] = await Promise.all([inRootSource(source), find.file()]);
        return requestFor(file, from, size, given);
      }, given);
      return find.named(ended);
    }
    const { producer, ended } = await this.#runner.beginStream(
      async () => requestFor(await find.file(), { kind: 'stream' }, bytes?.byteLength ?? size, given),
      { ...given, isWhole: bytes !== null },
    );
    if (bytes !== null) {
      void pumpBytes(bytes, producer);
      return find.named(ended);
    }
    const pieces = data as Pieces;
    let failed: { error: unknown } | undefined;
    void pumpPieces(pieces, producer, encoding, (error) => {
      failed = { error };
    });
    try {
      return await find.named(ended);
    } catch (error) {
      leave(pieces);
      throw failed === undefined ? error : failed.error; // the error itself, not the copy that came back from the thread
    }
  }

  /** Copies the file `from` to `to`; resolves as writeFile() does. A source that changes meanwhile fails the copy. */
  async copyFile(from: PathLike, to: PathLike, options?: CopyOptions | null): Promise<FileResult> {
    this.#runner.assertOpen();
    const given = callOptions<CopyOptions>(options);
    const { size, makeDirectories } = given;
    const find = findingAs(pathText(to), makeDirectories);
    const { ended } = await this.#runner.begin(async () => {
      const [source, file] = await Promise.all([copySource(from, given), find.file()]);
      return requestFor(file, source, size, given);
    }, given);
    return find.named(ended);
  }

  /**
   * A stream into the file `path`: takes the place of `fs.createWriteStream`. `options` may be an encoding, as with fs.
   * Invalid arguments throw at once: TypeError or RangeError with Node's codes, RequestError for an option that fs does
   * not have. What the file system refuses comes by `'error'`.
   */
  createWriteStream(path: PathLike, options?: WriteStreamOptions | BufferEncoding | null): FileWriteStream {
    const judged = judgeStream(path, options);
    let onOver: () => void;
    const over = new Promise<void>((resolve) => {
      onOver = resolve;
    });
    const stream = new FileWriteStream(this.#runner, judged, (ended) => {
      this.#streams.delete(ended);
      onOver();
    });
    this.#streams.set(stream, over);
    return stream;
  }

  /**
   * Waits for all writes that were begun, then gives threads, memory and AIO contexts back. Streams that were not ended
   * are destroyed: nothing could wait for them.
   *
   * A program may end without it: a writer with nothing to write does not keep its process alive.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#runner.refuse();
    for (const stream of this.#streams.keys()) if (!stream.writableEnded) stream.destroy();
    // Streams begin a tick after they were made: until then the runner does not know of them.
    await Promise.all(this.#streams.values());
    await this.#runner.close();
  }

  /** As close(): `await using writer = await openWriter()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Finds the file that `text` names, and words a refusal to open it with that name. */
function findingAs(
  text: string,
  makeDirectories: boolean | undefined,
): { file: () => Promise<string>; named: <T>(ended: Promise<T>) => Promise<T> } {
  let file = '';
  return {
    file: async () => (file = (await findTarget(text, makeDirectories ?? false)).file),
    named: (ended) => openedAs(ended, file, text),
  };
}

/** The source with its path, if it names one, inside the root of all paths. */
async function inRootSource(source: SourceInput): Promise<SourceInput> {
  return source.kind === 'file' ? copySource(source.path, source) : source;
}

/** Sources are plain objects, known by their `kind`. */
function isSource(data: FileData): data is SourceInput {
  return (
    typeof data === 'object' && data !== null && typeof Reflect.get(data, 'kind') === 'string' && !isIteration(data)
  );
}

function isIteration(data: unknown): data is Pieces {
  return typeof data === 'object' && data !== null && (Symbol.asyncIterator in data || Symbol.iterator in data);
}

/** Ends a stream that is read no further; waiting for its next piece could take for ever. */
function leave(pieces: Pieces): void {
  if (pieces instanceof Readable) pieces.destroy();
}
