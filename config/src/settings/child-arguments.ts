/** Settings as the arguments and the environment of the process that shall have them. */
import type { RootConfig } from '@penstock/disk';
import { argumentsOf, FLAGGED_SETTINGS, type FlaggedSettings, HOST_OPTIONS } from './host-options.ts';
import type { StoreSettings } from './settings.ts';

/** The data directory. Which Redis is in the environment, since its url may carry a password. */
export function storeArguments(settings: StoreSettings): string[] {
  return ['--data', settings.dataDirectory];
}

/** The environment of a process that shall use the Redis of `settings`, whatever this one's environment has. */
export function storeEnvironment(
  settings: StoreSettings,
  redisUrl: string | undefined,
  env: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const { PENSTOCK_REDIS_URL: _inherited, ...rest } = env;
  return settings.redis.kind === 'embedded' || redisUrl === undefined
    ? rest
    : { ...rest, PENSTOCK_REDIS_URL: redisUrl };
}

/** The arguments of a host with these settings; `roots` are those that were named: the host adds the default one itself. */
export function hostArguments(settings: StoreSettings & FlaggedSettings, roots: readonly RootConfig[]): string[] {
  return [
    ...storeArguments(settings),
    ...FLAGGED_SETTINGS.flatMap((name) => argumentsOf<unknown>(HOST_OPTIONS[name], settings[name])),
    ...roots.flatMap((root) => ['--root', `${root.name}=${root.path}${root.writable ? '' : ':ro'}`]),
  ];
}
