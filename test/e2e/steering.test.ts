// Cancel, pause, resume and limits from another process, on two hosts over one real Redis, and over a host's death.
import { statSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { WriteProgress, WriteResult } from '@penstock/contract';
import { type WatchEvent, WriteQueue } from '@penstock/queue';
import { createPatternSource, readSource } from '@penstock/sources';
import { createHash } from 'node:crypto';
import { System, sha256File } from '../support/system.ts';

const MIB = 1_048_576;
// A host that fell silent loses its jobs after this long.
const HOST = ['--threads', '1', '--lock-duration', '1500'];
const said = { by: 'ann@ops', why: 'the disk is needed' };
const reason = 'cancelled by ann@ops: the disk is needed';

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

/** Slow enough to be met: 2 MiB a second. */
const slow = (path: string, sizeBytes: number) => ({
  path,
  size: sizeBytes,
  source: { kind: 'pattern', pattern: 'stamp', seed: 7 } as const,
  limit: { bytesPerSecond: 2 * MIB },
});

function expectedHash(sizeBytes: number): string {
  const bytes = readSource(createPatternSource('stamp', 7), 0, sizeBytes);
  return createHash('sha256').update(bytes).digest('hex');
}

/** Follows a job; `until` resolves with the first progress that is wanted. */
class Followed {
  readonly ended: Promise<WatchEvent>;
  newest: WriteProgress | null = null;
  readonly #wanted = new Set<{
    accepts: (progress: WriteProgress) => boolean;
    give: (progress: WriteProgress) => void;
  }>();

  constructor(id: string) {
    this.ended = this.#follow(id);
  }

  until(accepts: (progress: WriteProgress) => boolean): Promise<WriteProgress> {
    return new Promise((give) => {
      this.#wanted.add({ accepts, give });
    });
  }

  async #follow(id: string): Promise<WatchEvent> {
    let last: WatchEvent = { type: 'waiting' };
    for await (last of queue.watch(id)) {
      if (last.type !== 'progress') continue;
      const { progress } = last;
      this.newest = progress;
      for (const wanted of this.#wanted) {
        if (!wanted.accepts(progress)) continue;
        this.#wanted.delete(wanted);
        wanted.give(progress);
      }
    }
    return last;
  }
}

const parts = (): string[] => system.names().filter((name) => name.endsWith('.part'));
const underWay = ({ phase, bytesWritten }: WriteProgress): boolean => phase === 'writing' && bytesWritten > 0;

test('a write that is cancelled stops, says by whom and why, and leaves no file', async () => {
  await system.host(['--name', 'first', ...HOST]);
  await system.host(['--name', 'second', ...HOST]);
  const id = await queue.add(slow('a.dat', 256 * MIB), { attempts: 5 });
  const job = new Followed(id);
  await job.until(underWay);
  expect(parts()).toHaveLength(1);
  expect(await queue.cancel(id, said)).toBe('active');
  expect(await job.ended).toMatchObject({
    type: 'failed',
    attemptsMade: 1,
    error: { name: 'WriteAbortedError', code: 'ECANCELED', message: reason, ...said },
  });
  expect(system.names().filter((name) => name.includes('a.dat') || name.endsWith('.part'))).toEqual([]);
  expect(await queue.job(id)).toMatchObject({ failedReason: reason });
});

test('a bulk that is cancelled stops amid its items', async () => {
  await system.host(HOST);
  const { limit, source } = slow('', 0);
  const files = Array.from({ length: 200 }, (_, index) => ({ path: `bulk/${index}` }));
  const id = await queue.add({ size: MIB, limit, source, files });
  const job = new Followed(id);
  await job.until(underWay);
  await queue.cancel(id, said);
  expect(await job.ended).toMatchObject({ type: 'failed', error: { code: 'ECANCELED', ...said } });
  expect(parts()).toEqual([]);
});

test('waiting and delayed jobs are cancelled with no host at all, and a host that comes later writes nothing of them', async () => {
  const waiting = await queue.add(slow('waiting.dat', MIB));
  const delayed = await queue.add(slow('delayed.dat', MIB), { delay: 1 });
  expect(await queue.cancel(waiting, said)).toBe('waiting');
  expect(await queue.cancel(delayed, said)).toBe('delayed');
  for (const id of [waiting, delayed])
    expect(await new Followed(id).ended).toMatchObject({ type: 'failed', error: { code: 'ECANCELED' } });
  await system.host(HOST);
  const after = await queue.add(slow('after.dat', MIB));
  expect(await new Followed(after).ended).toMatchObject({ type: 'completed' });
  expect(system.names().filter((name) => name.endsWith('.dat'))).toEqual(['after.dat']);
});

test('a paused write stands still and gives its row memory to others; resumed, it completes the exact file', async () => {
  await system.host([...HOST, '--memory', '8MiB']);
  const sizeBytes = 24 * MIB + 777;
  const id = await queue.add(slow('paused.dat', sizeBytes));
  const job = new Followed(id);
  await job.until(underWay);
  await queue.pause(id);
  const { bytesWritten } = await job.until(({ phase, inFlight }) => phase === 'paused' && inFlight === 0);
  // It needs all the rows there are, and takes longer than a few samples of the paused one.
  const other = await queue.add({
    path: 'other.dat',
    size: 4 * MIB,
    matrix: { rows: 8, rowBytes: MIB },
    limit: { bytesPerSecond: 2 * MIB },
  });
  expect(await new Followed(other).ended).toMatchObject({ type: 'completed' });
  expect(job.newest).toMatchObject({ phase: 'paused', bytesWritten });
  await queue.limit(id, 0);
  await queue.resume(id);
  const end = await job.ended;
  expect(end).toMatchObject({ type: 'completed', result: { bytes: sizeBytes } });
  const { durationsMs } = (end as { result: WriteResult }).result;
  expect(durationsMs.paused).toBeGreaterThan(1500);
  expect(statSync(system.path('paused.dat')).size).toBe(sizeBytes);
  expect(await sha256File(system.path('paused.dat'))).toBe(expectedHash(sizeBytes));
});

test('a limit is kept to, told, and changed while the write runs', async () => {
  await system.host(['--name', 'limited', ...HOST]);
  const sizeBytes = 12 * MIB;
  const id = await queue.add({ ...slow('limited.dat', sizeBytes), limit: { bytesPerSecond: 512 * 1024 } });
  const job = new Followed(id);
  expect((await job.until(underWay)).limit).toBe(512 * 1024);
  await queue.limit(id, 4 * MIB);
  await job.until(({ limit }) => limit === 4 * MIB);
  await queue.limitHost('limited', { bytesPerSecond: 3 * MIB });
  await job.until(({ limit }) => limit === 3 * MIB);
  await queue.limitRoot('data', { bytesPerSecond: 6 * MIB });
  const end = await job.ended;
  const { durationsMs } = (end as { result: WriteResult }).result;
  // At the first limit it would have taken 24 s; at the highest of them 3.
  expect(durationsMs.writing).toBeGreaterThan(2500);
  expect(durationsMs.writing).toBeLessThan(20_000);
  expect(await sha256File(system.path('limited.dat'))).toBe(expectedHash(sizeBytes));
});

test('limits of hosts and roots hold on a host that starts later', async () => {
  await queue.limitHost('late', { bytesPerSecond: 4 * MIB });
  await queue.limitRoot('data', { bytesPerSecond: 2 * MIB }, 'late');
  await system.host(['--name', 'late', '--limit', '1GiB', ...HOST]);
  const jobs = await queue.addBulk([
    { path: 'a.dat', size: 3 * MIB },
    { path: 'b.dat', size: 3 * MIB },
  ]);
  const begunAt = performance.now();
  const ends = await Promise.all(jobs.map((id) => new Followed(id).ended));
  expect(ends.map(({ type }) => type)).toEqual(['completed', 'completed']);
  expect(performance.now() - begunAt).toBeGreaterThan(2500); // 6 MiB at 2 MiB/s, both together
});

test('a paused job stays paused on the next host when its own is killed, and completes there', async () => {
  const first = await system.host(['--name', 'first', ...HOST]);
  const sizeBytes = 16 * MIB + 1;
  const id = await queue.add(slow('moved.dat', sizeBytes));
  const job = new Followed(id);
  await job.until(underWay);
  await queue.pause(id);
  await job.until(({ phase }) => phase === 'paused');
  const taken = job.until(({ host, phase }) => host === 'second' && phase === 'paused');
  await first.end('SIGKILL');
  await system.host(['--name', 'second', ...HOST]);
  await taken;
  await queue.limit(id, 0);
  await queue.resume(id);
  expect(await job.ended).toMatchObject({ type: 'completed', result: { bytes: sizeBytes, host: 'second' } });
  expect(await sha256File(system.path('moved.dat'))).toBe(expectedHash(sizeBytes));
  expect(parts()).toEqual([]);
});

test('a job that is cancelled while it is in no host’s hands leaves nothing where its host was killed', async () => {
  const first = await system.host(['--name', 'first', ...HOST]);
  const id = await queue.add(slow('orphan.dat', 256 * MIB));
  const job = new Followed(id);
  await job.until(underWay);
  await first.end('SIGKILL');
  expect(parts()).toHaveLength(1);
  // The dead host's lock may still hold: then the next host finds the order when it takes the job.
  await queue.cancel(id, said);
  await system.host(['--name', 'second', ...HOST]);
  expect(await job.ended).toMatchObject({ type: 'failed', error: { code: 'ECANCELED', ...said } });
  expect(parts()).toEqual([]);
});
