/** What looks like slow hosts and is none: commands say that a queue stands still, and doctor which jobs are lost. */
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { openStore } from '@penstock/config';
import { redisOptions } from '@penstock/queue';
import { Redis } from 'ioredis';
import { Cli } from '../cli.fixture.ts';

const cli = new Cli();
afterAll(() => cli.close());

test('enqueue, watch and doctor say that a queue is paused, whatever the job holds; doctor and watch name a job that is in no line, and resume puts it there', async () => {
  const store = await openStore({ kind: 'embedded', directory: cli.directory }, process.env);
  const redis = new Redis(redisOptions(store.connection));
  try {
    await redis.hset('bull:penstock:meta', 'paused', '1'); // as BullMQ's queue.pause() does
    const paused = expect.stringContaining("the queue 'penstock' is paused");
    expect(await cli.run('enqueue', 'a.bin', '--size', '4KiB', '--job-id', 'mine')).toMatchObject({
      code: 0,
      stderr: paused,
    });
    const watch = cli.start('watch', 'mine');
    await watch.says(/is paused/);
    watch.child.kill('SIGINT');
    await watch.ended;
    // Another program may have added it: then its data need not be an object.
    await redis.hset('bull:penstock:foreign', { name: 'write', data: 'null', opts: '{}', timestamp: 1 });
    await redis.lpush('bull:penstock:wait', 'foreign');
    const foreign = cli.start('watch', 'foreign');
    await foreign.says(/is paused/);
    foreign.child.kill('SIGINT');
    await foreign.ended;
    await redis.lrem('bull:penstock:wait', 0, 'foreign');
    await redis.del('bull:penstock:foreign');
    expect(await redis.lrem('bull:penstock:wait', 0, 'mine')).toBe(1);
    const { stdout } = await cli.run('doctor', '--root', `data=${join(cli.directory)}`);
    expect(stdout).toContain("the queue 'penstock' is paused");
    expect(stdout).toContain('1 in no line, which no host will ever take: mine');
    expect(await cli.run('watch', 'mine')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('penstock resume mine'),
    });
    expect(await cli.run('resume', 'mine')).toMatchObject({ code: 0 });
    expect(await redis.lrange('bull:penstock:wait', 0, -1)).toEqual(['mine']);
  } finally {
    redis.disconnect();
    await store.close();
  }
}, 120_000);
