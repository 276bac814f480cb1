import { expect, test } from '@jest/globals';
import { hostArguments, storeEnvironment } from './child-arguments.ts';

const settings = {
  dataDirectory: '/data dir',
  redis: { kind: 'embedded', directory: '/data dir' },
  name: 'here',
  threads: 2,
  depth: 64,
  jobs: 4,
  memoryBytes: 268_435_456,
  engine: 'auto',
  shmDirectory: '/dev/shm/penstock',
  shmGroupId: 44,
  urlAllow: ['10.1.0.0/16', 'artifacts.internal'],
  lockDurationMs: 30_000,
  waitMsMax: 3_600_000,
  limitBytesPerSecond: 0,
  rootLimits: { captures: 1_048_576 },
  direct: { '*': 'off', captures: 'auto' },
  stopGraceMs: 10_000,
  checkpointBytes: 67_108_864,
} as const;

test('a host gets its settings word for word', () => {
  const roots = [{ name: 'node', path: '/usr/bin', writable: false }];
  expect(hostArguments(settings, roots).join('|')).toBe(
    '--data|/data dir|--name|here|--threads|2|--depth|64|--jobs|4|--memory|268435456|--engine|auto|--shm|/dev/shm/penstock|--shm-group|44|--url-allow|10.1.0.0/16|--url-allow|artifacts.internal|--lock-duration|30000|--wait-for-space|1h|--limit|0|--root-limit|captures=1048576|--direct|off|--direct|captures=auto|--stop-grace|10000|--checkpoint|67108864|--root|node=/usr/bin:ro',
  );
});

test('a host of the embedded Redis is not led astray by the environment, and a password does not show in ps', () => {
  const env = { PATH: '/bin', PENSTOCK_REDIS_URL: 'redis://other' };
  expect(storeEnvironment(settings, undefined, env)).toEqual({ PATH: '/bin' });
  const url = 'redis://:secret@host';
  const server = { ...settings, redis: { kind: 'server', connection: { url } } } as const;
  expect(storeEnvironment(server, url, env)).toEqual({ PATH: '/bin', PENSTOCK_REDIS_URL: url });
  expect(hostArguments(server, []).join(' ')).not.toContain('secret');
});
