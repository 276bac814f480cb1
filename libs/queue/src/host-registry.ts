// Which hosts there are: a hash in Redis in which each host tells its name, when it began and when it was last there.

/** A host that was there in the last month. */
export interface HostRecord {
  name: string;
  /** Milliseconds since 1970, by the host's own clock. */
  startedAtMs: number;
  /** When it last said that it is there; it does so four times a minute. */
  seenAtMs: number;
  /** Roots that it cannot use now. */
  sickRoots: string[];
}

/** What is needed of a Redis client, BullMQ's or ioredis's own. */
export interface HashClient {
  hget(key: string, field: string): Promise<string | null>;
  hset(key: string, values: Record<string, string>): Promise<unknown>;
  hgetall(key: string): Promise<Record<string, string>>;
  hdel(key: string, ...fields: string[]): Promise<unknown>;
}

const BEAT_MS = 15_000;
/** A host that is gone for good leaves a queue behind, perhaps with jobs in it: it is not forgotten soon. */
const FORGET_MS = 30 * 24 * 3_600_000;

/** The key of the hash; `toKey` makes the keys of the queue of any host. A job's id has no colon, so none is in its way. */
export const registryKey = (toKey: (part: string) => string): string => toKey('hosts:seen');

/** The hosts that are known, by name; those that fell silent a month ago are forgotten. */
export async function readHosts(client: HashClient, key: string, nowMs: number = Date.now()): Promise<HostRecord[]> {
  const known = Object.entries(await client.hgetall(key)).map(([name, json]) => recordOf(name, json));
  const gone = known.filter(({ seenAtMs }) => seenAtMs < nowMs - FORGET_MS);
  if (gone.length > 0) await client.hdel(key, ...gone.map(({ name }) => name));
  return known.filter((host) => !gone.includes(host)).toSorted((one, other) => (one.name < other.name ? -1 : 1));
}

function recordOf(name: string, json: string): HostRecord {
  try {
    const { startedAtMs = 0, seenAtMs = 0, sickRoots = [] } = JSON.parse(json) as Partial<HostRecord>;
    return { name, startedAtMs, seenAtMs, sickRoots };
  } catch {
    return { name, startedAtMs: 0, seenAtMs: 0, sickRoots: [] };
  }
}

/** Tells that a host is there, at once and from time to time, until it is closed. */
export class HostBeat {
  readonly #client: HashClient;
  readonly #key: string;
  readonly #name: string;
  readonly #startedAtMs = Date.now();
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #telling: Promise<void> | null = null;
  #sickRoots: readonly string[] = [];

  constructor(client: HashClient, key: string, name: string, onError: (error: unknown) => void) {
    this.#client = client;
    this.#key = key;
    this.#name = name;
    this.#onError = onError;
    this.#timer = setInterval(() => this.#tell(), BEAT_MS).unref();
    this.#tell();
  }

  /** Tells at once which roots the host cannot use from now on. */
  tellSick(roots: readonly string[]): void {
    this.#sickRoots = roots;
    if (this.#telling === null) this.#tell();
    else void this.#telling.then(() => this.#tell()); // what is under way may say otherwise
  }

  /** Resolves when what was under way has been told, or could not be. */
  async told(): Promise<void> {
    await this.#telling;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    // With Redis away the first waits in the client: others would only wait behind it.
    this.#telling ??= this.#send().finally(() => {
      this.#telling = null;
    });
  }

  async #send(): Promise<void> {
    const sick = this.#sickRoots.length === 0 ? {} : { sickRoots: this.#sickRoots };
    const record = { startedAtMs: this.#startedAtMs, seenAtMs: Date.now(), ...sick };
    try {
      await this.#client.hset(this.#key, { [this.#name]: JSON.stringify(record) });
    } catch (error) {
      this.#onError(error);
    }
  }
}
