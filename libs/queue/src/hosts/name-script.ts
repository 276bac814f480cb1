/**
 * The script by which a host keeps its name and reports, as one atomic step in Redis.
 *
 *   hosts:seen         hash     name -> the record of the host (record.ts)
 *   hosts:name:<name>  string   the process that holds the name (holder.ts); expires ten seconds after its last report
 *
 * Both are below the prefix of the queue of any host. The time in a record is that of Redis: the clocks of hosts may be wrong.
 *
 * The decision: libs/README.md#a-name-is-a-lease.
 */
import type { ScriptClient } from '../connection/script-client.ts';

// KEYS: registry, name. ARGV: host, holder, record, milliseconds that the name is kept ('0': given up), the instance, and a
// holder that has ended ('' if none is known). Returns {holder, ms left} if another holds the name, or {'', record that
// another has written in the meantime}.
const REPORT = `
if redis.replicate_commands then redis.replicate_commands() end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[2] and holder ~= ARGV[6] then return {holder, redis.call('PTTL', KEYS[2])} end
local before = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if string.find(before, ARGV[5], 1, true) then before = '' end
if ARGV[4] == '0' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4]) end
local time = redis.call('TIME')
local ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSET', KEYS[1], ARGV[1], '{"seenAtMs":' .. ms .. ',' .. string.sub(ARGV[3], 2))
return {'', before}`;

const COMMAND = 'penstockReportHost';

export interface ReportArguments {
  registryKey: string;
  nameKey: string;
  host: string;
  /** The process that reports, and its part that no other has. */
  holder: string;
  instance: string;
  /** A JSON object, not empty. */
  record: string;
  /** For so long nobody else gets the name; 0 gives it up. */
  keepMs: number;
  /** A holder that has ended, whose name may be taken. */
  ended: string;
}

export interface Reported {
  /** Who else holds the name, and for how many milliseconds more; null: it is ours. */
  other: { holder: string; leftMs: number } | null;
  /** What another has written into our record meanwhile; empty: nothing. */
  before: string;
}

/** To be called once, before reportHost(). */
export function defineReport(client: ScriptClient): void {
  client.defineCommand(COMMAND, { numberOfKeys: 2, lua: REPORT });
}

export async function reportHost(client: ScriptClient, a: ReportArguments): Promise<Reported> {
  const args = [a.registryKey, a.nameKey, a.host, a.holder, a.record, String(a.keepMs), a.instance, a.ended];
  const [holder, second] = (await client.runCommand(COMMAND, args)) as [string, string | number];
  if (holder === '') return { other: null, before: String(second) };
  return { other: { holder, leftMs: Number(second) }, before: '' };
}

/** The key of the name of `host`; `toKey` as of registryKey(). */
export const nameKeyOf = (toKey: (part: string) => string, host: string): string => toKey(`hosts:name:${host}`);
