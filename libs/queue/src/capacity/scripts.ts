/**
 * What Redis keeps of the queue's byte limit, and the scripts that change it, each of them in one step.
 *
 *   capacity:limit     hash     bytes, whenFull, and `used`: the sum of all that is held
 *   capacity:held      hash     '<queue>:<job id>' -> '<bytes>:<milliseconds of Redis when it was admitted>'
 *   capacity:freed     channel  published to whenever there may be more room than before
 *   capacity:sweeping  string   exists while somebody sweeps
 *
 * All of them are below the prefix of the queue of any host; a job's id has no colon, so they are never a job's.
 */
import type { ScriptClient } from '../connection/script-client.ts';

/** A job as the limit knows it. */
export interface Held {
  /** '<queue>:<job id>': what stands behind the prefix in the key of the job's hash. */
  field: string;
  bytes: number;
}

export type WhenFull = 'reject' | 'wait';

export interface Capacity {
  /** Bytes of all jobs that have not ended; null: no limit. */
  bytes: number | null;
  /** What a producer meets whose jobs do not fit: a CapacityError, or a wait for room. */
  whenFull: WhenFull;
  /** Of the jobs that are counted. */
  usedBytes: number;
  jobs: number;
}

/** What came of an admission. */
export interface Admitted {
  outcome: 'admitted' | 'full' | 'too large' | 'no limit';
  askedBytes: number;
  usedBytes: number;
  limitBytes: number;
  whenFull: WhenFull;
}

/** How long an entry without a job is kept: its producer may be between admitting and adding, and slow. */
const ORPHAN_MS = 60_000;

// Redis below 7 has to replicate the commands of a script, not the script: it asks for the time.
const BEGIN = 'if redis.replicate_commands then redis.replicate_commands() end ';
const NOW = "local time = redis.call('TIME') local now = time[1] * 1000 + math.floor(time[2] / 1000) ";

// KEYS: limit, held. ARGV: '1' to count whatever the limit, then field and bytes of each job. A job counts once.
const ADMIT = `${BEGIN}${NOW}
local state = redis.call('HMGET', KEYS[1], 'bytes', 'used', 'whenFull')
if not state[1] then return {'no limit', '0', '0', '0', 'reject'} end
local limit, used, asked = tonumber(state[1]), tonumber(state[2] or '0'), 0
for i = 2, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then asked = asked + tonumber(ARGV[i + 1]) end
end
local outcome = 'admitted'
if ARGV[1] ~= '1' and asked > 0 then
  if asked > limit then outcome = 'too large' elseif used + asked > limit then outcome = 'full' end
end
if outcome == 'admitted' then
  for i = 2, #ARGV, 2 do redis.call('HSETNX', KEYS[2], ARGV[i], ARGV[i + 1] .. ':' .. string.format('%.0f', now)) end
  redis.call('HINCRBY', KEYS[1], 'used', string.format('%.0f', asked))
end
return {outcome, string.format('%.0f', asked), string.format('%.0f', used), string.format('%.0f', limit), state[3]}`;

// Drops an entry if it is there, and returns its bytes.
const DROP = `
local function drop(field)
  local entry = redis.call('HGET', KEYS[2], field)
  if not entry then return 0 end
  redis.call('HDEL', KEYS[2], field)
  return tonumber(string.match(entry, '^(%d+)') or '0')
end
local function free(bytes)
  if bytes == 0 then return end
  redis.call('HINCRBY', KEYS[1], 'used', string.format('%.0f', -bytes))
  redis.call('PUBLISH', KEYS[3], string.format('%.0f', bytes))
end `;

// KEYS: limit, held, freed. ARGV: fields.
const RELEASE = `${BEGIN}${DROP}
local freed = 0
for _, field in ipairs(ARGV) do freed = freed + drop(field) end
free(freed)
return string.format('%.0f', freed)`;

// KEYS: limit, held, freed, sweeping. ARGV: cursor, prefix of the jobs' keys, milliseconds an entry without a job is kept.
// One batch a call, so that Redis serves others in between; who begins keeps everybody else from it for a second.
const SWEEP = `${BEGIN}${NOW}${DROP}
if ARGV[1] == '0' and not redis.call('SET', KEYS[4], '1', 'NX', 'PX', 1000) then return {'0', 'busy'} end
local batch = redis.call('HSCAN', KEYS[2], ARGV[1], 'COUNT', 500)
local freed = 0
for i = 1, #batch[2], 2 do
  local field, key = batch[2][i], ARGV[2] .. batch[2][i]
  local admitted = tonumber(string.match(batch[2][i + 1], ':(%d+)$') or '0')
  if redis.call('EXISTS', key) == 0 then
    if now - admitted > tonumber(ARGV[3]) then freed = freed + drop(field) end
  elseif redis.call('HEXISTS', key, 'finishedOn') == 1 then
    freed = freed + drop(field)
  end
end
free(freed)
return {batch[1], string.format('%.0f', freed)}`;

// KEYS: limit, held, freed. ARGV: bytes ('' for none), whenFull.
const SET = `
if ARGV[1] == '' then redis.call('DEL', KEYS[1], KEYS[2])
else redis.call('HSET', KEYS[1], 'bytes', ARGV[1], 'whenFull', ARGV[2]) end
redis.call('PUBLISH', KEYS[3], '0')
return 1`;

// KEYS: limit, held.
const READ = `
local state = redis.call('HMGET', KEYS[1], 'bytes', 'whenFull', 'used')
return {state[1] or '', state[2] or 'reject', state[3] or '0', tostring(redis.call('HLEN', KEYS[2]))}`;

const COMMANDS = {
  penstockAdmit: { numberOfKeys: 2, lua: ADMIT },
  penstockRelease: { numberOfKeys: 3, lua: RELEASE },
  penstockSweep: { numberOfKeys: 4, lua: SWEEP },
  penstockSetCapacity: { numberOfKeys: 3, lua: SET },
  penstockReadCapacity: { numberOfKeys: 2, lua: READ },
} as const;

/** The limit of one prefix, as Redis keeps it. */
export class CapacityScripts {
  /** The channel on which room is announced. */
  readonly freed: string;
  readonly #client: ScriptClient;
  readonly #prefix: string;
  readonly #limit: string;
  readonly #held: string;
  readonly #sweeping: string;

  /** `toKey` makes the keys of the queue of any host; `prefix` is BullMQ's. */
  constructor(client: ScriptClient, prefix: string, toKey: (part: string) => string) {
    this.#client = client;
    this.#prefix = `${prefix}:`;
    this.#limit = toKey('capacity:limit');
    this.#held = toKey('capacity:held');
    this.freed = toKey('capacity:freed');
    this.#sweeping = toKey('capacity:sweeping');
    for (const [name, definition] of Object.entries(COMMANDS)) client.defineCommand(name, definition);
  }

  /** Whether there is a limit: the one command that is sent if there is none. */
  async isLimited(): Promise<boolean> {
    const [bytes] = await this.#client.hmget(this.#limit, 'bytes');
    return bytes != null;
  }

  async read(): Promise<Capacity> {
    const [bytes, whenFull, used, jobs] = await this.#run('penstockReadCapacity', [this.#limit, this.#held]);
    return {
      bytes: bytes === '' ? null : Number(bytes),
      whenFull: asWhenFull(whenFull),
      usedBytes: Number(used),
      jobs: Number(jobs),
    };
  }

  async set(bytes: number | null, whenFull: WhenFull): Promise<void> {
    const keys = [this.#limit, this.#held, this.freed];
    await this.#client.runCommand('penstockSetCapacity', [...keys, bytes === null ? '' : String(bytes), whenFull]);
  }

  /** Counts all of the jobs, or none of them. */
  async admit(jobs: readonly Held[], whateverTheLimit = false): Promise<Admitted> {
    const pairs = jobs.flatMap(({ field, bytes }) => [field, String(bytes)]);
    const args = [this.#limit, this.#held, whateverTheLimit ? '1' : '0', ...pairs];
    const [outcome, asked, used, limit, whenFull] = await this.#run('penstockAdmit', args);
    return {
      outcome: outcome as Admitted['outcome'],
      askedBytes: Number(asked),
      usedBytes: Number(used),
      limitBytes: Number(limit),
      whenFull: asWhenFull(whenFull),
    };
  }

  /** Counts the jobs no more; those that are not counted are left alone. */
  async release(fields: readonly string[]): Promise<void> {
    await this.#client.runCommand('penstockRelease', [this.#limit, this.#held, this.freed, ...fields]);
  }

  /**
   * Counts no more what nobody will release: jobs that were removed, that ended with a host that did not know of the
   * limit, or that were never added because their producer died. False if somebody else has just done that.
   */
  async sweep(orphanMs: number = ORPHAN_MS): Promise<boolean> {
    const keys = [this.#limit, this.#held, this.freed, this.#sweeping];
    let cursor = '0';
    do {
      const [next = '0', freed] = await this.#run('penstockSweep', [...keys, cursor, this.#prefix, orphanMs]);
      if (freed === 'busy') return false;
      cursor = next;
    } while (cursor !== '0');
    return true;
  }

  async #run(name: keyof typeof COMMANDS, args: (string | number)[]): Promise<string[]> {
    return (await this.#client.runCommand(name, args)) as string[];
  }
}

const asWhenFull = (text: string | undefined): WhenFull => (text === 'wait' ? 'wait' : 'reject');
