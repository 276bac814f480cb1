/** Which hosts there are: a hash in Redis with the record of each, by its name. */
import { type HostRecord, recordOf } from './record.ts';

/** What is needed of a Redis client, BullMQ's or ioredis's own. */
export interface HashClient {
  time(): Promise<(string | number)[]>;
  hgetall(key: string): Promise<Record<string, string>>;
  hdel(key: string, ...fields: string[]): Promise<unknown>;
}

/** A host that is gone for good leaves a queue behind, perhaps with jobs in it: it is not forgotten soon. */
const FORGET_MS = 30 * 24 * 3_600_000;

/** The key of the hash; `toKey` makes the keys of the queue of any host. A job's id has no colon, so none is in its way. */
export const registryKey = (toKey: (part: string) => string): string => toKey('hosts:seen');

/** The hosts that are known, by name; those that fell silent a month ago are forgotten. One round trip. */
export async function readHosts(client: HashClient, key: string): Promise<HostRecord[]> {
  const [[seconds, microseconds], entries] = await Promise.all([client.time(), client.hgetall(key)]);
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  const known = Object.entries(entries).map(([name, json]) => recordOf(name, json, nowMs));
  const gone = known.filter(({ seenAtMs }) => seenAtMs < nowMs - FORGET_MS);
  if (gone.length > 0) await client.hdel(key, ...gone.map(({ name }) => name));
  return known.filter((host) => !gone.includes(host)).toSorted((one, other) => (one.name < other.name ? -1 : 1));
}
