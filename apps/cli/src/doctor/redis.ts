/** Checks the queue's Redis: whether it is there, and whether it keeps what is stored in it. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { type StoreSettings, findServer, lackOfSpace, openStore } from '@penstock/config';
import { toWire } from '@penstock/contract';
import { checkRedis as checkServer, redisOptions } from '@penstock/queue';
import { Redis } from 'ioredis';
import { type Finding, fail, ok, warn } from './finding.ts';
import { checkQueue } from './queue.ts';

const CONNECT_MS_MAX = 3000;

/** What is found of the Redis of `settings`; the embedded one is started for it, if nobody else runs it. */
export async function checkRedis(settings: StoreSettings, env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (settings.redis.kind === 'embedded') {
    const program = checkProgram(env);
    findings.push(program);
    if (program.verdict === 'fail') return findings;
  }
  if (settings.redis.kind === 'embedded') {
    const full = await lackOfSpace(join(settings.redis.directory, 'redis'));
    if (full !== null) findings.push(fail('redis disk', full, 'free some space there: Redis ends where it finds none'));
  }
  const where = settings.redis.kind === 'embedded' ? `embedded, in ${settings.redis.directory}` : 'server';
  try {
    const store = await openStore(settings.redis, env);
    const client = new Redis({ ...redisOptions(store.connection), lazyConnect: true });
    client.on('error', () => {}); // checkRedis reports it, in better words
    try {
      const { trouble } = await checkServer(store.connection, CONNECT_MS_MAX);
      if (trouble !== null) findings.push(failureOf(trouble));
      findings.push(...judgeRedis(await client.info(), await policyOf(client), where));
      if (trouble === null) findings.push(...(await checkQueue(store.connection)));
    } finally {
      client.disconnect();
      await store.close();
    }
  } catch (error) {
    findings.push(failureOf(error));
  }
  return findings;
}

function failureOf(error: unknown): Finding {
  const { message, hint = 'see above, or use a Redis of your own with --redis' } = toWire(error);
  return fail('redis', message.replace(` ${hint}`, ''), hint);
}

function checkProgram(env: NodeJS.ProcessEnv): Finding {
  const what = 'redis program';
  const server = findServer(env);
  if (server === null) {
    return fail(
      what,
      'no redis-server or valkey-server was found',
      'apt-get install redis-server, or name one with REDIS_SERVER, or use a running one with --redis',
    );
  }
  const { stdout, error, status } = spawnSync(server.bin, ['--version'], {
    encoding: 'utf8',
    timeout: CONNECT_MS_MAX,
    env: { ...env, ...server.env },
  });
  if (status !== 0)
    return fail(
      what,
      `${server.bin}: ${error?.message ?? `exit code ${status}`}`,
      'install it anew, or name another with REDIS_SERVER',
    );
  const version = /v=(\S+)/.exec(stdout)?.[1] ?? stdout.trim();
  return ok(what, `${server.bin}, version ${version}`);
}

/** What CONFIG GET reports; a managed Redis may forbid asking. */
async function policyOf(client: Redis): Promise<string | null> {
  try {
    return (await client.config('GET', 'maxmemory-policy'))[1] ?? null;
  } catch {
    return null;
  }
}

/** Judges what INFO reports. Exported for its test. */
export function judgeRedis(info: string, policy: string | null, where: string): Finding[] {
  const fields = new Map(
    info.split(/\r?\n/).map((line): [string, string] => {
      const at = line.indexOf(':');
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const get = (name: string): string => fields.get(name) ?? '';
  const name = get('valkey_version') === '' ? `Redis ${get('redis_version')}` : `Valkey ${get('valkey_version')}`;
  return [
    ok('redis', `${name}, ${where}`), // one that is too old has been refused by checkServer()
    judgePersistence(get),
    judgePolicy(policy ?? (get('maxmemory_policy') || null)),
  ];
}

function judgePersistence(get: (name: string) => string): Finding {
  const what = 'redis persistence';
  if (get('aof_enabled') !== '1') {
    return warn(
      what,
      'appendonly no: a crash of Redis loses the jobs since its last snapshot',
      'redis-cli config set appendonly yes, and the same in its configuration file',
    );
  }
  if (get('aof_last_write_status') !== 'ok')
    return fail(
      what,
      `appendonly yes, but its last write failed (${get('aof_last_write_status')})`,
      'is its disk full? Jobs are refused until it can write again',
    );
  if (get('aof_last_bgrewrite_status') === 'err')
    return warn(
      what,
      'appendonly yes, but its last rewrite failed: the file only grows',
      'is its disk full? See its log',
    );
  return ok(what, 'appendonly yes, last write ok');
}

function judgePolicy(policy: string | null): Finding {
  const what = 'redis memory';
  if (policy === null)
    return warn(what, 'the server does not tell its maxmemory-policy', 'make sure that it is noeviction');
  if (policy !== 'noeviction')
    return fail(
      what,
      `maxmemory-policy ${policy}: it may throw jobs away when memory is short`,
      'redis-cli config set maxmemory-policy noeviction',
    );
  return ok(what, 'maxmemory-policy noeviction');
}
