/** Why a Redis cannot be used, in words that people can act on, from what its client or the system reports. */
import { type Connection, describeConnection } from './address.ts';
import { ConnectionError } from './connection-error.ts';
import { certificateReason, type Reason, refusalOf } from './refusals.ts';

const START_IT = 'Start it, or correct the address.';
const REASONS_OF_CODES = {
  ECONNREFUSED: { why: 'nothing listens there', hint: START_IT },
  ENOENT: { why: 'there is no such socket', hint: START_IT },
  ENOTDIR: { why: 'there is no such socket', hint: START_IT },
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
/** Of a Redis from which no answer comes. */
export const TIMED_OUT: Reason = { code: 'ETIMEDOUT', ...REASONS_OF_CODES.ETIMEDOUT };
const REASONS_OF_MESSAGES: readonly (readonly [pattern: RegExp, reason: Reason])[] = [
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
  [/Command timed out/, TIMED_OUT],
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
  const byCode = isKnownCode(code) ? { code, ...REASONS_OF_CODES[code] } : certificateReason(code);
  const reason =
    byCode ?? refusalOf(error) ?? REASONS_OF_MESSAGES.find(([pattern]) => pattern.test(message))?.[1] ?? null;
  if (reason === null) return null;
  const hasEnded = isEmbedded(connection) && GONE_CODES.has(reason.code);
  return refuse(connection, hasEnded ? { ...reason, hint: RESTARTED } : reason, error);
}

/** The embedded Redis, which the processes that use it start again. */
const isEmbedded = (connection: Connection): boolean => 'socketPath' in connection && (connection.handoverMs ?? 0) > 0;
const GONE_CODES: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ECONNRESET', 'EPIPE']);
const RESTARTED = 'It has ended: whoever uses it starts it again, or reports why that cannot be.';

function isKnownCode(code: string): code is keyof typeof REASONS_OF_CODES {
  return Object.hasOwn(REASONS_OF_CODES, code);
}

/** @param cause the error that the client or the system gave, if any */
export function refuse(connection: Connection, reason: Reason, cause?: unknown): ConnectionError {
  const address = describeConnection(connection);
  return new ConnectionError({
    code: reason.code,
    address,
    message: `Redis at ${address} cannot be used: ${reason.why} (${reason.code}).`,
    hint: reason.hint,
    cause,
  });
}
