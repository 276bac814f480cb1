// Where Redis is, how to speak to it, and, in words a person can act on, why it could not be reached.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { within } from './deadline.ts';
import { type FailoverOptions, followMaster } from './failover.ts';
import { DEFAULT_PREFIX } from '../names.ts';
import { type Trial, tryCommands } from './redis-trial.ts';
import {
  certificateReason,
  IS_CLUSTER,
  IS_REPLICA,
  IS_SENTINEL,
  NOT_PERMITTED,
  type Reason,
  refusalOf,
} from './refusals.ts';
import { whoAnswers } from './who-answers.ts';

/** `redis://[[user]:password@]host[:port][/database]`, the same with `rediss:` for TLS, or a Unix socket. */
export type Connection =
  | { url: string }
  | {
      socketPath: string;
      /**
       * How long the first contact is tried again, in milliseconds; 0 unless given. The embedded Redis is gone for a
       * moment whenever the process that started it ends and another takes over.
       */
      handoverMs?: number;
    };

/** A producer gives up after some seconds and says so; a worker waits for ever. */
export type Role = 'producer' | 'worker';

const reconnectMsMin = 25;
const reconnectMsMax = 1000;
/** With the delays above a producer tries for 2.6 seconds: the embedded Redis has long been started again by then. */
const producerRetries = 7;
const connectMsMax = 3000;
const handoverPauseMs = 25;
/** A Redis that is there but hangs: its disk may be busy for seconds, and with `appendfsync always` it waits for it. */
const answerMsMax = 10_000;
/** Longer than any blocking read of BullMQ (10 s): a connection this silent is dead, whatever TCP believes. */
const silenceMsMax = 30_000;

type Address = {
  host?: string;
  port?: number;
  /** Of a Unix socket. */
  path?: string;
  username?: string;
  password?: string;
  db?: number;
  tls?: Record<string, never>;
};

/** Options of ioredis, in a form that BullMQ's types accept too. */
export type RedisClientOptions = Address &
  FailoverOptions & {
    maxRetriesPerRequest: number | null;
    connectTimeout: number;
    socketTimeout: number;
    commandTimeout?: number;
    maxLoadingRetryTime: number;
    disconnectTimeout: number;
  };

/** Options for ioredis (or for any BullMQ class). Throws ConnectionError if the address cannot be understood. */
export function redisOptions(connection: Connection, role: Role = 'producer'): RedisClientOptions {
  return {
    ...addressOf(connection),
    // BullMQ demands null of its blocking connections; commands then wait for the connection, however long.
    maxRetriesPerRequest: role === 'worker' ? null : producerRetries,
    ...followMaster((times) => Math.min(reconnectMsMin * 2 ** Math.min(times - 1, 10), reconnectMsMax)),
    connectTimeout: connectMsMax,
    socketTimeout: silenceMsMax,
    ...(role === 'producer' ? { commandTimeout: answerMsMax } : {}),
    // ioredis would wait a second or more for a server that loads its data in milliseconds.
    maxLoadingRetryTime: 100,
    // On a connection that is gone already ioredis would keep the process alive for this long.
    disconnectTimeout: 200,
  };
}

/** The address for people: never with user or password. */
export function describeConnection(connection: Connection): string {
  if ('socketPath' in connection) return `unix:${connection.socketPath}`;
  const { host, port, path, db, tls } = addressOf(connection);
  if (path !== undefined) return `unix:${path}`;
  const shownHost = host?.includes(':') === true ? `[${host}]` : host;
  return `${tls === undefined ? 'redis' : 'rediss'}://${shownHost}:${port}${db === 0 ? '' : `/${db}`}`;
}

function addressOf(connection: Connection): Address {
  if ('socketPath' in connection) return { path: connection.socketPath };
  const { url: text } = connection;
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === 'unix:') return { path: decodeURIComponent(url.pathname) };
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '') {
    throw badAddress(text, 'it is not an address of a Redis');
  }
  const db = /^\/?(\d*)$/.exec(url.pathname)?.[1];
  if (db === undefined) throw badAddress(text, `'${url.pathname}' is not the number of a database`);
  if (url.search !== '' || url.hash !== '') throw badAddress(text, `'${url.search}${url.hash}' is not understood`);
  return {
    host: url.hostname.replaceAll(/^\[|\]$/g, ''),
    port: url.port === '' ? 6379 : Number(url.port),
    db: Number(db),
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

function badAddress(text: string, why: string): ConnectionError {
  const shown = text.replace(/\/\/.*@/, '//***@');
  return new ConnectionError({
    code: 'EBADURL',
    address: shown,
    message: `'${shown}' cannot be used: ${why}.`,
    hint: 'Write redis://host:6379, redis://:password@host:6379/0, rediss:// for TLS, or unix:///path/redis.sock.',
  });
}

/** Waits until a BullMQ object is connected: it would wait for ever, if Redis went away since it was checked. */
export async function connected(o: { waitUntilReady: () => Promise<unknown> }, connection: Connection): Promise<void> {
  const ready = o.waitUntilReady();
  if (!(await within(connectMsMax, ready)))
    throw refuse(connection, { code: 'ETIMEDOUT', ...reasonsOfCodes.ETIMEDOUT });
  await ready;
}

/** Ends a client at once, in whatever state it is, so that everything waiting in it is rejected. */
export function sever(client: { status: string; connect: () => Promise<unknown>; disconnect: () => void }): void {
  // Between two tries to reconnect there is no socket whose end would do that: begin a try, and end it.
  if (client.status === 'reconnecting') client.connect().catch(() => {});
  client.disconnect();
}

export interface ConnectionFailure {
  code: string;
  address: string;
  message: string;
  hint: string;
  cause?: unknown;
}

/** Redis cannot be used: the message names the address, without a password, and what to do. */
export class ConnectionError extends Error {
  override readonly name: string = 'ConnectionError';
  /**
   * Node's code where the system gave one; else EBADURL, EAUTH, EVERSION, EPROTO, ELOADING or ETIMEDOUT; of a Redis that
   * refuses: EREADONLY, ECLUSTER, ESENTINEL, EMISCONF, EREDISMEMORY or ENOREPLICAS.
   */
  readonly code: string;
  readonly address: string;
  readonly hint: string;
  /** Whether time may mend it. */
  readonly retryable: boolean;

  constructor(failure: ConnectionFailure) {
    super(`${failure.message} ${failure.hint}`, failure.cause === undefined ? {} : { cause: failure.cause });
    this.code = failure.code;
    this.address = failure.address;
    this.hint = failure.hint;
    this.retryable = !LASTING_CODES.has(failure.code) && certificateReason(failure.code) === null;
  }
}

const LASTING_CODES: ReadonlySet<string> = new Set(['EBADURL', 'EAUTH', 'EVERSION', 'EPROTO', 'ECLUSTER', 'ESENTINEL']);

const startIt = 'Start it, or correct the address.';
const reasonsOfCodes = {
  ECONNREFUSED: { why: 'nothing listens there', hint: startIt },
  ENOENT: { why: 'there is no such socket', hint: startIt },
  ENOTDIR: { why: 'there is no such socket', hint: startIt },
  EACCES: { why: 'this user may not open the socket', hint: 'Run as its owner, or change its permissions.' },
  ENOTFOUND: { why: 'there is no host of that name', hint: 'Correct the address.' },
  EAI_AGAIN: { why: 'the name of the host could not be looked up', hint: 'Check the network, or give its number.' },
  EHOSTUNREACH: { why: 'the host cannot be reached', hint: 'Check the network and the address.' },
  ENETUNREACH: { why: 'the network cannot be reached', hint: 'Check the network and the address.' },
  ETIMEDOUT: {
    why: 'it did not answer in time',
    hint: 'Is the address right, no firewall in between, and its machine not overloaded?',
  },
  ECONNRESET: { why: 'the connection was broken off', hint: 'Is it a Redis, and does it want rediss:// (TLS)?' },
  EPIPE: { why: 'the connection was broken off', hint: 'Is it a Redis, and does it want rediss:// (TLS)?' },
} as const;
const reasonsOfMessages: readonly (readonly [pattern: RegExp, reason: Reason])[] = [
  [/^NOAUTH/, { code: 'EAUTH', why: 'it asks for a password', hint: 'Give one: redis://:password@host:6379.' }],
  [
    /WRONGPASS|invalid password|invalid username/i,
    { code: 'EAUTH', why: 'it does not accept this user and password', hint: 'Correct them in the address.' },
  ],
  [
    /DB index is out of range/i,
    { code: 'EBADURL', why: 'it has no database of that number', hint: 'Correct the end of the address.' },
  ],
  [/^LOADING/, { code: 'ELOADING', why: 'it still reads its data', hint: 'Wait for it.' }],
  [
    /Unknown RESP type|wrong version number|\bSSL\b|\bTLS\b/,
    {
      code: 'EPROTO',
      why: 'what answers there is no Redis',
      hint: 'Correct the address; for TLS it begins with rediss://.',
    },
  ],
  [/Command timed out/, { code: 'ETIMEDOUT', ...reasonsOfCodes.ETIMEDOUT }],
  [
    /Connection is closed|max retries per request|Socket timeout|Stream isn't writeable/i,
    { code: 'ECONNRESET', why: 'the connection was broken off', hint: 'Is it a Redis that runs and stays up?' },
  ],
];

/** The error of a client as one that people can act on; null if it is not about the connection. */
export function explain(error: unknown, connection: Connection): ConnectionError | null {
  if (error instanceof ConnectionError) return error;
  if (typeof error !== 'object' || error === null) return null;
  const code = 'code' in error ? String(error.code) : '';
  const message = 'message' in error ? String(error.message) : '';
  const byCode = isKnownCode(code) ? { code, ...reasonsOfCodes[code] } : certificateReason(code);
  const reason =
    byCode ?? refusalOf(error) ?? reasonsOfMessages.find(([pattern]) => pattern.test(message))?.[1] ?? null;
  if (reason === null) return null;
  const hasEnded = isEmbedded(connection) && GONE_CODES.has(reason.code);
  return refuse(connection, hasEnded ? { ...reason, hint: restarted } : reason, error);
}

/** The embedded Redis, which the processes that use it start again. */
const isEmbedded = (connection: Connection): boolean => 'socketPath' in connection && (connection.handoverMs ?? 0) > 0;
const GONE_CODES: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE']);
const restarted = 'It has ended: whoever uses it starts it again, or reports why that cannot be.';

function isKnownCode(code: string): code is keyof typeof reasonsOfCodes {
  return Object.hasOwn(reasonsOfCodes, code);
}

function refuse(connection: Connection, reason: Reason, cause?: unknown): ConnectionError {
  const address = describeConnection(connection);
  return new ConnectionError({
    code: reason.code,
    address,
    message: `Redis at ${address} cannot be used: ${reason.why} (${reason.code}).`,
    hint: reason.hint,
    cause,
  });
}

/** What a Redis says of itself. */
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
const versionMin = [6, 2] as const;

/**
 * Connects, asks what it is and whether it accepts the commands of a queue, and disconnects. Rejects with
 * ConnectionError if there is no Redis that can be used: nothing there, no answer, a wrong password, an untrusted
 * certificate, another protocol, a version too old; a replica, a node of a cluster, a Sentinel, a user who lacks
 * rights. That takes `timeoutMs` at most, the connection's `handoverMs` beside it, and two seconds more to find out
 * what answers if it is no Redis.
 */
export async function checkRedis(
  connection: Connection,
  timeoutMs: number = connectMsMax,
  prefix: string = DEFAULT_PREFIX,
): Promise<RedisFacts> {
  const handoverMs = 'socketPath' in connection ? (connection.handoverMs ?? 0) : 0;
  const triedUntil = performance.now() + handoverMs;
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop -- one try after another is the purpose
      return await checkOnce(connection, timeoutMs, prefix);
    } catch (error) {
      const mayPass = error instanceof ConnectionError && error.retryable;
      if (!mayPass || performance.now() > triedUntil) throw error;
      // oxlint-disable-next-line no-await-in-loop
      await sleep(handoverPauseMs);
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
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' })), timeoutMs);
  });
  try {
    const info = await Promise.race([readInfo(redis), timeout]);
    const facts = judge(info, connection, prefix);
    const trial = await Promise.race([tryCommands(redis, prefix), timeout]);
    return { ...facts, trouble: judgeTrial(trial, info, connection) };
  } catch (error) {
    // The client's own rejection says only that the connection is closed; the event before it says why.
    const explained = explain(first, connection) ?? explain(error, connection);
    throw (await nameAnswerer(explained, connection)) ?? explained ?? error;
  } finally {
    clearTimeout(timer);
    redis.disconnect();
  }
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

async function readInfo(redis: Redis): Promise<string> {
  await redis.connect();
  return redis.info();
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
  const [major = 0, minor = 0] = redisVersion.split('.').map(Number);
  if (major < versionMin[0] || (major === versionMin[0] && minor < versionMin[1])) {
    throw refuse(connection, {
      code: 'EVERSION',
      why: `it is version ${redisVersion}, and ${versionMin.join('.')} or newer is needed`,
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
