/**
 * Settings: command-line options before environment variables before defaults. Every penstock process reads them
 * here, so that the same words mean the same everywhere; the libs get values.
 */
import { join, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { RootConfig } from '@penstock/disk';
import type { Connection } from '@penstock/queue';
import * as defaults from './defaults.ts';
import { ALL_ROOTS, directOf, type DirectChoices } from './direct.ts';

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

/** What --redis and --data hold. */
export interface StoreOptions {
  redis?: string;
  data?: string;
}

/** What the options of addHostOptions hold. */
export interface HostOptions extends StoreOptions {
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
