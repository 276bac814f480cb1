// What docs/queue.md says of BullMQ's abilities is run as it stands there.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { System } from '../support/system.ts';

const page = readFileSync(fileURLToPath(new URL('../../docs/queue.md', import.meta.url)), 'utf8');

/** The programs that stand under `heading`. */
function programsUnder(heading: string): string[] {
  const section = page.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/^```js\n([^]*?)^```$/gm)].map((match) => match[1]!);
}

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(() => system.close());

/** Runs the programs under `heading`; only the address of Redis is another. Returns what they print. */
async function run(heading: string, ...changes: [string, string][]): Promise<string> {
  const codes = programsUnder(heading);
  expect(codes).not.toEqual([]);
  const printed: string[] = [];
  for (const [index, code] of codes.entries()) {
    const { socketPath } = system.redis;
    let text = code
      .replace("{ host: '127.0.0.1', port: 6379 }", JSON.stringify({ path: socketPath }))
      .replace("{ url: 'redis://127.0.0.1:6379' }", JSON.stringify({ socketPath }));
    expect(text).not.toBe(code);
    for (const [from, to] of changes) text = text.replace(from, to);
    const script = join(system.home, `example-${index}.mjs`);
    writeFileSync(script, text);
    const { stdout } = await promisify(execFile)(process.execPath, [script], {
      env: { ...process.env, FORCE_COLOR: '0' },
    });
    printed.push(stdout);
  }
  return printed.join('');
}

const jobOf = async (path: string) => {
  const job = (await system.queue.getJobs()).find(({ data }) => data.path === path);
  if (job === undefined) throw new Error(`no job writes ${path}`);
  return system.finished(job);
};
const json = (name: string): unknown => JSON.parse(readFileSync(system.path(name), 'utf8'));

test('priority: the lower number is begun first, though it came later', async () => {
  await run('Priority');
  await system.host(['--threads', '1', '--jobs', '1']);
  const [later, sooner] = [await jobOf('later.dat'), await jobOf('sooner.dat')];
  expect(later.timestamp).toBeLessThanOrEqual(sooner.timestamp);
  expect(sooner.finishedOn).toBeLessThanOrEqual(later.processedOn!);
});

test('delay: a delayed write is not begun before its time', async () => {
  await system.host(['--threads', '1']);
  await run('Delay');
  const job = await jobOf('delayed.dat');
  expect(job.processedOn! - job.timestamp).toBeGreaterThanOrEqual(1500);
  expect(readFileSync(system.path('delayed.dat')).length).toBe(4096);
});

test('schedules: the same write is done again and again, and stands once', async () => {
  await system.host(['--threads', '1']);
  let completed = 0;
  const thrice = new Promise<void>((resolve) => {
    system.events.on('completed', () => {
      completed += 1;
      if (completed === 3) resolve();
    });
  });
  await run('Schedules', ['every: 60_000', 'every: 100']);
  await thrice;
  expect(readFileSync(system.path('latest.img')).length).toBe(1_048_576);
  const schedules = await system.queue.getJobSchedulers();
  expect(schedules.map(({ key }) => key).toSorted()).toEqual(['every-minute', 'nightly']);
  for (const { key } of schedules) await system.queue.removeJobScheduler(key);
});

test('deduplication: of two writes of one file that both wait, one is done', async () => {
  expect(await run('One write per file')).toBe('true\n');
  expect(await system.queue.getJobCounts('waiting', 'prioritized')).toMatchObject({ waiting: 1, prioritized: 0 });
  await system.host(['--threads', '1']);
  await jobOf('state.bin');
  expect(readFileSync(system.path('state.bin')).length).toBe(1_048_576);
});

test('steering: a job that is cancelled says by whom and why, also where no host runs', async () => {
  expect(await run('Steering')).toBe('ECANCELED cancelled by the nightly job: no longer needed\n');
});

test('flows: the manifest lists every shard in order, once all are written', async () => {
  await system.host(['--name', 'disk-1', '--threads', '2']);
  expect((await run('Flows: shards, then a manifest')).split('\n')).toContain('completed');
  expect(json('set/manifest.json')).toEqual(
    [1, 2, 3].map((number) => ({ path: `set/${number}.dat`, root: 'data', bytes: 1_048_576, host: 'disk-1' })),
  );
  await jobOf('plain/manifest.json');
  expect(json('plain/manifest.json')).toEqual(
    [1, 2, 3].map((number) => ({ path: `plain/${number}.dat`, root: 'data', bytes: 65_536, host: 'disk-1' })),
  );
  expect(readFileSync(system.path('plain/manifest.json'), 'utf8')).toMatch(/^\[\n {2}\{\n[^]*\n\]\n$/);
});

test('flows: a shard that fails fails the manifest, or is listed in it', async () => {
  await system.host(['--threads', '1']);
  const printed = await run('When a shard fails');
  expect(printed).toMatch(/^Job \S+-2, which this one waited for, failed for good\.\n[^]*completed\n$/);
  expect(existsSync(system.path('half/strict.json'))).toBe(false);
  expect(existsSync(system.path('half/good.dat'))).toBe(true);
  expect(json('half/lenient.json')).toMatchObject([
    { path: 'half/good.dat', bytes: 4096 },
    { path: 'half/bad.dat', root: 'data', error: { message: expect.stringContaining('ENOENT') } },
  ]);
});

test('a manifest without shards is refused by name, and not tried again', async () => {
  await system.host(['--threads', '1']);
  const job = await system.finished(
    await system.add({ path: 'x.json', source: { kind: 'manifest', shards: 2 } }, { attempts: 3 }),
  );
  expect(job.failedReason).toBe('None of 2 shards is there: this job has no children, which a flow has.');
  expect(job.attemptsMade).toBe(1);
});
