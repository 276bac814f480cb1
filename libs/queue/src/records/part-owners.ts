/** Which partial files on a host's disks are still needed: whether their jobs may yet be taken up on that host. */
import type { AppendPlaces } from './append-places.ts';
import type { ScriptClient } from '../connection/script-client.ts';

/**
 * `over`: the job is gone, or has ended, or another host has had it for a minute. `open`: this host may take it up.
 * `unknown`: it is a job of another Redis.
 */
export type PartOwner = 'over' | 'open' | 'unknown';

/** So long after another host began the job, on a file system that both reach it has taken the part over. */
const ELSEWHERE_MS = 60_000;

// KEYS: none that are fixed. ARGV: now, the worker's name, then of each job: the key of its hash and when it was added.
const JUDGE = `
local owners = {}
for at = 3, #ARGV, 2 do
  local key, added = ARGV[at], ARGV[at + 1]
  local job = redis.call('HMGET', key, 'timestamp', 'finishedOn', 'pb', 'processedOn')
  local owner = 'open'
  if math.floor(tonumber(job[1] or '') or -1) ~= tonumber(added) or job[2] then owner = 'over'
  elseif job[3] and job[3] ~= ARGV[2] and redis.call('EXISTS', key .. ':lock') == 1
    and tonumber(ARGV[1]) - (tonumber(job[4] or '') or 0) > ${ELSEWHERE_MS} then owner = 'over' end
  table.insert(owners, owner)
end
return owners`;

/** How BullMQ's worker of this host is called: its name becomes part of a connection's, which may not have spaces. */
export const workerNameOf = (host: string): string => host.replaceAll(/[^\u0021-\u007E]/g, '_');

const JOBS_AT_ONCE_MAX = 500;

export class PartOwners {
  readonly #client: ScriptClient;
  readonly #places: AppendPlaces;
  readonly #worker: string;

  constructor(client: ScriptClient, places: AppendPlaces, host: string) {
    this.#client = client;
    this.#places = places;
    this.#worker = workerNameOf(host);
    client.defineCommand('penstockJudgeParts', { numberOfKeys: 0, lua: JUDGE });
  }

  /** In the order of the references. Rejects if Redis does. */
  async judge(references: readonly string[]): Promise<PartOwner[]> {
    const owners: PartOwner[] = [];
    for (let start = 0; start < references.length; start += JOBS_AT_ONCE_MAX) {
      // In parts, so that each script is short.
      owners.push(...(await this.#judge(references.slice(start, start + JOBS_AT_ONCE_MAX))));
    }
    return owners;
  }

  async #judge(references: readonly string[]): Promise<PartOwner[]> {
    const jobs = references.map((reference) => this.#places.keyOf(reference));
    const known = jobs.filter((job) => job !== null);
    const args = known.flatMap(({ key, addedAtMs }) => [key, addedAtMs]);
    const reply = await this.#client.runCommand('penstockJudgeParts', [Date.now(), this.#worker, ...args]);
    const judged = (reply as PartOwner[]).values();
    return jobs.map((job) => (job === null ? 'unknown' : (judged.next().value ?? 'unknown')));
  }
}
