// Many writes that want one file: each has its turn, and none waits when nobody has the file any more.
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { native } from '@penstock/native';
import { System } from '../../support/system.ts';

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

const LINE_BYTES = 64;

const linesOf = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => `line ${index}`.padEnd(LINE_BYTES - 1, '.') + '\n');

const append = (line: string) => ({
  name: 'write',
  data: { path: 'log.txt', mode: 'append', source: { kind: 'inline', data: Buffer.from(line).toString('base64') } },
});

test('eighty appends to one file by two hosts all end, and each stands in it once', async () => {
  await Promise.all([
    system.host(['--name', 'first', '--threads', '1']),
    system.host(['--name', 'second', '--threads', '1']),
  ]);
  const lines = linesOf(80);
  const jobs = await system.queue.addBulk(lines.map(append));
  const ends = await Promise.all(jobs.map((job) => system.finished(job, 100_000)));
  expect(ends.filter(({ failedReason }) => failedReason !== undefined)).toEqual([]);
  const found = readFileSync(system.path('log.txt'), 'latin1').split(/(?<=\n)/);
  expect(found.toSorted()).toEqual(lines.toSorted());
}, 120_000);

test('appends that wait for a file which another process had for twenty seconds all end within seconds of its being free', async () => {
  writeFileSync(system.path('log.txt'), '');
  const fd = openSync(system.path('log.txt'), 'r+');
  expect(native.lockFile(fd)).toBe(0);
  await system.host(['--threads', '1']);
  const lines = linesOf(12);
  const jobs = await system.queue.addBulk(lines.map(append));
  await setTimeout(20_000); // so long that a backoff which doubles would be at sixteen seconds
  closeSync(fd);
  const freeAt = Date.now();
  const ends = await Promise.all(jobs.map((job) => system.finished(job, 60_000)));
  expect(Math.max(...ends.map(({ finishedOn }) => finishedOn!)) - freeAt).toBeLessThan(5000);
  expect(
    readFileSync(system.path('log.txt'), 'latin1')
      .split(/(?<=\n)/)
      .toSorted(),
  ).toEqual(lines.toSorted());
}, 120_000);
