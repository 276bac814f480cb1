/**
 * The queue's side of what files record of the appends to them (libs/sink, append/record.ts): what becomes of a job that
 * a file names, and where the bytes of a job stand that the file does not name any more.
 *
 *   appends:realm                        string   random: distinguishes this Redis from any other, as long as it keeps its data
 *   <the job's hash>, `appended:<key>`   field    the place of its bytes, handed over by the file when its record was full
 *
 * The field goes with the job, and stays when the job is retried, with whatever options.
 */
import { randomBytes } from 'node:crypto';
import type { AppendAnswer, AppendQuestion } from '@penstock/contract';
import type { ScriptClient } from '../connection/script-client.ts';
import { anyHostKey, queueNameOf } from '../names.ts';

// KEYS: realm. ARGV: a name for it, if it has none. Two hosts may come at once: the first names it.
const REALM = `
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`;

// KEYS: realm. ARGV: the realm as it is known, then of each job: the key of its hash, when it was added, the field, and
// the place ('' if there is none any more). A job that has ended keeps its place from now on, before the file forgets
// it; one of the same id that was added at another time is another job.
const JUDGE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local fates = {}
for at = 2, #ARGV, 4 do
  local key, added, field, place = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local job = redis.call('HMGET', key, 'timestamp', 'finishedOn', 'failedReason')
  local fate = 'alive'
  if not job[1] or math.floor(tonumber(job[1])) ~= tonumber(added) then fate = 'gone'
  elseif job[2] then
    fate = job[3] and 'failed' or 'completed'
    if place == '' then redis.call('HDEL', key, field) else redis.call('HSET', key, field, place) end
  end
  table.insert(fates, fate)
end
return fates`;

const COMMANDS = {
  penstockAppendsRealm: { numberOfKeys: 1, lua: REALM },
  penstockJudgeAppends: { numberOfKeys: 1, lua: JUDGE },
} as const;

interface JobReference {
  queueName: string;
  id: string;
  addedAtMs: number;
}

/** BullMQ's client, as far as it is needed here. */
interface Client extends ScriptClient {
  hget(key: string, field: string): Promise<string | null>;
}

const fieldOf = (jobKey: string): string => `appended:${jobKey}`;

export class AppendPlaces {
  readonly #client: Client;
  readonly #prefix: string;
  readonly #realmKey: string;
  #realm = '';

  private constructor(client: Client, prefix: string) {
    this.#client = client;
    this.#prefix = prefix;
    this.#realmKey = anyHostKey(prefix, 'appends:realm');
    for (const [name, definition] of Object.entries(COMMANDS)) client.defineCommand(name, definition);
  }

  static async open(client: Client, prefix: string): Promise<AppendPlaces> {
    const places = new AppendPlaces(client, prefix);
    await places.#readRealm();
    return places;
  }

  /** The job as a file names it: without a blank, its last part is when it was added. */
  referenceTo({ queueName, id, addedAtMs }: JobReference): string {
    const queue = queueNameOf(id) === queueName ? '' : encodeURIComponent(queueName);
    return `${this.#realm}/${queue}/${encodeURIComponent(id)}/${addedAtMs.toString(36)}`;
  }

  /** The key of the job's hash that `reference` names, and when the job was added; null if it is of another Redis. */
  keyOf(reference: string): { key: string; addedAtMs: number } | null {
    const job = this.#parse(reference);
    return job === null ? null : { key: this.#keyOf(job), addedAtMs: job.addedAtMs };
  }

  /** Rejects if Redis does. */
  async answer({ own, entries }: AppendQuestion): Promise<AppendAnswer> {
    const [place, fates] = await Promise.all([this.#placeOf(own), this.#fatesOf(entries)]);
    return { own: place, fates };
  }

  async #placeOf(own: AppendQuestion['own']): Promise<string | null> {
    const job = own === null ? null : this.#parse(own.job);
    return job === null ? null : this.#client.hget(this.#keyOf(job), fieldOf(own!.jobKey));
  }

  async #fatesOf(entries: AppendQuestion['entries']): Promise<AppendAnswer['fates']> {
    const jobs = entries.map(({ job }) => this.#parse(job));
    const known = entries.flatMap((entry, index) => (jobs[index] == null ? [] : [{ ...entry, job: jobs[index] }]));
    if (known.length === 0) return entries.map(() => 'unknown');
    const args = known.flatMap(({ job, jobKey, place }) => [
      this.#keyOf(job),
      String(job.addedAtMs),
      fieldOf(jobKey),
      place,
    ]);
    const reply = await this.#client.runCommand('penstockJudgeAppends', [this.#realmKey, this.#realm, ...args]);
    const fates = reply as AppendAnswer['fates'];
    // Redis has lost its data since: what the files name is another Redis's.
    if (fates.length === 0) await this.#readRealm();
    const judged = fates.values();
    return jobs.map((job) => (job === null ? 'unknown' : (judged.next().value ?? 'unknown')));
  }

  /** null if it is not of this Redis, or names no job. */
  #parse(reference: string): JobReference | null {
    const [realm, queue = '', id = '', addedAt = ''] = reference.split('/');
    if (realm !== this.#realm || addedAt === '') return null;
    const jobId = decodeURIComponent(id);
    const queueName = queue === '' ? queueNameOf(jobId) : decodeURIComponent(queue);
    return { queueName, id: jobId, addedAtMs: Number.parseInt(addedAt, 36) };
  }

  #keyOf({ queueName, id }: JobReference): string {
    return `${this.#prefix}:${queueName}:${id}`;
  }

  async #readRealm(): Promise<void> {
    const name = randomBytes(4).toString('base64url');
    this.#realm = (await this.#client.runCommand('penstockAppendsRealm', [this.#realmKey, name])) as string;
  }
}
