/** Where Redis is, how that is shown to people, and the options of a client that connects there. */
import { parseRedisUrl } from '@penstock/contract';
import { ConnectionError } from './connection-error.ts';
import { type FailoverOptions, followMaster } from './failover.ts';

/** `redis://[[user]:password@]host[:port][/database]`, the same with `rediss:` for TLS, or a Unix socket. */
export type Connection =
  | { url: string }
  | {
      socketPath: string;
      /**
       * How long the first contact is tried again, in milliseconds; 0 unless given. The embedded Redis is gone for a
       * moment when the process that started it ends and another takes over.
       */
      handoverMs?: number;
    };

/** A producer's commands fail after some seconds without Redis; a worker's wait for ever. */
export type Role = 'producer' | 'worker';

const RECONNECT_MS_MIN = 25;
const RECONNECT_MS_MAX = 1000;
/** With the delays above a producer tries for 2.6 seconds: the embedded Redis has long been started again by then. */
const PRODUCER_RETRIES = 7;
/** How long a connection may take to come about. */
export const CONNECT_MS_MAX = 3000;
/** A Redis that is there but hangs: its disk may be busy for seconds, and with `appendfsync always` it waits for it. */
const ANSWER_MS_MAX = 10_000;
/** Longer than any blocking read of BullMQ (10 s): a connection this silent is dead, whatever TCP believes. */
const SILENCE_MS_MAX = 30_000;

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

/** Options for ioredis (or for any BullMQ class). @throws ConnectionError if the address cannot be understood */
export function redisOptions(connection: Connection, role: Role = 'producer'): RedisClientOptions {
  return {
    ...addressOf(connection),
    // BullMQ demands null of its blocking connections; commands then wait for the connection, however long.
    maxRetriesPerRequest: role === 'worker' ? null : PRODUCER_RETRIES,
    ...followMaster((times) => Math.min(RECONNECT_MS_MIN * 2 ** Math.min(times - 1, 10), RECONNECT_MS_MAX)),
    connectTimeout: CONNECT_MS_MAX,
    socketTimeout: SILENCE_MS_MAX,
    ...(role === 'producer' ? { commandTimeout: ANSWER_MS_MAX } : {}),
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

/** The address in the form of ioredis. @throws ConnectionError if it cannot be understood */
export function addressOf(connection: Connection): Address {
  if ('socketPath' in connection) return { path: connection.socketPath };
  const { url: text } = connection;
  const named = parseRedisUrl(text);
  if (named !== null && 'socketPath' in named) return { path: named.socketPath };
  if (named === null || named.server.hostname === '') throw badAddress(text, 'it is not an address of a Redis');
  const url = named.server;
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
