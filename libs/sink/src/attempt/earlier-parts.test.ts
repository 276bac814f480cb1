import { existsSync, linkSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { earlierParts } from './earlier-parts.ts';
import { jobKeyOf, partName } from './parts.ts';
import { type Bench, openBench } from '../thread/thread.fixture.ts';

let bench: Bench;
beforeEach(() => {
  bench = openBench();
});
afterEach(() => bench.end());

const pathOf = (name: string): string => join(bench.directory, name);
const request = { path: 'dir/a.dat', size: 4096 } as const;

test('sixty later attempts in a directory of 20,000 entries read none of them, and remove what earlier ones left', async () => {
  mkdirSync(pathOf('dir'));
  writeFileSync(pathOf('one'), '');
  for (let index = 0; index < 20_000; index += 1) linkSync(pathOf('one'), pathOf(`dir/entry-${index}`));
  const unread = process.cpuUsage();
  for (let time = 0; time < 30; time += 1) readdirSync(pathOf('dir'));
  const thirtyReadingsMs = cpuMs(unread);
  for (let job = 0; job < 60; job += 1) writeFileSync(pathOf(`dir/${partName(`job${job}`, '1')}`), 'left');
  const before = process.cpuUsage();
  await Promise.all(
    Array.from({ length: 60 }, (_, job) =>
      bench.write({ ...request, path: `dir/${job}.dat` }, { jobKey: `job${job}`, attemptToken: '2', again: true }),
    ),
  );
  // A directory read each would take twice as much processor time, on whatever machine, busy or not.
  expect(cpuMs(before)).toBeLessThan(thirtyReadingsMs);
  expect(readdirSync(pathOf('dir')).filter((name) => name.endsWith('.part'))).toEqual([]);
}, 60_000);

test('what is left is found by name, of few attempts, and by reading, of very many', async () => {
  const left = [partName('job', '1'), partName('job', '3')];
  for (const name of left) writeFileSync(pathOf(name), 'left');
  expect(earlierParts(0, 'job', '3')).toEqual([1, 2, 3].map((attempt) => partName('job', String(attempt))));
  await bench.write({ path: 'a.dat', size: 10 }, { jobKey: 'job', attemptToken: '1000000', again: true });
  expect(bench.names()).toEqual(['a.dat']);
});

test('a part of its own number that nobody knows of makes an attempt wait; the next takes its place', async () => {
  writeFileSync(pathOf(partName('job', '1')), 'left by an attempt that the queue has forgotten');
  const write = { path: 'a.dat', size: 10 } as const;
  await expect(bench.write(write, { jobKey: 'job', attemptToken: '1' })).rejects.toMatchObject({
    code: 'EBUSY',
    syscall: 'openat',
    retryable: true,
  });
  expect(existsSync(pathOf(partName('job', '1')))).toBe(true);
  await bench.write(write, { jobKey: 'job', attemptToken: '2', again: true });
  expect(bench.names()).toEqual(['a.dat']);
});

test.each([
  [2, '2'],
  [2, '513'],
  [40, '513'],
])('what the first attempt at a bulk of %d files left is removed by attempt %s', async (count, attemptToken) => {
  const files = Array.from({ length: count }, (_, index) => ({ path: `${index}.dat`, size: 10 }));
  for (const { path } of files) {
    writeFileSync(pathOf(partName(jobKeyOf('mine', { root: 'data', path }), '1')), 'left');
  }
  expect((await bench.bulk({ files }, { jobKey: 'mine', attemptToken, again: true })).failed).toBe(0);
  expect(bench.names()).toEqual(files.map(({ path }) => path).toSorted());
});

/** Processor time of this process since `before`, in milliseconds. */
function cpuMs(before: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
