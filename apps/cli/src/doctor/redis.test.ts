import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { openStore } from '@penstock/config';
import { redisOptions } from '@penstock/queue';
import { Redis } from 'ioredis';
import { checkRedis, judgeRedis } from './redis.ts';

const good = [
  '# Server',
  'redis_version:7.0.15',
  'aof_enabled:1',
  'aof_last_write_status:ok',
  'aof_last_bgrewrite_status:ok',
].join('\r\n');

const verdicts = (info: string, policy: string | null): string[] =>
  judgeRedis(info, policy, 'server').map(({ verdict }) => verdict);

test('a Redis that keeps what it is told is fine', () => {
  expect(verdicts(good, 'noeviction')).toEqual(['ok', 'ok', 'ok']);
});

test('without an append-only file jobs can be lost, and with a failing one they are refused', () => {
  expect(verdicts(good.replace('aof_enabled:1', 'aof_enabled:0'), 'noeviction')).toEqual(['ok', 'warn', 'ok']);
  expect(verdicts(good.replace('write_status:ok', 'write_status:err'), 'noeviction')).toEqual(['ok', 'fail', 'ok']);
});

test('a policy that throws jobs away fails, and one that is not told is a warning', () => {
  expect(verdicts(good, 'allkeys-lru')).toEqual(['ok', 'ok', 'fail']);
  expect(verdicts(good, null)).toEqual(['ok', 'ok', 'warn']);
});

test('Valkey is called by its name', () => {
  const info = `${good}\r\nvalkey_version:8.1.0`;
  expect(judgeRedis(info, 'noeviction', 'server')[0]?.found).toContain('Valkey 8.1.0');
});

test('a Redis that answers and takes no writes fails, with what to do; one that takes them again does not', async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'penstock-doctor-'));
  const store = await openStore({ kind: 'embedded', directory: dataDirectory }, process.env);
  const client = new Redis(redisOptions(store.connection));
  try {
    const settings = { dataDirectory, redis: { kind: 'server', connection: store.connection } } as const;
    await client.config('SET', 'maxmemory', '1');
    expect(await checkRedis(settings, process.env)).toContainEqual({
      verdict: 'fail',
      what: 'redis',
      found: expect.stringMatching(/its memory is full \(.* of maxmemory 1B\) \(EREDISMEMORY\)\.$/),
      remedy: expect.stringContaining('CONFIG SET maxmemory'),
    });
    await client.config('SET', 'maxmemory', '0');
    expect((await checkRedis(settings, process.env)).filter(({ verdict }) => verdict !== 'ok')).toEqual([]);
  } finally {
    client.disconnect();
    await store.close();
    rmSync(dataDirectory, { recursive: true });
  }
});
