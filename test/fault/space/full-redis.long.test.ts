// The embedded Redis on a disk that fills up. As root: a small disk.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Queue, QueueEvents } from 'bullmq';
import { EmbeddedRedis } from '@penstock/redis';
import { installedServer } from '@penstock/redis/installed-server';
import { mayMount, mountLoop } from '../../support/loop-disk.fixture.ts';
import { cliEntry, hostEntry, makeHome } from '../../support/system.ts';

const asRoot = mayMount() ? test : test.skip; // named as skipped without root, or without loop devices
let undo: (() => unknown)[] = [];
let mount: string;
let redis: EmbeddedRedis;
let queue: Queue;
let events: QueueEvents;
const told: string[] = [];

beforeEach(async () => {
  if (!mayMount()) return;
  told.length = 0;
  const home = makeHome();
  undo.push(() => rmSync(home, { recursive: true, force: true }));
  mount = mountLoop(home, undo, ['mkfs.ext4', '-q'], 67_108_864, 512);
  redis = await EmbeddedRedis.open({
    directory: mount,
    server: installedServer(),
    onError: (error) => told.push(error.message),
  });
  undo.push(unused, () => redis.close());
  const connection = { path: redis.socketPath, maxRetriesPerRequest: null, retryStrategy: () => 100 };
  queue = new Queue('penstock', { connection });
  events = new QueueEvents('penstock', { connection });
  queue.on('error', () => {});
  events.on('error', () => {});
  undo.push(() => Promise.all([queue.close(), events.close()]));
  await events.waitUntilReady();
  mkdirSync(join(mount, 'files'));
  const args = [hostEntry, '--data', mount, '--threads', '1'];
  const host = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  undo.push(async () => {
    if (host.connected) host.disconnect();
    if (host.exitCode === null && host.signalCode === null) await once(host, 'exit');
  });
  await once(host, 'message');
}, 60_000);
afterEach(async () => {
  for (const step of undo.toReversed()) await step();
  undo = [];
}, 60_000);

/** Until no process has anything open on the disk: the shell beside a server that ended goes a moment after it. */
async function unused(): Promise<void> {
  const links = (): string[] =>
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
      .flatMap((pid) => namesIn(`/proc/${pid}/fd`).concat(`/proc/${pid}/cwd`));
  while (links().some((link) => targetOf(link).startsWith(mount))) await sleep(20);
}
const namesIn = (directory: string): string[] => {
  try {
    return readdirSync(directory).map((name) => join(directory, name));
  } catch {
    return []; // it has ended
  }
};
const targetOf = (link: string): string => {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
};

const freeBytes = (): number => {
  const { bavail, bsize } = statfsSync(mount);
  return bavail * bsize;
};
const pidOfRedis = async (): Promise<string> => {
  const info = await (await queue.getBackend().client).info();
  return /process_id:(\d+)/.exec(info)![1]!;
};

asRoot(
  'a write of all but 40 KiB waits for space, and the Redis on that disk lives; with space it is written',
  async () => {
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(20_000_000, 1));
    const pid = await pidOfRedis();
    const size = freeBytes() - 40_960;
    const job = await queue.add('write', { path: 'a.dat', size }, { attempts: 1 });
    let note = '';
    while (!note.startsWith('waiting for space')) {
      await sleep(50);
      const { progress } = (await queue.getJob(job.id!))!;
      note = (progress as { note?: string }).note ?? '';
    }
    expect(note).toContain("left to the queue's Redis");
    rmSync(join(mount, 'ballast'));
    await expect(job.waitUntilFinished(events, 60_000)).resolves.toMatchObject({ bytes: size });
    expect(await pidOfRedis()).toBe(pid);
    expect(told).toEqual([]);
  },
  120_000,
);

asRoot(
  'a disk that something else fills is named with its figures; with space host and producers go on by themselves',
  async () => {
    const filler = join(mount, 'filler');
    undo.push(() => rmSync(filler, { force: true })); // clients that close wait for their Redis, also after a failure
    fill(filler);
    // Larger than what a last block may hold.
    const data = { path: 'b.dat', source: { kind: 'inline', data: 'x'.repeat(100_000) } };
    const adding = queue.add('write', data, { attempts: 1 });
    while (told.length === 0) await sleep(20);
    expect(told[0]).toMatch(
      /^The embedded Redis in .*redis has ended\. The file system of .*redis is full: .* free of .* MiB\. Free some space/,
    );
    expect(told[0]).toMatch(/No space left on device/); // its own last words
    await sleep(1500);
    expect(told).toHaveLength(1);
    const doctor = spawn(process.execPath, [cliEntry, 'doctor', '--data', mount, '--json']);
    const [report] = await Promise.all([text(doctor.stdout), once(doctor, 'exit')]);
    const { findings } = JSON.parse(report) as { findings: unknown[] };
    expect(findings).toContainEqual({
      verdict: 'fail',
      what: 'redis disk',
      found: expect.stringMatching(/^The file system of .*redis is full: /),
      remedy: expect.any(String),
    });
    rmSync(filler);
    const job = await adding;
    await expect(job.waitUntilFinished(events, 60_000)).resolves.toMatchObject({ bytes: 75_000 });
  },
  120_000,
);

/** Takes all there is, to the last block. */
function fill(path: string): void {
  const fd = openSync(path, 'w');
  try {
    for (const size of [1_048_576, 4096, 512]) {
      try {
        for (;;) writeSync(fd, Buffer.alloc(size, 1));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOSPC' });
      }
    }
  } finally {
    closeSync(fd);
  }
}
