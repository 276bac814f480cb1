// What a write leaves on one host's disk when it moves to another's.
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { System, type HostProcess } from '../../support/system.ts';
import { WriteQueue } from '@penstock/queue';

const OPTIONS = ['--threads', '1', '--lock-duration', '1500', '--checkpoint', '1MiB'];
const LARGE = {
  path: 'dir/large.dat',
  size: 33_554_432,
  source: { kind: 'pattern', pattern: 'stamp', seed: 3 },
  limit: { bytesPerSecond: 16_777_216 }, // slow enough to be met while it runs
};

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

const durable = (progress: Record<string, number>): boolean => progress['bytesDurable']! > 0;

/** A host with a disk and a data directory of its own. */
function host(name: string): Promise<HostProcess> {
  const home = join(system.home, name);
  mkdirSync(join(home, 'files'), { recursive: true });
  return system.host(['--name', name, '--data', home, ...OPTIONS], [], {}, join(home, 'files'));
}

const filesOf = (name: string): string[] =>
  readdirSync(join(system.home, name, 'files'), { recursive: true, encoding: 'utf8' }).filter((file) => file !== 'dir');

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await setTimeout(20);
}

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`what a host ended by ${signal} has left of a write that another host has written goes when it is there again`, async () => {
    const first = await host('first');
    const job = await system.add(LARGE);
    await system.progressOf(job, durable);
    await first.end(signal);
    expect(filesOf('first')).toEqual([expect.stringMatching(/\.part$/)]);
    await host('second');
    expect((await system.finished(job, 90_000)).returnvalue).toMatchObject({ host: 'second' });
    const again = await host('first');
    await until(() => filesOf('first').length === 0);
    await until(() => again.said().includes('that no job goes on with'));
    expect(filesOf('second')).toEqual(['dir/large.dat']);
  }, 120_000);
}

test('what a killed host has left of a write that went to another one, and was cancelled there, goes when it is there again', async () => {
  const queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath } });
  const first = await host('first');
  const job = await system.add({ ...LARGE, limit: { bytesPerSecond: 4_194_304 } });
  await system.progressOf(job, durable);
  await first.end('SIGKILL');
  await host('second');
  await system.progressOf(job, (progress) => String(progress['host']) === 'second' && progress['bytesWritten']! > 0);
  await queue.cancel(job.id!, { by: 'a test' });
  await queue.close();
  await system.finished(job, 90_000);
  expect(filesOf('second')).toEqual([]);
  expect(filesOf('first')).toEqual([expect.stringMatching(/\.part$/)]);
  await host('first');
  await until(() => filesOf('first').length === 0);
}, 120_000);
