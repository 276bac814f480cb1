/** What a failed start says: the thing it failed on, why, and what to do. */
export interface RedisStartFailure {
  /** Node's error code where the system gave one, else `EREDISSTART` (it exited), `EREDISBUSY` (it does not answer). */
  code: string;
  /** The file or directory it failed on. */
  path: string;
  /** The sentence without the remedy. */
  reason: string;
  /** What the reader can do about it. */
  hint: string;
  /** The last lines the server logged in this start; may be empty. */
  log?: string;
  cause?: unknown;
}

/** The embedded Redis could not be started or reached. */
export class RedisStartError extends Error {
  override readonly name: string = 'RedisStartError';
  readonly code: string;
  readonly path: string;
  readonly hint: string;
  readonly log: string;
  /** Starting again may work: a disk may have been freed, a hung server may be gone. */
  readonly retryable: boolean = true;

  constructor(failure: RedisStartFailure) {
    const log = failure.log?.trimEnd() ?? '';
    const shown = log === '' ? '' : `\nThe end of its log:\n${log.replaceAll(/^/gm, '  ')}`;
    super(`${failure.reason} ${failure.hint}${shown}`, failure.cause === undefined ? {} : { cause: failure.cause });
    this.code = failure.code;
    this.path = failure.path;
    this.hint = failure.hint;
    this.log = log;
  }
}

const remedies: readonly (readonly [pattern: RegExp, hint: string])[] = [
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
export function remedyOf(log: string): string {
  const known = remedies.find(([pattern]) => pattern.test(log));
  return known?.[1] ?? 'Is it a Redis 6.2 or newer, or a Valkey? Run it by hand with --port 0 to see.';
}
