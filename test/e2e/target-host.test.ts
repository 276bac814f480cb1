// Two hosts on one queue: a write that names one of them is written by that one.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { WriteQueue } from '@penstock/queue';
import { System } from '../support/system.ts';

let system: System;
let queue: WriteQueue;
beforeEach(async () => {
  system = await System.open();
  queue = new WriteQueue({ connection: { socketPath: system.redis.socketPath } });
});
afterEach(async () => {
  await queue.close();
  await system.close();
});

async function endOf(id: string): Promise<unknown> {
  let last: unknown;
  for await (const event of queue.watch(id)) last = event;
  return last;
}

test('writes for one host are written there, before it is started too, and a wrong queue is refused', async () => {
  const directory = (name: string): string => {
    const path = join(system.home, name);
    mkdirSync(path);
    return path;
  };
  await system.host(['--threads', '1', '--name', 'disk-1', '--root', `own=${directory('disk-1')}`]);
  const early = await queue.add({ path: 'early.dat', root: 'own', size: 10_000, target: { host: 'disk-2' } });
  expect(early).toMatch(/^\w+@disk-2$/);
  await system.host(['--threads', '1', '--name', 'disk-2', '--root', `own=${directory('disk-2')}`]);
  expect(await endOf(early)).toMatchObject({ type: 'completed', result: { host: 'disk-2', bytes: 10_000 } });

  const ids = await queue.addBulk(
    Array.from({ length: 20 }, (_, index) => ({
      path: `${index}.dat`,
      root: 'own',
      size: index * 1000,
      target: { host: `disk-${1 + (index % 2)}` },
    })),
  );
  for (const [index, id] of ids.entries()) {
    const host = `disk-${1 + (index % 2)}`;
    expect(await endOf(id)).toMatchObject({ type: 'completed', result: { host } });
    expect(existsSync(join(system.home, host, `${index}.dat`))).toBe(true);
  }

  const stray = await system.add({ path: 'a', root: 'own', size: 1, target: { host: 'disk-9' } });
  expect((await system.finished(stray)).failedReason).toMatch(/target\.host.*penstock-disk-9/);
  expect((await queue.hosts()).map(({ name }) => name)).toEqual(['disk-1', 'disk-2']);
}, 120_000);
