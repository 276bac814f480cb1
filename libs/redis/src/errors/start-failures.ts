/** Why an embedded Redis is not there, for each way in which that happens: the sentence, and what to do about it. */
import { join } from 'node:path';
import { toWire } from '@penstock/contract';
import { RedisStartError } from './redis-start-error.ts';

/** The server program is missing, or is no program. */
export function programFailure(bin: string, cause: unknown): RedisStartError {
  const { code, message } = toWire(cause);
  return new RedisStartError({
    code,
    path: bin,
    reason: `The Redis server program ${bin} cannot be run: ${message}.`,
    hint: 'Name an executable redis-server or valkey-server, or use a Redis of your own by its URL.',
    cause,
  });
}

/** A server that ended before it answered. */
export interface Exit {
  directory: string;
  bin: string;
  /** How it ended: "exited with status 1". */
  how: string | null;
  /** What it logged in this start. */
  log: string;
  /** That its file system is full, in words; null if it is not. */
  lackOfSpace: string | null;
}

export function exitFailure({ directory, bin, how, log, lackOfSpace }: Exit): RedisStartError {
  const full = lackOfSpace === null ? '' : ` ${lackOfSpace}`;
  return new RedisStartError({
    code: lackOfSpace === null ? 'EREDISSTART' : 'ENOSPC',
    path: bin,
    reason: `The embedded Redis in ${directory} did not start: ${bin} ${how}.${full}`,
    hint: lackOfSpace === null ? remedyOf(log) : 'Free some space there.',
    log,
  });
}

/** A server that ran has ended because its disk is full, and is not started again until there is space. */
export function spaceFailure(directory: string, lackOfSpace: string, log: string): RedisStartError {
  return new RedisStartError({
    code: 'ENOSPC',
    path: directory,
    reason: `The embedded Redis in ${directory} has ended. ${lackOfSpace}`,
    hint: 'Free some space there: it is started again then, and all goes on by itself.',
    log: log.trimEnd().split('\n').slice(-2).join('\n'),
  });
}

/** A server that did not answer in time. */
export interface Silence {
  directory: string;
  socketPath: string;
  /** What was found last at the socket. */
  state: string;
  /** True if this process had started the server, and has stopped it. */
  isOwn: boolean;
  log: string;
}

export function silenceFailure({ directory, socketPath, state, isOwn, log }: Silence): RedisStartError {
  const found =
    state === 'absent' ? 'does not listen' : state === 'loading' ? 'still reads its data' : 'does not answer';
  return new RedisStartError({
    code: 'EREDISBUSY',
    path: socketPath,
    reason: isOwn
      ? `The embedded Redis in ${directory} ${found}; it was stopped.`
      : `Another process runs the Redis of ${directory}, but it ${found} at ${socketPath}.`,
    hint: `See which process has ${join(directory, 'redis.lock')} open (fuser, lsof), and whether it is stopped or the machine is overloaded.`,
    log,
  });
}

/** Another program listens at the server's socket. */
export function foreignFailure(socketPath: string, reply: string): RedisStartError {
  return new RedisStartError({
    code: 'EREDISSTART',
    path: socketPath,
    reason: `What listens at ${socketPath} is not the embedded Redis: '${reply}'.`,
    hint: 'Stop that program, or choose another data directory.',
  });
}

const REMEDIES: readonly (readonly [pattern: RegExp, hint: string])[] = [
  [/No space left on device/i, 'Free some space on that file system.'],
  [/Disk quota exceeded/i, 'The quota of this user is used up: free some space or have it raised.'],
  [
    /append only file.*(check-aof|truncated)|Bad file format/i,
    "Its append-only file is damaged: copy the directory, then run 'redis-check-aof --fix' on the .manifest file in its appendonlydir.",
  ],
  [
    /(newer|unsupported|can't handle) (RDB|version|format)|RDB format version/i,
    'Its files were written by a newer Redis: use that version, or move the directory away.',
  ],
  [
    /opening Unix socket/i,
    'That file system does not take Unix sockets: put the data directory on a local file system.',
  ],
  [/Permission denied|Read-only file system/i, 'Give this user the right to write there, or choose another directory.'],
  [/error while loading shared libraries/i, 'A library of it is missing: install the package it came from.'],
  [/FATAL CONFIG/i, 'It refused an option: Redis 6.2 or newer, or Valkey, is needed.'],
];

/** What to do about a server that exited, judged by what it logged. */
function remedyOf(log: string): string {
  const known = REMEDIES.find(([pattern]) => pattern.test(log));
  return known?.[1] ?? 'Is it a Redis 6.2 or newer, or a Valkey? Run it by hand with --port 0 to see.';
}
