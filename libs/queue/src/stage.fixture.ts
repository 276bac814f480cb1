/** A real Redis for one test, with producers and workers on it, and everything put away afterwards. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JobRequest, WriteProgress, WriteResult } from '@penstock/contract';
import { EmbeddedRedis } from '@penstock/redis';
import { installedServer } from '@penstock/redis/installed-server';
import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { redisOptions, type Connection } from './connection/address.ts';
import { QUEUE_NAME } from './names.ts';
import { WriteQueue } from './produce/write-queue.ts';
import type { WatchEvent } from './watch/watch.ts';
import type { WriteJobInfo } from './work/executor.ts';
import type { WriteWorkerOptions } from './work/options.ts';
import { WriteWorker } from './work/write-worker.ts';

// The disk is not what is tried here, and others may keep it busy.
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

export class Stage {
  /** What workers and queues were told of. */
  readonly errors: Error[] = [];
  readonly #listeners = new Set<(error: Error) => void>();
  readonly #directory = mkdtempSync(join(memory, 'penstock-queue-'));
  readonly #toClose: (() => Promise<unknown>)[] = [];
  #redis: EmbeddedRedis | null = null;
  #client: Redis | null = null;

  static async open(): Promise<Stage> {
    const stage = new Stage();
    await stage.startRedis();
    return stage;
  }

  get connection(): Connection {
    return { socketPath: join(this.#directory, 'redis', 'redis.sock') };
  }

  async startRedis(): Promise<void> {
    this.#redis = await EmbeddedRedis.open({ directory: this.#directory, server: installedServer() });
  }

  /** Away until startRedis. */
  async stopRedis(): Promise<void> {
    await this.#redis?.close();
    this.#redis = null;
  }

  /** Killed, and started again at once by its supervision. */
  async killRedis(): Promise<void> {
    const info = await this.client.info('server');
    process.kill(Number(/process_id:(\d+)/.exec(info)?.[1]), 'SIGKILL');
  }

  /** For looking behind the scenes. */
  get client(): Redis {
    if (this.#client === null) {
      this.#client = new Redis(redisOptions(this.connection, 'worker'));
      this.#client.on('error', () => {});
    }
    return this.#client;
  }

  queue(): WriteQueue {
    const queue = new WriteQueue({ connection: this.connection, onError: (error) => this.#take(error) });
    this.#toClose.push(() => queue.close());
    return queue;
  }

  /** What a producer has that knows only BullMQ. */
  plainQueue(): Queue {
    const queue = new Queue(QUEUE_NAME, { connection: redisOptions(this.connection) });
    queue.on('error', () => {});
    this.#toClose.push(() => queue.close());
    return queue;
  }

  async worker(
    perform: WriteWorkerOptions['perform'],
    more: Partial<Omit<WriteWorkerOptions, 'perform' | 'connection'>> = {},
  ): Promise<WriteWorker> {
    const worker = new WriteWorker({
      connection: this.connection,
      concurrency: 4,
      host: 'test-host',
      onError: (error) => this.#take(error),
      ...more,
      perform,
    });
    this.#toClose.push(() => worker.drain('shutdown'));
    await worker.ready();
    return worker;
  }

  /** Resolves when a worker or queue is told of an error whose message matches. */
  async told(pattern: RegExp): Promise<void> {
    if (this.errors.some((error) => pattern.test(error.message))) return;
    await new Promise<void>((resolve) => {
      this.#listeners.add((error) => {
        if (pattern.test(error.message)) resolve();
      });
    });
  }

  #take(error: Error): void {
    this.errors.push(error);
    for (const listener of this.#listeners) listener(error);
  }

  async clear(): Promise<void> {
    await Promise.all(this.#toClose.map((close) => close()));
    this.#client?.disconnect();
    await this.stopRedis();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** What a host would say of a single request. */
export function resultOf(request: JobRequest): WriteResult {
  const none = { count: 0, p50: 0, p90: 0, p99: 0, max: 0 };
  return {
    path: 'path' in request ? request.path : '',
    root: request.root,
    bytes: request.size ?? 0,
    mode: 'aio-direct',
    engine: 'libaio',
    alignment: { memory: 512, offset: 512 },
    matrix: { rows: 1, rowBytes: 4096, ioBytes: 4096 },
    durationsMs: { waiting: 0, opening: 0, writing: 0, syncing: 0, verifying: 0, publishing: 0, paused: 0, total: 0 },
    bytesPerSecond: 0,
    writeLatencyUs: none,
    writes: 0,
    reads: 0,
    shortWrites: 0,
    retries: 0,
    submitCalls: 0,
    hugePages: false,
    thread: 0,
  };
}

export function progressOf(percent: number): WriteProgress {
  return {
    progress: percent,
    bytesWritten: percent,
    bytesDurable: 0,
    totalBytes: 100,
    bytesPerSecond: 1,
    etaMs: null,
    inFlight: 0,
    phase: 'writing',
  };
}

/** A promise and what settles it: the signal one side of a test gives the other. */
export class Signal<T = void> {
  readonly given: Promise<T>;
  give!: (value: T) => void;

  constructor() {
    this.given = new Promise((resolve) => {
      this.give = resolve;
    });
  }
}

export async function collect(events: AsyncIterable<WatchEvent>): Promise<WatchEvent[]> {
  const all: WatchEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

/** Rejects with the reason once the job is aborted; what a perform does that is asked to stop. */
export function untilAborted(whenAborted: WriteJobInfo['whenAborted']): Promise<never> {
  return new Promise((_resolve, reject) => {
    whenAborted(reject);
  });
}
