/**
 * Jobs that BullMQ cannot read: its worker throws while it fetches one, before it hands over the job's id. Such a job
 * would stand under a lock without an attempt, stall, and be fetched again, for ever; nothing could cancel it either.
 *
 * So each job's fields are judged before BullMQ reads them. A field that cannot be read gets a value that can; its old
 * value is kept as `broken:<field>`, and the field `broken` names the faults. From then on the job can be cancelled and
 * removed like any other, and a host fails it at once.
 */
import { escapeControls } from '@penstock/contract';
import type { Job, JobJson, RedisQueueBackend, Worker } from 'bullmq';
import type { Redis } from 'ioredis';
import { type FieldFault, faultsOf, isCount } from './job-fields.ts';

/** A job whose data in Redis cannot be read. */
export class BrokenJobError extends Error {
  override readonly name: string = 'BrokenJobError';
  readonly code = 'EBROKENJOB';
  readonly retryable = false;
  readonly hint: string;
  readonly jobId: string;

  constructor(jobId: string, what: string) {
    const hint =
      'Add it again by a client of BullMQ 5 or 6; a host that takes it fails it, and what stood there stays in its hash as broken:<field>.';
    super(`Job '${escapeControls(jobId)}' cannot be read: ${escapeControls(what)}. ${hint}`);
    this.jobId = jobId;
    this.hint = hint;
  }
}

/** The field that names the faults of a job that was mended. */
const BROKEN_FIELD = 'broken';

// KEYS: the job. ARGV: now, what is wrong, then of each fault: the field, the text that stood there, and '+' and the new
// text, or '-' for none. A key that is no hash is put aside. What has changed meanwhile stays.
const MEND = `
local job, call = KEYS[1], redis.call
if call('TYPE', job).ok ~= 'hash' then
  if call('EXISTS', job) == 1 then call('RENAME', job, job .. ':broken') end
  call('HSET', job, 'name', 'write', 'data', '{}', 'opts', '{}', 'timestamp', ARGV[1])
end
for at = 3, #ARGV, 3 do
  local field, text, mended = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if (call('HGET', job, field) or '') == text then
    if text ~= '' then call('HSET', job, 'broken:' .. field, text) end
    if mended == '-' then call('HDEL', job, field) else call('HSET', job, field, string.sub(mended, 2)) end
  end
end
call('HSET', job, 'broken', ARGV[2])
return 1`;

// KEYS: the job, its lock, wait, active, stalled, marker. ARGV: the id, the token. Puts the job back to the head of the queue.
const RETURN = `
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[2])
if redis.call('LREM', KEYS[4], 1, ARGV[1]) == 0 then return 0 end
redis.call('SREM', KEYS[5], ARGV[1])
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[6], 0, '0')
return 1`;

/** What is wrong with the job that has the key `key`; null if it is sound, or does not exist. */
async function faultsAt(redis: Redis, key: string): Promise<Faults | null> {
  try {
    // As bytes: what is no UTF-8 would not be found again by its text.
    const bytes = await redis.hgetallBuffer(key);
    const fields = Object.fromEntries(Object.entries(bytes).map(([field, value]) => [field, value.toString()]));
    const faults = Object.keys(fields).length === 0 ? [] : faultsOf(fields, Date.now());
    return faults.length === 0 ? null : { bytes, faults, what: textOf(faults) };
  } catch (error) {
    if (!(error as Error).message.startsWith('WRONGTYPE')) throw error;
    return { bytes: {}, faults: [], what: `what stands in Redis under ${key} is no hash` };
  }
}

interface Faults {
  /** What stands in the hash, by field. */
  bytes: Readonly<Record<string, Buffer>>;
  faults: readonly FieldFault[];
  what: string;
}

/** Mends the job with the key `key` if it cannot be read; false if it can, or does not exist. */
export async function mendJob(redis: Redis, key: string): Promise<boolean> {
  const found = await faultsAt(redis, key);
  if (found === null) return false;
  const { bytes, faults, what } = found;
  const replaced = faults.flatMap(({ field, mended }) => [
    field,
    bytes[field] ?? '',
    mended === null ? '-' : `+${mended}`,
  ]);
  await redis.eval(MEND, 1, key, Date.now(), what, ...replaced);
  return true;
}

/** The error of a job that cannot be read, which replaces the parser's own; null of any other. */
export async function brokenJob(redis: Redis, key: string, id: string): Promise<BrokenJobError | null> {
  const found = await faultsAt(redis, key);
  return found === null ? null : new BrokenJobError(id, found.what);
}

const textOf = (faults: readonly FieldFault[]): string =>
  faults.map(({ field, what }) => `its field "${field}" ${what}`).join('; ');

/** The fields of a job that is begun for the first time. */
const PLAIN_FIELDS: ReadonlySet<string> = new Set(
  'name data opts timestamp delay priority processedOn pb ats'.split(' '),
);

/** Scripts of BullMQ's that hand a job over: the fields of its hash, its id, and two delays. */
const FETCHES: ReadonlySet<string> = new Set(['moveToActive', 'moveToFinished']);

/** Redis refuses the script: a count is no number, or the job's key no hash. The job is locked by then. */
const REFUSED_BY_REDIS = /hash value is not an integer|WRONGTYPE/;

/** Judges and replaces, between Redis and BullMQ's worker, what the worker fetches. */
export class BrokenJobs {
  readonly #worker: Worker;
  readonly #onError: (error: unknown) => void;
  /** By id, what is wrong with a job that has been fetched and not yet begun. */
  readonly #found = new Map<string, string>();
  /** How many jobs were set aside. */
  #setAsides = 0;
  /** Most jobs of a queue have the same options. */
  #soundOpts = '';

  constructor(worker: Worker, onError: (error: unknown) => void) {
    this.#worker = worker;
    this.#onError = onError;
    const backend: RedisQueueBackend = worker.getBackend();
    const run = backend.execCommand.bind(backend);
    backend.execCommand = (client, name, args) => {
      const running: unknown = run(client, name, args);
      return FETCHES.has(name) ? this.#afterFetch(running) : running;
    };
    // Its data BullMQ parses here, so they need not be parsed twice.
    const maker = worker as unknown as { createJob(json: JobJson, id: string): Job };
    const make = maker.createJob.bind(worker);
    maker.createJob = (json, id) => {
      try {
        return make(json, id);
      } catch {
        this.#note(id, faultsOf({ name: json.name, data: json.data, timestamp: '0' }, 0));
        return make({ ...json, data: '{}' }, id);
      }
    };
  }

  /** Mends the job and returns its error; null of a sound one. To be called once per attempt, as it begins. */
  async take(id: string): Promise<BrokenJobError | null> {
    const what = this.#found.get(id);
    if (what === undefined) return null;
    this.#found.delete(id);
    const client = await this.#client();
    await mendJob(client, this.#worker.toKey(id));
    await client.hdel(this.#worker.toKey(id), BROKEN_FIELD); // it fails with this error once: repaired, it may be retried
    return new BrokenJobError(id, what);
  }

  /** True while take() has anything to return for some job: cheap enough to be asked for each. */
  get any(): boolean {
    return this.#found.size > 0;
  }

  async #afterFetch(fetching: unknown): Promise<unknown> {
    let reply: unknown;
    const before = this.#setAsides;
    try {
      reply = await fetching;
    } catch (error) {
      if (!REFUSED_BY_REDIS.test((error as Error).message)) throw error;
      await this.#setAside();
      if (this.#setAsides === before) throw error; // counted: another fetch that was refused may have come first
      return [0, 0, 0, 0]; // no job: the one that was fetched waits again, and can be read
    }
    if (
      Array.isArray(reply) &&
      Array.isArray(reply[0]) &&
      this.#replaceBroken(reply[0] as string[], String(reply[1]))
    ) {
      // At once: a host that dies with it leaves it to scripts that stop halfway at such a field, and BullMQ itself ends
      // one whose children failed, without an attempt.
      await mendJob(await this.#client(), this.#worker.toKey(String(reply[1])));
    }
    return reply;
  }

  /** Replaces what BullMQ cannot read in `raw`, field names and texts in turn; true if the job in Redis needs mending. */
  #replaceBroken(raw: string[], id: string): boolean {
    let isPlain = raw.length === 2 * PLAIN_FIELDS.size;
    for (let at = 0; at < raw.length && isPlain; at += 2) {
      const field = raw[at]!;
      if (field === 'opts') isPlain = raw[at + 1] === this.#soundOpts;
      else isPlain = PLAIN_FIELDS.has(field) && (field !== 'timestamp' || Number(raw[at + 1]) > 0);
    }
    if (isPlain) return false;
    const fields: Record<string, string> = {};
    for (let at = 0; at < raw.length; at += 2) fields[raw[at]!] = raw[at + 1]!;
    const faults = faultsOf(fields, Date.now());
    if (faults.length === 0) {
      this.#soundOpts = fields['opts'] ?? '';
      if (fields[BROKEN_FIELD] !== undefined) this.#found.set(id, fields[BROKEN_FIELD]);
      return false;
    }
    for (const { field, mended } of faults) {
      const at = raw.findIndex((name, index) => index % 2 === 0 && name === field);
      if (at !== -1) raw.splice(at, 2);
      if (mended !== null) raw.push(field, mended);
    }
    this.#note(id, faults);
    return true;
  }

  #note(id: string, faults: readonly FieldFault[]): void {
    const what = textOf(faults);
    this.#found.set(id, what === '' ? 'what it holds cannot be read' : what);
  }

  /** Mends each job that this worker has locked and Redis refuses to hand over, and puts it back into the queue. */
  async #setAside(): Promise<void> {
    const client = await this.#client();
    const key = (part: string): string => this.#worker.toKey(part);
    for (const id of await client.lrange(key('active'), 0, -1)) {
      const token = await client.get(key(`${id}:lock`));
      if (token?.startsWith(`${this.#worker.id}:`) !== true) continue;
      if (!(await isRefused(client, key(id)))) continue;
      const broken = await brokenJob(client, key(id), id);
      await mendJob(client, key(id));
      const parts = [id, `${id}:lock`, 'wait', 'active', 'stalled', 'marker'].map(key);
      await client.eval(RETURN, parts.length, ...parts, id, token);
      if (broken !== null) this.#onError(broken);
      this.#setAsides += 1;
    }
  }

  async #client(): Promise<Redis> {
    return (await this.#worker.getBackend().client) as unknown as Redis; // an ioredis client
  }
}

/** True of a job that Redis refuses to hand over. All other faults are found once it has been fetched. */
async function isRefused(client: Redis, key: string): Promise<boolean> {
  try {
    return !isCount((await client.hget(key, 'ats')) ?? '0');
  } catch (error) {
    return (error as Error).message.startsWith('WRONGTYPE');
  }
}
