/** Why no host takes anything from a queue, though there are hosts: a client of BullMQ has paused or limited it. */

/** What is needed of a Redis client, BullMQ's or ioredis's own. */
interface Client {
  hmget(key: string, ...fields: string[]): Promise<(string | null)[]>;
  get(key: string): Promise<string | null>;
  pttl(key: string): Promise<number>;
}

/**
 * In words, with what ends it; null if the queue goes on. `toKey` makes the keys of the queue `queueName`.
 *
 * A limit that a worker of another program has (its `limiter`) is that program's, and not seen here.
 */
export async function standstillOf(
  client: Client,
  queueName: string,
  toKey: (part: string) => string,
): Promise<string | null> {
  const [[paused, max, concurrency], taken, ttlMs] = await Promise.all([
    client.hmget(toKey('meta'), 'paused', 'max', 'concurrency'),
    client.get(toKey('limiter')),
    client.pttl(toKey('limiter')),
  ]);
  const whole = `the queue '${queueName}'`;
  if (paused != null && paused !== '0') {
    return `${whole} is paused: no host takes a job of it until a client of BullMQ resumes it (queue.resume(), or the dashboard)`;
  }
  if (concurrency === '0') {
    return `${whole} has a global concurrency of 0: no host takes a job of it until that is removed (queue.removeGlobalConcurrency())`;
  }
  // Without `max` it was stopped for a time by queue.rateLimit(), which sets a count that nothing reaches.
  const isLimited = ttlMs > 0 && Number(taken) >= (max == null ? Number.MAX_SAFE_INTEGER : Number(max));
  if (!isLimited) return null;
  const why = max == null ? 'queue.rateLimit()' : `queue.setGlobalRateLimit(), ${max} at a time`;
  return `${whole} is rate-limited (${why}): no host takes a job of it for another ${Math.ceil(ttlMs / 1000)} s`;
}

const EVERY_MS = 10_000;

/** Reports once when a host's queue stands still, and once when it goes on; asks every ten seconds. */
export class StandstillWatch {
  readonly #read: () => Promise<string | null>;
  readonly #onNote: (text: string) => void;
  readonly #timer: NodeJS.Timeout;
  #reported: string | null = null;

  /** @param read standstillOf the queue; if it rejects, that is ignored, for the worker reports its errors itself */
  constructor(read: () => Promise<string | null>, onNote: (text: string) => void) {
    this.#read = read;
    this.#onNote = onNote;
    this.#timer = setInterval(() => void this.#report(), EVERY_MS).unref();
    void this.#report();
  }

  async #report(): Promise<void> {
    const found = await this.#read().catch(() => this.#reported);
    if ((found === null) === (this.#reported === null)) return; // the seconds that are left are no news
    this.#reported = found;
    this.#onNote(found ?? 'the queue goes on: jobs are taken again');
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
