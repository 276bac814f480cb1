/** A host's settings as the arguments of the process that shall have them. */
import { directArguments, formatDuration, type HostSettings, type StoreSettings } from '@penstock/config';

type Root = HostSettings['roots'][number];

/** Which Redis and which data directory: `redisUrl` goes by the environment, since it may carry a password. */
export function storeArguments(settings: StoreSettings): string[] {
  return ['--data', settings.dataDirectory];
}

/** The environment of a process that shall use the Redis of `settings`, whatever this one's environment says. */
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

/** The arguments of a host with these settings; `roots` are those that were named: the default one is its own affair. */
export function hostArguments(settings: StoreSettings & Omit<HostSettings, 'roots'>, roots: readonly Root[]): string[] {
  const options: Record<string, string | number | undefined> = {
    name: settings.name,
    threads: settings.threads,
    depth: settings.depth,
    jobs: settings.jobs,
    memory: settings.memoryBytes,
    engine: settings.engine,
    shm: settings.shmDirectory,
    'shm-group': settings.shmGroupId,
    'lock-duration': settings.lockDurationMs,
    'wait-for-space': formatDuration(settings.waitMsMax),
    limit: settings.limitBytesPerSecond,
    'stop-grace': settings.stopGraceMs,
    checkpoint: settings.checkpointBytes,
  };
  return [
    ...storeArguments(settings),
    // What was not said is left to the host.
    ...Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, String(value)])),
    ...settings.urlAllow.flatMap((allowed) => ['--url-allow', allowed]),
    ...Object.entries(settings.rootLimits).flatMap(([name, rate]) => ['--root-limit', `${name}=${rate}`]),
    ...directArguments(settings.direct),
    ...roots.flatMap((root) => ['--root', `${root.name}=${root.path}${root.writable ? '' : ':ro'}`]),
  ];
}
