/** Which hosts there are: a hash in Redis with a record of each, by its name, which the host renews while it runs. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

/** A host that was there in the last month. */
export interface HostRecord {
  name: string;
  /** Milliseconds since 1970, by the host's own clock. */
  startedAtMs: number;
  /** When it last renewed this record, by its own clock; it does so four times a minute. */
  seenAtMs: number;
  /** Roots that it cannot use now. */
  sickRoots: string[];
  /** Another process that has this name too, as it was last seen; null if there is none. */
  twin: HostProcess | null;
}

/** Which process a host is. */
export interface HostProcess {
  pid: number;
  /** Its machine's name. */
  machine: string;
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
    const { startedAtMs = 0, seenAtMs = 0, sickRoots = [], twin = null } = JSON.parse(json) as Partial<HostRecord>;
    return { name, startedAtMs, seenAtMs, sickRoots, twin };
  } catch {
    return { name, startedAtMs: 0, seenAtMs: 0, sickRoots: [], twin: null };
  }
}

/** Two hosts have one name: writes for that host alone land on the disks of either. */
export class TwinHostError extends Error {
  override readonly name: string = 'TwinHostError';
  readonly code = 'ETWINHOST';
  readonly hint: string;

  constructor(host: string, twin: HostProcess | null) {
    const who = twin === null ? 'a host of an earlier version' : `process ${twin.pid} on machine ${twin.machine}`;
    const hint = 'Give each host a --name of its own, or stop one of them.';
    super(
      `Another host is called '${host}' too: ${who}. Both take the writes that are for '${host}' alone, so that each lands on the disks of either. ${hint}`,
    );
    this.hint = hint;
  }
}

/** Writes a host's record at once and four times a minute, until it is closed. */
export class HostBeat {
  readonly #client: HashClient;
  readonly #key: string;
  readonly #name: string;
  readonly #startedAtMs = Date.now();
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #sending: Promise<void> | null = null;
  #sickRoots: readonly string[] = [];
  readonly #process: HostProcess & { instance: string } = {
    pid: process.pid,
    machine: hostname(),
    instance: randomUUID(),
  };
  #twin: HostProcess | null = null;
  /** Its record has been written: a process that has overwritten it since is alive. */
  #hasWritten = false;

  constructor(client: HashClient, key: string, name: string, onError: (error: unknown) => void) {
    this.#client = client;
    this.#key = key;
    this.#name = name;
    this.#onError = onError;
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref();
    this.#beat();
  }

  /** Records at once which roots the host cannot use from now on. */
  reportSick(roots: readonly string[]): void {
    this.#sickRoots = roots;
    if (this.#sending === null) this.#beat();
    else void this.#sending.then(() => this.#beat()); // what is being sent may hold the roots of before
  }

  /** Resolves when the record that is being sent has been written, or has failed. */
  async recorded(): Promise<void> {
    await this.#sending;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #beat(): void {
    // If Redis is away, the first waits in the client, and others would only wait behind it.
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
    });
  }

  async #send(): Promise<void> {
    const sick = this.#sickRoots.length === 0 ? {} : { sickRoots: this.#sickRoots };
    try {
      this.#judgeTwin(await this.#client.hget(this.#key, this.#name));
      const twin = this.#twin === null ? {} : { twin: this.#twin };
      const record = { startedAtMs: this.#startedAtMs, seenAtMs: Date.now(), ...this.#process, ...twin, ...sick };
      await this.#client.hset(this.#key, { [this.#name]: JSON.stringify(record) });
      this.#hasWritten = true;
    } catch (error) {
      this.#onError(error);
    }
  }

  #judgeTwin(json: string | null): void {
    const other = processIn(json);
    if (other.instance === this.#process.instance || (json === null && !this.#hasWritten)) {
      this.#twin = null;
      return;
    }
    // A host that ended has left its record. Before our own first record only the process of one on this machine can be
    // looked for; after it, any other record must be a later beat of a host that is alive.
    const lives = this.#hasWritten ? json !== null : other.machine === this.#process.machine && isAlive(other.pid);
    if (!lives) return;
    this.#twin = other.pid === 0 ? null : { pid: other.pid, machine: other.machine };
    this.#onError(new TwinHostError(this.#name, this.#twin));
  }
}

function processIn(json: string | null): HostProcess & { instance: string } {
  try {
    const {
      pid = 0,
      machine = '',
      instance = '',
    } = JSON.parse(json ?? '{}') as Partial<HostProcess & { instance: string }>;
    return { pid, machine, instance };
  } catch {
    return { pid: 0, machine: '', instance: '' };
  }
}

function isAlive(pid: number): boolean {
  if (pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return !hasEnded(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * True of a process that has ended but is still listed: a disk holds a thread of it, or its parent has not waited for
 * it.
 */
function hasEnded(pid: number): boolean {
  try {
    // The name may have blanks and brackets in it.
    return /^[ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)!);
  } catch {
    return false; // other users' processes may be hidden
  }
}
