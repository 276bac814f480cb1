/**
 * Settings: command-line options before environment variables before defaults. Every penstock process reads them
 * here, so that the same words mean the same everywhere; the libs get values.
 */
import { join, resolve } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { parseRedisUrl } from '@penstock/contract';
import type { RootConfig } from '@penstock/disk';
import type { Connection } from '@penstock/queue';
import * as defaults from './defaults.ts';
import { ALL_ROOTS, directOf, type DirectChoices } from './direct.ts';
import { FLAGGED_SETTINGS, type FlaggedSettings } from './host-options.ts';

/** Which Redis: a server that runs by itself, or the embedded one of a data directory. */
export type RedisChoice = { kind: 'server'; connection: Connection } | { kind: 'embedded'; directory: string };

/** What every command needs. */
export interface StoreSettings {
  dataDirectory: string;
  redis: RedisChoice;
}

/** What a host needs besides. */
export interface HostSettings extends FlaggedSettings {
  roots: RootConfig[];
}

/** What --redis and --data hold. */
export interface StoreOptions {
  redis?: string;
  data?: string;
}

/** What the options of addHostOptions hold. */
export interface HostOptions extends StoreOptions, FlaggedSettings {
  root: RootConfig[];
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

/**
 * The settings of a host; if none of its roots has the default name, that root is added, and made by the host if it is
 * missing.
 * @throws InvalidArgumentError if an option names a root that the host does not have
 */
export function hostSettings(options: HostOptions, env: NodeJS.ProcessEnv): StoreSettings & HostSettings {
  const store = storeSettings(options, env);
  // The options may hold more: those of a command that starts a host for something else.
  const flagged = Object.fromEntries(
    FLAGGED_SETTINGS.map((name) => [name, options[name]]),
  ) as unknown as FlaggedSettings;
  const { rootLimits, direct } = flagged;
  const named = options.root;
  const roots = (
    named.some((root) => root.name === defaults.ROOT_NAME) ? named : [defaultRoot(store.dataDirectory), ...named]
  ).map((root) => withDirect(root, direct));
  for (const limited of Object.keys(rootLimits))
    if (!roots.some((root) => root.name === limited))
      throw new InvalidArgumentError(`--root-limit names "${limited}", which is no root of this host.`);
  for (const chosen of Object.keys(direct))
    if (chosen !== ALL_ROOTS && !roots.some((root) => root.name === chosen))
      throw new InvalidArgumentError(`--direct names "${chosen}", which is no root of this host.`);
  return { ...store, ...flagged, roots };
}

const withDirect = (root: RootConfig, choices: DirectChoices): RootConfig =>
  directOf(choices, root.name) === 'off' ? { ...root, direct: 'off' } : root;

/** The root that requests name by default, if none of that name is defined. */
export function defaultRoot(dataDirectory: string): RootConfig {
  return { name: defaults.ROOT_NAME, path: join(dataDirectory, 'files'), writable: true };
}

/** The Redis that `url` names: redis://, rediss:// or unix:///path. @throws InvalidArgumentError */
function connectionOf(url: string): Connection {
  const named = parseRedisUrl(url);
  if (named !== null) return 'socketPath' in named ? named : { url };
  // The url may carry a password, so it is not repeated.
  throw new InvalidArgumentError(
    '--redis (or PENSTOCK_REDIS_URL) takes redis://[user:password@]host[:port][/db], rediss://… or unix:///path/to/socket',
  );
}
