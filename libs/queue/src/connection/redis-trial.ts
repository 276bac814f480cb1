/**
 * Whether a Redis accepts the commands that a queue needs. A replica, a full server and one whose user has few rights
 * all answer PING and INFO as a healthy one does. The commands tried here find nothing to do, so that no data change.
 */
import type { Redis } from 'ioredis';
import { anyHostKey } from '../names.ts';
import { NOT_PERMITTED, refusalOf } from './refusals.ts';

export interface Trial {
  /** Commands that were refused for the same reason as the first. */
  refused: string[];
  /** The first refusal; null if none was refused. */
  error: Error | null;
}

/** Tries a command of each kind on keys below `prefix`. Rejects if the connection breaks. */
export async function tryCommands(redis: Redis, prefix: string): Promise<Trial> {
  const [key = '', other = ''] = ['trial', 'trial:other'].map((part) => anyHostKey(prefix, part));
  const script = `redis.call('ZADD', KEYS[1], 'XX', 1, 'none'); return redis.call('HDEL', KEYS[2], 'none')`;
  const commands: [name: string, ...args: (string | number)[]][] = [
    ['zadd', key, 'XX', 1, 'none'],
    ['hdel', key, 'none'],
    ['lpushx', key, 'none'],
    ['srem', key, 'none'],
    ['xadd', key, 'NOMKSTREAM', '*', 'none', ''],
    ['pexpire', key, 1],
    ['hgetall', key],
    ['zrange', key, 0, 0],
    ['xrevrange', key, '+', '-', 'COUNT', 1],
    ['time'],
    ['publish', key, ''],
    ['client', 'LIST', 'ID', 1],
    ['eval', script, 2, key, other],
    ['multi'],
    // Within a transaction it does not block.
    ['bzpopmin', key, 1],
    ['exec'],
    // The last, for it changes what the connection may be used for.
    ['subscribe', key],
  ];
  const answers = await Promise.all(
    commands.map(async ([name, ...args]): Promise<[string, Error | null]> => {
      try {
        await redis.call(name, ...args);
        return [name, null];
      } catch (error) {
        if (refusalOf(error) === null) return [name, null]; // this flavour does not know it; or it broke, see below
        return [name, error as Error];
      }
    }),
  );
  if (redis.status === 'end') throw new Error('Connection is closed.');
  const errors = answers.filter(([, error]) => error !== null);
  // A right that is missing stays so: it goes before what may pass.
  const [, error = null] = errors.find(([, each]) => refusalOf(each) === NOT_PERMITTED) ?? errors[0] ?? [];
  const reason = refusalOf(error);
  return { refused: errors.filter(([, each]) => refusalOf(each) === reason).map(([name]) => name), error };
}
