/** The first contact with a Redis: whether it can be used, and what it is. */
import { setTimeout as sleep } from 'node:timers/promises';
import { inTime, isAtLeast } from '@penstock/contract';
import { Redis } from 'ioredis';
import { addressOf, CONNECT_MS_MAX, type Connection, redisOptions } from './address.ts';
import { ConnectionError } from './connection-error.ts';
import { within } from './deadline.ts';
import { explain, refuse, TIMED_OUT } from './explain.ts';
import { DEFAULT_PREFIX } from '../names.ts';
import { type Trial, tryCommands } from './redis-trial.ts';
import { IS_CLUSTER, IS_REPLICA, IS_SENTINEL, NOT_PERMITTED, refusalOf } from './refusals.ts';
import { whoAnswers } from './who-answers.ts';

const HANDOVER_PAUSE_MS = 25;

/** What a Redis reports of itself. */
export interface RedisFacts {
  flavour: 'redis' | 'valkey' | 'dragonfly';
  /** Of the flavour, such as '7.0.15'. */
  version: string;
  /** Whether it keeps an append-only file: without one, acknowledged jobs can be lost. */
  appendOnly: boolean;
  /** Must be 'noeviction': any other lets it drop jobs when memory is short. */
  evictionPolicy: string;
  /** Why it takes no writes now, though that may pass: its memory or its disk is full, or it misses replicas. */
  trouble: ConnectionError | null;
}

/** Redis 6.2 brought what BullMQ counts on; Valkey and Dragonfly came later. */
const VERSION_MIN = [6, 2] as const;

/**
 * Connects, asks what it is and whether it accepts the commands of a queue, and disconnects. Rejects with
 * ConnectionError if there is no Redis that can be used: nothing there, no answer, a wrong password, an untrusted
 * certificate, another protocol, a version too old; a replica, a node of a cluster, a Sentinel, a user who lacks
 * rights. That takes `timeoutMs` at most, the connection's `handoverMs` beside it, and two seconds more to find out
 * what answers if it is no Redis.
 */
export async function checkRedis(
  connection: Connection,
  timeoutMs: number = CONNECT_MS_MAX,
  prefix: string = DEFAULT_PREFIX,
): Promise<RedisFacts> {
  const handoverMs = 'socketPath' in connection ? (connection.handoverMs ?? 0) : 0;
  const triedUntil = performance.now() + handoverMs;
  for (;;) {
    try {
      return await checkOnce(connection, timeoutMs, prefix);
    } catch (error) {
      const mayPass = error instanceof ConnectionError && error.retryable;
      if (!mayPass || performance.now() > triedUntil) throw error;
      await sleep(HANDOVER_PAUSE_MS);
    }
  }
}

async function checkOnce(connection: Connection, timeoutMs: number, prefix: string): Promise<RedisFacts> {
  const redis = new Redis({
    ...redisOptions(connection),
    lazyConnect: true,
    enableReadyCheck: false,
    retryStrategy: () => null,
    reconnectOnError: () => false,
    connectTimeout: timeoutMs,
  });
  let first: unknown;
  redis.on('error', (error) => {
    first ??= error;
  });
  try {
    return await inTime(timeoutMs, ask(redis, connection, prefix), () => {
      throw Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' });
    });
  } catch (error) {
    // The client's own rejection reports only that the connection is closed; the first 'error' event has the reason.
    const explained = explain(first, connection) ?? explain(error, connection);
    throw (await nameAnswerer(explained, connection)) ?? explained ?? error;
  } finally {
    redis.disconnect();
  }
}

async function ask(redis: Redis, connection: Connection, prefix: string): Promise<RedisFacts> {
  await redis.connect();
  const info = await redis.info();
  const facts = judge(info, connection, prefix);
  const trial = await tryCommands(redis, prefix);
  return { ...facts, trouble: judgeTrial(trial, info, connection) };
}

/**
 * The error of a connection that broke or got no answer, once it is known what else listens there; undefined if not.
 */
async function nameAnswerer(
  broken: ConnectionError | null,
  connection: Connection,
): Promise<ConnectionError | undefined> {
  const { host, port, tls } = addressOf(connection);
  if (broken === null || host === undefined || port === undefined) return undefined;
  // A server without TLS may take our greeting for the begin of a command, and wait for its end.
  const codes = ['ECONNRESET', 'EPIPE', 'EPROTO', ...(tls === undefined ? [] : ['ETIMEDOUT'])];
  if (!codes.includes(broken.code)) return undefined;
  const reason = await whoAnswers(host, port, tls !== undefined);
  return reason === null ? undefined : refuse(connection, reason, broken.cause);
}

const fieldOf = (info: string, name: string): string | undefined =>
  new RegExp(`^${name}:(.*?)\r?$`, 'm').exec(info)?.[1];

/** Why it takes no writes for now. @throws what a user may not do that is needed */
function judgeTrial(trial: Trial, info: string, connection: Connection): ConnectionError | null {
  const { refused, error } = trial;
  const reason = refusalOf(error);
  if (reason === null) return null;
  if (reason === NOT_PERMITTED) {
    throw refuse(connection, { ...reason, why: `this user may not use ${refused.join(', ')}` }, error);
  }
  if (reason.code !== 'EREDISMEMORY') return refuse(connection, reason, error);
  const figures = `${fieldOf(info, 'used_memory_human')} of maxmemory ${fieldOf(info, 'maxmemory_human')}`;
  return refuse(connection, { ...reason, why: `its memory is full (${figures})` }, error);
}

function judge(info: string, connection: Connection, prefix: string): Omit<RedisFacts, 'trouble'> {
  const field = (name: string): string | undefined => fieldOf(info, name);
  const redisVersion = field('redis_version');
  if (redisVersion === undefined) {
    throw refuse(connection, { code: 'EPROTO', why: 'what answers there is no Redis', hint: 'Correct the address.' });
  }
  if (!isAtLeast(redisVersion, VERSION_MIN)) {
    throw refuse(connection, {
      code: 'EVERSION',
      why: `it is version ${redisVersion}, and ${VERSION_MIN.join('.')} or newer is needed`,
      hint: 'Upgrade it, or use another.',
    });
  }
  const mode = field('redis_mode') ?? field('server_mode');
  if (mode === 'sentinel') throw refuse(connection, IS_SENTINEL);
  // All keys in one slot, by a prefix such as {bull}, work on the node that has it.
  if (mode === 'cluster' && !/\{[^}]+\}/.test(prefix)) throw refuse(connection, IS_CLUSTER);
  if (field('role') === 'slave') {
    const master = `${field('master_host')}:${field('master_port')}`;
    throw refuse(connection, { ...IS_REPLICA, why: `it is a replica of ${master}, which takes no writes` });
  }
  const valkey = field('valkey_version');
  const dragonfly = field('dragonfly_version');
  return {
    flavour: valkey === undefined ? (dragonfly === undefined ? 'redis' : 'dragonfly') : 'valkey',
    version: valkey ?? dragonfly ?? redisVersion,
    appendOnly: field('aof_enabled') === '1',
    evictionPolicy: field('maxmemory_policy') ?? 'unknown',
  };
}

/** Waits until a BullMQ object is connected: it would wait for ever, if Redis went away since it was checked. */
export async function connected(o: { waitUntilReady: () => Promise<unknown> }, connection: Connection): Promise<void> {
  const ready = o.waitUntilReady();
  if (!(await within(CONNECT_MS_MAX, ready))) throw refuse(connection, TIMED_OUT);
  await ready;
}
