/**
 * Settings: command-line options before environment variables before defaults. Every penstock process reads them
 * here, so that the same words mean the same everywhere; the libs get values.
 */
import { isIP } from 'node:net';
import { totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ANY_HOST, formatBytes, HOST_NAME, parseSize } from '@penstock/contract';
import type { Connection } from '@penstock/queue';
import type { RootConfig } from '@penstock/disk';
import * as defaults from './defaults.ts';
import { DURATION_ACCEPTED, formatDuration, parseDuration } from './durations.ts';
import { ALL_ROOTS, collectDirect, directOf, type DirectChoices } from './direct.ts';
import { parseGroup } from './groups.ts';
import { collectRootLimit, parseRate } from './rates.ts';

/** Which Redis: a server that runs by itself, or the embedded one of a data directory. */
export type RedisChoice = { kind: 'server'; connection: Connection } | { kind: 'embedded'; directory: string };

/** What every command needs. */
export interface StoreSettings {
  dataDirectory: string;
  redis: RedisChoice;
}

/** What a host needs besides. */
export interface HostSettings {
  name: string;
  /** undefined, as with the depth: as calibrated, else the default. tuneHost() decides. */
  threads: number | undefined;
  depth: number | undefined;
  jobs: number;
  memoryBytes: number;
  engine: 'auto' | 'libaio' | 'syscalls' | 'positional';
  roots: RootConfig[];
  /** Where segments of shared memory are looked for. */
  shmDirectory: string;
  /** The group whose members may put them there, besides the host's user; undefined: none. */
  shmGroupId: number | undefined;
  /** Networks (192.168.7.0/24), addresses and names that urls may lead to though they are not public. */
  urlAllow: readonly string[];
  /** How long a job stays with a host that fell silent before another takes it up. */
  lockDurationMs: number;
  /** How long a job may wait for what others must end, such as a full disk, without an attempt being counted. */
  waitMsMax: number;
  /** All that the host writes, in bytes a second; 0 is no limit. A limit of the queue goes before it (`penstock limit`). */
  limitBytesPerSecond: number;
  /** The same of roots, by name. */
  rootLimits: Record<string, number>;
  /** What `--direct` chose, as it was given; `roots` has the choice for each. */
  direct: DirectChoices;
  /** How long a stopped write may take to end before its job ends without it, in milliseconds. */
  stopGraceMs: number;
  /** A running write records how far it is after so many bytes. */
  checkpointBytes: number;
}

interface StoreOptions {
  redis?: string;
  data?: string;
}

interface HostOptions extends StoreOptions {
  name: string;
  threads?: number;
  depth?: number;
  jobs: number;
  memory: number;
  engine: HostSettings['engine'];
  root: RootConfig[];
  shm: string;
  shmGroup?: number;
  urlAllow: string[];
  lockDuration: number;
  waitForSpace: number;
  limit: number;
  rootLimit: Record<string, number>;
  direct: DirectChoices;
  stopGrace: number;
  checkpoint: number;
}

/** Adds --redis and --data. */
export function addStoreOptions(command: Command): Command {
  return addDataOption(
    command.addOption(
      new Option('--redis <url>', 'the Redis to use instead of the embedded one').env('PENSTOCK_REDIS_URL'),
    ),
  );
}

/** Adds --data. */
export function addDataOption(command: Command): Command {
  return command.option('--data <directory>', 'where the embedded Redis and the root "data" live (env: PENSTOCK_DATA)');
}

/** Adds the options of a host. */
export function addHostOptions(command: Command): Command {
  return addWriterOptions(addStoreOptions(command)).addOption(
    new Option('--root <name=directory[:ro]>', 'a directory that jobs may name; :ro allows reading only (repeatable)')
      .argParser(collectRoot)
      .default([], 'data=<data directory>/files'),
  );
}

/** Adds the options of a host but for its roots: its name, its threads, their memory and limits. */
export function addWriterOptions(command: Command): Command {
  return command
    .option('--name <name>', 'the name of this host, as "target" names it', parseHostName, defaults.hostName())
    .option(
      '--threads <n>',
      `writer threads per file system, each with its own AIO context (default: as calibrated, else ${defaults.THREADS})`,
      integer(1, 64),
    )
    .option(
      '--depth <n>',
      `iocbs in flight at once, per thread (default: as calibrated, else ${defaults.DEPTH}, or what the disk's tags allow)`,
      integer(1, 4096),
    )
    .option('--jobs <n>', 'writes that run at once on one thread', integer(1, 256), defaults.JOBS)
    .addOption(
      new Option('--memory <size>', 'row memory of all threads together')
        .argParser(memory)
        .default(defaults.MEMORY_BYTES, formatBytes(defaults.MEMORY_BYTES)),
    )
    .addOption(
      new Option('--engine <engine>', 'what carries the I/O')
        .choices(['auto', 'libaio', 'syscalls', 'positional'])
        .default('auto'),
    )
    .option(
      '--shm <directory>',
      'where segments of shared memory are looked for',
      (text) => resolve(text),
      defaults.SHM_DIRECTORY,
    )
    .option(
      '--shm-group <group>',
      "a group whose members may put segments there, by name or number (default: the host's user alone)",
      parseGroup,
    )
    .addOption(
      new Option(
        '--url-allow <network|address|name>',
        'where urls may lead besides public addresses: 10.1.0.0/16, ::1, artifacts.internal, *.internal (repeatable)',
      )
        .argParser(collectUrlAllow)
        .default([], 'none'),
    )
    .option(
      '--lock-duration <ms>',
      'milliseconds that a job stays with a host that fell silent before another takes it up',
      integer(1000, 3_600_000),
      defaults.LOCK_DURATION_MS,
    )
    .addOption(
      new Option(
        '--wait-for-space <duration>',
        "how long a job waits for space, another write's lock or file descriptors before it fails, attempts not counted; 0: not at all",
      )
        .argParser(duration)
        .default(defaults.WAIT_MS_MAX, formatDuration(defaults.WAIT_MS_MAX)),
    )
    .addOption(
      new Option('--limit <rate>', 'bytes a second that the whole host may write, like 500MiB')
        .argParser(parseRate)
        .default(0, 'none'),
    )
    .addOption(
      new Option('--root-limit <name=rate>', 'the same for one root (repeatable)')
        .argParser(collectRootLimit)
        .default({}, 'none'),
    )
    .addOption(
      new Option(
        '--direct <auto|off|name=off>',
        'off: files go through the page cache, and direct I/O is not tried; also for one root (repeatable)',
      )
        .argParser(collectDirect)
        .default({}, 'auto: where the file system takes it'),
    )
    .option(
      '--stop-grace <ms>',
      'milliseconds that a stopped write may take to end before it is left to its disk, and its job ends without it',
      integer(100, 3_600_000),
      defaults.STOP_GRACE_MS,
    )
    .addOption(
      new Option(
        '--checkpoint <size>',
        'a running write records how far it is after so many bytes, and every 5 seconds',
      )
        .argParser(checkpoint)
        .default(defaults.CHECKPOINT_BYTES, formatBytes(defaults.CHECKPOINT_BYTES)),
    );
}

/** The settings by the options and the environment. */
export function storeSettings(options: StoreOptions, env: NodeJS.ProcessEnv): StoreSettings {
  // An empty one is an unset variable of some script, not the current directory.
  const dataDirectory = resolve(options.data || defaults.dataDirectory(env));
  const redis: RedisChoice =
    options.redis === undefined
      ? { kind: 'embedded', directory: dataDirectory }
      : { kind: 'server', connection: connectionOf(options.redis) };
  return { dataDirectory, redis };
}

/** The settings of a host; roots that are not named get the default one, made by the host if it is missing. */
export function hostSettings(options: HostOptions, env: NodeJS.ProcessEnv): StoreSettings & HostSettings {
  const store = storeSettings(options, env);
  const named = options.root;
  const { direct } = options;
  const roots = (
    named.some((root) => root.name === defaults.ROOT_NAME) ? named : [defaultRoot(store.dataDirectory), ...named]
  ).map((root) => withDirect(root, direct));
  const { name, threads, depth, jobs, memory: memoryBytes, engine, lockDuration: lockDurationMs } = options;
  const { waitForSpace: waitMsMax } = options;
  const { shm: shmDirectory, shmGroup: shmGroupId, urlAllow, checkpoint: checkpointBytes } = options;
  const { limit: limitBytesPerSecond, rootLimit: rootLimits, stopGrace: stopGraceMs } = options;
  for (const limited of Object.keys(rootLimits))
    if (!roots.some((root) => root.name === limited))
      throw new InvalidArgumentError(`--root-limit names "${limited}", which is no root of this host.`);
  for (const chosen of Object.keys(direct))
    if (chosen !== ALL_ROOTS && !roots.some((root) => root.name === chosen))
      throw new InvalidArgumentError(`--direct names "${chosen}", which is no root of this host.`);
  const sizes = { threads, depth, jobs, memoryBytes, checkpointBytes };
  const limits = { lockDurationMs, waitMsMax, stopGraceMs, limitBytesPerSecond, rootLimits, direct };
  return { ...store, name, ...sizes, ...limits, engine, roots, shmDirectory, shmGroupId, urlAllow };
}

const withDirect = (root: RootConfig, choices: DirectChoices): RootConfig =>
  directOf(choices, root.name) === 'off' ? { ...root, direct: 'off' } : root;

/** The root that requests name by default, if none of that name is defined. */
export function defaultRoot(dataDirectory: string): RootConfig {
  return { name: defaults.ROOT_NAME, path: join(dataDirectory, 'files'), writable: true };
}

/** The Redis that `url` names: redis://, rediss:// or unix:///path. */
function connectionOf(url: string): Connection {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed?.protocol === 'unix:') return { socketPath: decodeURIComponent(parsed.pathname) };
  if (parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:') return { url };
  // The url may carry a password, so it is not repeated.
  throw new InvalidArgumentError(
    '--redis (or PENSTOCK_REDIS_URL) takes redis://[user:password@]host[:port][/db], rediss://… or unix:///path/to/socket',
  );
}

function integer(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
  };
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError(`Give ${DURATION_ACCEPTED}.`);
  return ms;
}

/** A host's name is part of its queue's name. @throws InvalidArgumentError */
export function parseHostName(text: string): string {
  if (HOST_NAME.test(text) && text !== ANY_HOST) return text;
  throw new InvalidArgumentError(`Give 1 to 128 letters, digits, dots, _ or -, and not "${ANY_HOST}", like disk-3.`);
}

function size(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function checkpoint(text: string): number {
  const bytes = size(text);
  if (bytes < 1_048_576) throw new InvalidArgumentError('Give at least 1MiB: each checkpoint is a flush.');
  return bytes;
}

function memory(text: string): number {
  const bytes = size(text);
  if (bytes < 2_097_152) throw new InvalidArgumentError('Give at least 2MiB, one huge page.');
  if (bytes > totalmem()) {
    throw new InvalidArgumentError(`This machine has ${formatBytes(totalmem())}: give less.`);
  }
  return bytes;
}

/** The root that `text` defines: name=directory, or name=directory:ro. @throws InvalidArgumentError */
export function parseRoot(text: string): RootConfig {
  const [, name, directory, readOnly] = /^([a-z0-9][a-z0-9_-]{0,63})=(.+?)(:ro)?$/i.exec(text) ?? [];
  if (name === undefined || directory === undefined) {
    throw new InvalidArgumentError('Give name=directory or name=directory:ro, like captures=/srv/captures.');
  }
  // The directory is not looked at here: a file system that does not answer would hold up everything else.
  return { name, path: resolve(directory), writable: readOnly === undefined };
}

const HOST_PATTERN = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?$/i;

/** One more of what --url-allow names. @throws InvalidArgumentError */
function collectUrlAllow(text: string, before: string[]): string[] {
  const [address = '', prefix, ...rest] = text.split('/');
  const family = isIP(address);
  const bits = family === 4 ? 32 : 128;
  const isNetwork = prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= bits);
  const named = family === 0 && prefix === undefined && HOST_PATTERN.test(address) && !/^[\d.]+$/.test(address);
  if (rest.length === 0 && ((family !== 0 && isNetwork) || named)) return [...before, text];
  throw new InvalidArgumentError('Give a network like 10.1.0.0/16, an address, or a name like artifacts.internal.');
}

function collectRoot(text: string, before: RootConfig[]): RootConfig[] {
  const root = parseRoot(text);
  if (before.some(({ name }) => name === root.name)) {
    throw new InvalidArgumentError(`The root "${root.name}" is named twice.`);
  }
  return [...before, root];
}
