/** The queues of single hosts, as the hosts' registry names them: shown beside the queue of any host. */
import { defaultJobOptions, queueOfHost, readHosts, registryKey, standstillOf } from '@penstock/queue';
import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Dashboard } from './dashboard.ts';

/** Between two looks into the registry: the page asks once a second. */
const LOOK_MS = 5000;

export class HostQueues {
  readonly #redis: Redis;
  readonly #anyHost: Queue;
  readonly #onError: (error: Error) => void;
  /** By host. */
  readonly #queues = new Map<string, Queue>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(redis: Redis, anyHost: Queue, onError: (error: Error) => void) {
    this.#redis = redis;
    this.#anyHost = anyHost;
    this.#onError = onError;
  }

  /**
   * Adds the queues of hosts that have come since the last look, and shows which queues stand still. Never throws: the
   * page is served without that.
   */
  async show(board: Pick<Dashboard, 'show' | 'setStandstill'>): Promise<void> {
    if (performance.now() - this.#lookedAt < LOOK_MS) return;
    this.#lookedAt = performance.now();
    try {
      const key = registryKey((part) => this.#anyHost.toKey(part));
      for (const { name } of await readHosts(this.#redis, key)) {
        if (this.#queues.has(name)) continue;
        const queue = new Queue(queueOfHost(name), { connection: this.#redis, defaultJobOptions });
        queue.on('error', this.#onError);
        this.#queues.set(name, queue);
        board.show(queue, `File writes for the host ${name} alone`);
      }
      for (const queue of [this.#anyHost, ...this.#queues.values()]) {
        const why = await standstillOf(this.#redis, queue.name, (part) => queue.toKey(part));
        board.setStandstill(queue.name, why);
      }
    } catch (error) {
      this.#onError(error as Error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#queues.values()].map((queue) => queue.close()));
  }
}
