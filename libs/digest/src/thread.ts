/**
 * The digest thread as its writer thread has it: begun with the first file that wants a sum, and given rows through a
 * ring. It is a worker of the writer thread: Node ends and joins it with that one, whatever ends that one. It only
 * reads row memory, and holds it by itself.
 *
 * The decision: libs/README.md#digest-thread.
 */
import { Worker } from 'node:worker_threads';
import { FileDigest, type Carrier, type DigestOrder, closeStream } from './file-digest.ts';
import { OpenSums, type Report } from './orders.ts';
import { RingFront, createRing } from './ring.ts';

/** The workerData of the digest thread. */
export interface DigestSetup {
  ring: SharedArrayBuffer;
  rows: SharedArrayBuffer;
  rowsStart: number;
  rowsBytes: number;
}

/** 'progress': an entry was carried out after the writer thread had asked to be woken. */
export type FromDigest = Report | 'progress';

/** Up to this size a file is summed up by the writer thread itself: waking another takes longer. */
const INLINE_BYTES_MAX = 65_536;

/** The compiled entry; the same file from `src/` and from `dist/`. */
const digestEntry = new URL('../dist/worker.js', import.meta.url);

export class DigestThread {
  readonly #rows: Uint8Array;
  readonly #onProgress: () => void;
  /** Made with the first file that is summed up here. */
  #inline: Carrier | null = null;
  #worker: Worker | null = null;
  #ring: RingFront | null = null;
  readonly #files = new Map<number, FileDigest>();
  /** Of those, the ones whose rows the worker reads. */
  #filesOfWorker = new Set<number>();
  /** Streams to close as soon as the ring has room. */
  #closing: number[] = [];
  #streams = 0;

  /**
   * @param rows the row memory, shared
   * @param onProgress called when something that a file waits for may have happened: look again on the next turn of the loop
   */
  constructor(rows: Uint8Array, onProgress: () => void) {
    this.#rows = rows;
    this.#onProgress = onProgress;
  }

  /** True while the thread exists. */
  get running(): boolean {
    return this.#worker !== null;
  }

  /** Begins the sum of a file of `sizeBytes`; close() of what is returned ends it. */
  open(order: DigestOrder, sizeBytes: number): FileDigest {
    this.#streams = (this.#streams + 1) | 0;
    const stream = this.#streams;
    const inline = sizeBytes <= INLINE_BYTES_MAX;
    const carrier = inline ? this.#inlineCarrier() : this.#startedRing();
    const file = new FileDigest(carrier, stream, order, () => this.#forget(stream, carrier));
    this.#files.set(stream, file);
    if (!inline) this.#hold(stream);
    return file;
  }

  /** Ends the thread; files that are open fail. */
  async close(): Promise<void> {
    await this.#worker?.terminate();
  }

  #startedRing(): RingFront {
    if (this.#ring !== null) return this.#ring;
    const ring = createRing();
    const setup: DigestSetup = {
      ring,
      rows: this.#rows.buffer as SharedArrayBuffer,
      rowsStart: this.#rows.byteOffset,
      rowsBytes: this.#rows.byteLength,
    };
    // Whatever the program preloads, by its options or by NODE_OPTIONS, is not loaded into this thread.
    const worker = new Worker(digestEntry, { workerData: setup, execArgv: [], env: {} });
    worker.unref();
    worker.on('message', (message: FromDigest) => this.#receive(message));
    worker.on('error', (error) => this.#afterDeath(worker, error));
    worker.on('exit', () => this.#afterDeath(worker, undefined));
    this.#worker = worker;
    this.#ring = new RingFront(ring);
    return this.#ring;
  }

  #inlineCarrier(): Carrier {
    if (this.#inline !== null) return this.#inline;
    const sums = new OpenSums(this.#rows, (report) => this.#files.get(report.stream)?.receive(report));
    this.#inline = {
      pushed: 0,
      push: (order, stream, start, length, chunk, position) => {
        sums.carryOut(order, stream, start, length, chunk, position);
        return true;
      },
      isDone: () => true,
      awaitProgress: () => {},
    };
    return this.#inline;
  }

  #receive(message: FromDigest): void {
    if (message !== 'progress') this.#files.get(message.stream)?.receive(message);
    this.#closeForgotten();
    this.#onProgress();
  }

  /** A thread with files open must not end because its process has no other work. */
  #hold(stream: number): void {
    this.#filesOfWorker.add(stream);
    if (this.#filesOfWorker.size === 1) this.#worker!.ref();
  }

  #forget(stream: number, carrier: Carrier): void {
    if (!this.#files.delete(stream)) return;
    if (!this.#filesOfWorker.delete(stream)) {
      closeStream(carrier, stream);
      return;
    }
    if (this.#filesOfWorker.size === 0) this.#worker?.unref();
    this.#closing.push(stream);
    this.#closeForgotten();
  }

  #closeForgotten(): void {
    const ring = this.#ring;
    if (ring === null) return;
    for (let attempt = 0; attempt < 2; attempt += 1) {
      while (this.#closing.length > 0 && closeStream(ring, this.#closing.at(-1)!)) this.#closing.pop();
      if (this.#closing.length === 0) return;
      ring.awaitProgress();
    }
  }

  #afterDeath(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = null;
    this.#ring = null;
    this.#closing = [];
    const why = cause instanceof Error ? `: ${cause.message}` : '';
    for (const stream of this.#filesOfWorker) {
      const died = new Error(`the digest thread ended before the checksum of this write was known${why}`, { cause });
      this.#files.get(stream)?.die(Object.assign(died, { code: 'EDIGESTDIED', retryable: true }));
    }
    this.#filesOfWorker = new Set();
    this.#onProgress();
  }
}
